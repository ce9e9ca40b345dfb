"""A quantized model's own grids: its integers, whatever the scales, also in C."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mcuq
from mcuq.data import feeds as data
from mcuq.errors import McuqError
from mcuq.reference import feeds_to_int, outputs_of, port_to_real

pytest.importorskip("torch.ao.quantization.fx._decomposed")
KEPT = mcuq.Config(quantize={"grids": "kept"})


def rounded(x: torch.Tensor, scale: float, zero: int) -> torch.Tensor:
    """What PT2E writes around an activation."""
    ops = torch.ops.quantized_decomposed
    steps = ops.quantize_per_tensor(x, scale, zero, -128, 127, torch.int8)
    found: torch.Tensor = ops.dequantize_per_tensor(steps, scale, zero, -128, 127, torch.int8)
    return found


class Layer(nn.Module):
    """A layer whose weights are integers with a scale per channel."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        steps = torch.randint(-127, 128, shape, generator=chance).to(torch.int8)
        self.register_buffer("w", steps)
        self.register_buffer("scales", 0.003 + 0.004 * torch.rand(shape[0], generator=chance))
        self.register_buffer("zeros", torch.zeros(shape[0], dtype=torch.int64))
        self.register_buffer("bias", torch.randn(shape[0], generator=chance))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = torch.ops.quantized_decomposed.dequantize_per_channel(
            self.w, self.scales, self.zeros, 0, -127, 127, torch.int8
        )
        if w.dim() == 2:
            return nn.functional.linear(x, w, self.bias)
        return nn.functional.conv2d(x, w, self.bias, padding=1)


class Joins(nn.Module):
    """Sums, concatenations, pools and functions between tensors of different scales."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Layer((6, 3, 3, 3), 0), Layer((6, 6, 3, 3), 1)
        self.last = Layer((4, 12), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = rounded(x, 0.0211, -7)
        a = rounded(self.first(x).relu(), 0.0293, -128)
        b = rounded(self.second(a), 0.0877, 11)
        total = rounded(a + b, 0.0931, -3)
        shares = rounded(total.sigmoid(), 0.00395, -128)
        both = rounded(torch.cat([a, shares], 1), 0.0293, -128)
        mean = rounded(both.mean((2, 3)), 0.0151, -128)
        return rounded(self.last(mean), 0.0417, 5)


class Function(nn.Module):
    """One table between two grids."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return rounded(rounded(x, 0.0317, 9).tanh(), 0.0079, 0)


def compiled(module: nn.Module, x: torch.Tensor) -> mcuq.Model:
    return mcuq.compile(module, x[:1], name="net", config=KEPT)


def outputs(model: mcuq.Model, x: torch.Tensor) -> np.ndarray:
    qgraph = model.compiled.bundle.qgraph
    feeds = feeds_to_int(qgraph, data.from_arrays(x.numpy(), qgraph))
    (port,) = qgraph.outputs
    return port_to_real(port, outputs_of(qgraph, feeds)[port.name])


def test_whatever_joins_scales_stays_within_a_step() -> None:
    module, x = Joins().eval(), torch.randn(64, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    model = compiled(module, x)
    steps = np.abs(outputs(model, x) - module(x).numpy()) / 0.0417
    assert steps.max() < 1.01
    assert (steps < 0.01).mean() > 0.9
    given = model.report.quantized_model
    assert given is not None
    assert not given.refitted
    assert {round(tensor.moved, 4) for tensor in given.tensors} == {1.0}
    assert model.check([], vectors=4)[0].exact


def test_a_function_is_a_table_of_the_models_own_integers() -> None:
    module = Function().eval()
    x = ((torch.arange(-128, 128).float() - 9) * 0.0317).reshape(-1, 1)
    found, wanted = outputs(compiled(module, x), x), module(x).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-6)  # float32 of the same integers


def test_a_float_model_has_no_grids_to_keep() -> None:
    x = torch.randn(16, 4)
    with pytest.raises(McuqError, match="it is no quantized model"):
        mcuq.compile(nn.Linear(4, 3), x[:1], name="net", config=KEPT, calibration=x.numpy())


def test_bits_go_with_fitted_numbers() -> None:
    config = mcuq.Config(quantize={"grids": "kept", "bits": 16})
    with pytest.raises(McuqError, match="bits: goes with fitted numbers"):
        mcuq.compile(Function().eval(), torch.randn(1, 4), name="net", config=config)


class Logarithm(nn.Module):
    """A function without 16 bits, and without a grid of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = rounded(x, 0.03, 0)
        return rounded((x.abs() + 1).log() * x.flip(-1), 0.07, 0)


def test_operators_of_8_bits_between_grids_are_refused_by_name() -> None:
    with pytest.raises(
        McuqError, match=r"its grids cannot be kept: chain \('.*'\) computes with 8"
    ):
        compiled(Logarithm().eval(), torch.randn(2, 8))
