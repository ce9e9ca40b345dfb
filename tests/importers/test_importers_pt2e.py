"""Programs that PT2E has quantized: as modules, exported programs and files, without data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pt2e_models import networks, quantized
from torch import nn

import mcuq
from mcuq.data import feeds as data
from mcuq.model.report import QuantizedModel
from mcuq.reference import feeds_to_int, outputs_of, port_to_real

KEPT = mcuq.Config(quantize={"grids": "kept"})
torch_ops = pytest.importorskip("torch.ao.quantization.fx._decomposed")


class Given(nn.Module):
    """A layer as ``convert_pt2e`` writes it, with scales that are powers of two or not."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = step
        self.register_buffer("w", torch.arange(-12, 12, dtype=torch.int8).reshape(4, 6))
        self.register_buffer("scales", step * torch.tensor([1.0, 2.0, 0.5, 1.0]))
        self.register_buffer("zeros", torch.zeros(4, dtype=torch.int64))
        self.register_buffer("bias", torch.linspace(-1, 1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ops = torch.ops.quantized_decomposed
        weights = ops.dequantize_per_channel(
            self.w, self.scales, self.zeros, 0, -127, 127, torch.int8
        )
        x = self._rounded(x, self.step, 3)
        return self._rounded(nn.functional.linear(x, weights, self.bias), 4 * self.step, -10)

    def _rounded(self, x: torch.Tensor, step: float, zero: int) -> torch.Tensor:
        ops = torch.ops.quantized_decomposed
        steps = ops.quantize_per_tensor(x, step, zero, -128, 127, torch.int8)
        return ops.dequantize_per_tensor(steps, step, zero, -128, 127, torch.int8)


def _ways(module: nn.Module, x: torch.Tensor, folder: Path) -> list[mcuq.Model]:
    """The module, what is exported of it, and the file of that, compiled without data."""
    program = torch.export.export(module, (x[:1],))
    torch.export.save(program, folder / "net.pt2")
    sources: tuple[tuple[Any, Any], ...] = (
        (module, x[:1]), (program, None), (program.module(), x[:1]), (folder / "net.pt2", None)
    )  # fmt: skip
    return [mcuq.compile(source, example, name="net") for source, example in sources]


def _given(model: mcuq.Model) -> QuantizedModel:
    found = model.report.quantized_model
    assert found is not None
    return found


def _outputs(model: mcuq.Model, x: torch.Tensor) -> np.ndarray:
    qgraph = model.compiled.bundle.qgraph
    feeds = feeds_to_int(qgraph, data.from_arrays(x.numpy(), qgraph))
    found = outputs_of(qgraph, feeds)
    return next(port_to_real(port, found[port.name]) for port in qgraph.outputs)


def _sqnr(wanted: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / np.square(wanted - found).sum()))


def test_powers_of_two_are_kept_and_the_outputs_are_those_of_pt2e(tmp_path: Path) -> None:
    module, x = Given(2.0**-4), torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    models = _ways(module, x, tmp_path)
    given = [_given(model) for model in models]
    assert all(found.kept == 3 and not found.refitted for found in given)
    assert {tensor.moved for found in given for tensor in found.tensors} == {1.0}
    kept = mcuq.compile(module, x[:1], name="net", config=KEPT)  # a shift is all they need
    assert np.array_equal(_outputs(kept, x), _outputs(models[0], x))
    assert [step.op for step in kept.report.steps] == [step.op for step in models[0].report.steps]
    for model in models:
        # half up and half to even part where a sum lies between two steps
        assert np.abs(_outputs(model, x) - module(x).numpy()).max() <= 4 * 2.0**-4
        assert np.mean(_outputs(model, x) == module(x).numpy()) > 0.9


def test_other_scales_are_fitted_anew_and_the_report_says_how_far(tmp_path: Path) -> None:
    module, x = Given(0.05), torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    for model in _ways(module, x, tmp_path)[::3]:
        tensors = _given(model).tensors
        moved = [tensor.moved for tensor in tensors]
        assert len(moved) == 3
        assert moved[0] == 1.0  # the input's own, with its zero
        assert any(ratio != 1.0 for ratio in moved)
        assert all(0.02 < ratio < 2.5 for ratio in moved)  # weights of few steps get finer ones
        assert _sqnr(module(x).numpy(), _outputs(model, x)) > 25


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_torchao_programs_compile_without_data(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    module, x = networks()[name]
    converted = quantized(module, x)
    with torch.no_grad():
        wanted = torch.cat([converted(row) for row in x.split(1)]).numpy()
    if name == "mlp":
        models = _ways(converted, x, tmp_path)[::3]
    else:
        models = [mcuq.compile(converted, x[:1], name="net")]
    first = _outputs(models[0], x)
    for model in models:
        assert np.array_equal(_outputs(model, x), first)
        # Its own grid: shifts ask weights for steps of up to twice the given, which moves some.
        steps = _steps(first, wanted)
        assert steps.max() <= (2.01 if name == "cnn" else 4.01)
        assert (steps < 1.01).mean() > (0.98 if name == "cnn" else 0.7)
        moved = {t.name: t.moved for t in _given(model).tensors if t.kind == "activation"}
        assert moved["input"] == pytest.approx(1.0)
        inside = [ratio for tensor, ratio in moved.items() if tensor != "mean"]
        if name == "cnn":  # in the other, those around tanh move
            np.testing.assert_allclose(inside, 1.0, rtol=0.01)
    assert _sqnr(wanted, first) > (40 if name == "cnn" else 30)


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_kept_grids_are_a_step_off_at_most(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    module, x = networks()[name]
    converted = quantized(module, x)
    with torch.no_grad():
        wanted = torch.cat([converted(row) for row in x.split(1)]).numpy()
    model = mcuq.compile(converted, x[:1], name="net", config=KEPT)
    found = _outputs(model, x)
    steps = _steps(found, wanted)
    assert steps.max() <= 1.01
    assert (steps < 0.01).mean() > 0.96
    given = _given(model)
    assert (given.kept, given.refitted) == (len(given.tensors), 0)
    assert model.check([], vectors=4)[0].exact
    if name == "mlp":
        program = torch.export.export(converted, (x[:1],))
        torch.export.save(program, tmp_path / "net.pt2")
        again = mcuq.compile(tmp_path / "net.pt2", name="net", config=KEPT)
        assert np.array_equal(_outputs(again, x), found)


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_with_16_bits_inside_they_come_nearer(name: str) -> None:
    """All of the first; of the other more than of its own float network, which is 3 steps away."""
    pytest.importorskip("torchao")
    module, x = networks()[name]
    converted = quantized(module, x)
    with torch.no_grad():
        wanted = torch.cat([converted(row) for row in x.split(1)]).numpy()
    inside = {"cnn": ("relu", "relu_1", "mean"), "mlp": ("relu", "linear_1", "tanh")}[name]
    config = mcuq.Config(quantize={"bits": dict.fromkeys(inside, 16)})
    model = mcuq.compile(converted, x[:1], name="net", config=config)
    steps = _steps(_outputs(model, x), wanted)
    assert steps.max() <= (1.01 if name == "cnn" else 3.01)
    assert (steps < 1.01).mean() > (0.999 if name == "cnn" else 0.9)
    if name == "mlp":
        with torch.no_grad():
            own = _steps(module(x).numpy(), wanted)
        assert own.max() > 3
        assert (own < 1.01).mean() < 0.81


def _steps(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many steps of the grid of ``wanted`` each value is away."""
    return np.abs(found - wanted) / np.diff(np.unique(wanted)).min()
