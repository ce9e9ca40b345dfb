"""The imported graph against its source: every difference is named, none is found that is not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx_models import model, node, random, save
from torch import Tensor, nn

from mcuq import importers
from mcuq.errors import ModelError
from mcuq.flows import compile
from mcuq.importers import onnx_run
from mcuq.importers.nodes import reductions
from mcuq.importers.nodes.call import NodeCall
from mcuq.importers.nodes.windows import images
from mcuq.measure import inspect

WEIGHTS = {"w": random(3, 4, 3, 3), "b": random(3)}
NETWORK = model(
    [
        node("Conv", "x w b", "c", pads=[1] * 4),
        node("Relu", "c", "r"),
        node("ReduceMean", "r", "m", axes=[2, 3], keepdims=0),
        node("Softmax", "m", "y"),
    ],
    WEIGHTS,
)
ROWS = random(16, 4, 6, 5, low=-1.0)


def path_of(proto: Any, folder: Path) -> Path:
    return save(proto, folder)


def swapped_pads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The importer as if it took top and left for each other."""
    right = images._edge
    monkeypatch.setattr(images, "_edge", lambda sizes: right(sizes)[::-1])


def test_the_first_difference_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped_pads(monkeypatch)
    nodes = [
        node("Relu", "x", "before"),
        node("Conv", "before w b", "c", pads=[0, 2, 2, 0]),
        node("Relu", "c", "y"),
    ]
    path = path_of(model(nodes, WEIGHTS, {"x": ("N", 4, 6, 6)}), tmp_path)
    data = random(16, 4, 6, 6, low=-1.0)
    with pytest.raises(ModelError, match=r"net\.onnx: node 'Conv:c': its result 'c' is"):
        compile.compile_model(path, calibration=data)
    with pytest.raises(ModelError, match="node 'Conv:c'"):
        inspect.inspect_model(path)


def test_another_shape_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped_pads(monkeypatch)
    path = path_of(model([node("Conv", "x w b", "y", pads=[0, 2, 0, 2])], WEIGHTS), tmp_path)
    with pytest.raises(ModelError, match=r"its result would be \(1, 3, 8, 3\)"):
        importers.check(importers.read(path))


def test_a_saturated_output_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax is 1 for the same class in both; what it reads is compared, too."""

    def doubled(call: NodeCall) -> Any:
        found = reductions.reduce_mean(call)
        tensor = call.builder.emit("add", "twice", (found.tensor,) * 2, "t", clip=images.NO_CLIP)
        return replace(found, tensor=tensor)

    monkeypatch.setitem(importers_table(), "ReduceMean", doubled)
    nodes = list(NETWORK.graph.node)
    wide = {"w": random(3, 4, 3, 3) * 0, "b": np.array([500, 0, -500], np.float32)}
    with pytest.raises(ModelError, match="its result 'm' is 1000 where it should be 500"):
        importers.check(importers.read(path_of(model(nodes, wide), tmp_path)))


def importers_table() -> Any:
    from mcuq.importers.nodes.handlers import HANDLERS

    return HANDLERS


def test_what_the_passes_change_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = compile.pipeline.run

    def wrong(graph: Any) -> Any:
        ready = right(graph)
        name = next(n.inputs[2] for n in ready.nodes if n.op == "conv2d")
        shifted = replace(ready.tensors[name], data=ready.data(name) + np.float32(0.5))
        return replace(ready, tensors={**ready.tensors, name: shifted})

    monkeypatch.setattr(compile.pipeline, "run", wrong)
    with pytest.raises(ModelError, match=r"output 'y': is .* after its layers were joined"):
        compile.compile_model(path_of(NETWORK, tmp_path), calibration=ROWS)


def test_described_bytes_are_compared_as_reals(tmp_path: Path) -> None:
    from mcuq.config import Config, InputConfig

    described = InputConfig(kind="u8", mean=(10.0, 20.0, 30.0, 40.0), std=(50.0, 60.0, 70.0, 80.0))
    made = compile.compile_model(
        path_of(NETWORK, tmp_path),
        calibration=(random(16, 4, 6, 5, low=0.0) * 255).astype(np.uint8),
        config=Config(inputs={"x": described}, quantize={"effort": "fast"}),
    )
    assert made.bundle.qgraph.inputs[0].kind == "u8"


def test_equal_numbers_for_an_argmax_may_give_either_index(tmp_path: Path) -> None:
    """The second and third score are equal but for rounding."""
    w = np.repeat(random(8, 2), 2, axis=1)[:, :3].astype(np.float32)
    nodes = [node("MatMul", "x w", "s"), node("Add", "s e", "t"), node("Sub", "t e", "u"),
             node("ArgMax", "u", "y", axis=1, keepdims=0)]  # fmt: skip
    noise = {"w": w, "e": random(3, low=1e3, high=2e3)}
    proto = model(nodes, noise, {"x": ("N", 8)})
    assert importers.check(importers.read(path_of(proto, tmp_path))) == ()


def test_cancelled_numbers_are_no_difference(tmp_path: Path) -> None:
    """x + 1e6 - 1e6: what float32 loses is not mcuq's fault."""
    nodes = [node("Add", "x e", "t"), node("Sub", "t e", "y")]
    proto = model(nodes, {"e": np.float32(1e6)}, {"x": ("N", 8)})
    assert importers.check(importers.read(path_of(proto, tmp_path))) == ()


def test_a_stated_batch_is_run_as_stated(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "f"), node("MatMul", "f w", "y")]
    constants = {"s": np.array([6, 120], np.int64), "w": random(120, 3)}
    proto = model(nodes, constants, {"x": (6, 4, 6, 5)})
    imported = importers.read(path_of(proto, tmp_path))
    assert imported.rows == 6
    assert importers.check(imported) == ()


def test_onnx_runtime_decides_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong evaluator refuses nothing if ONNX Runtime agrees; a wrong importer stays refused."""

    class Session:
        def __init__(self, content: bytes, providers: list[str]) -> None:
            self.run = onnx.reference.ReferenceEvaluator(onnx.load_from_string(content)).run

    runtime = ModuleType("onnxruntime")
    monkeypatch.setattr(runtime, "InferenceSession", Session, raising=False)
    monkeypatch.setattr(onnx_run, "_real", lambda array, kind: np.asarray(array, kind) * 1.01)
    imported = importers.read(path_of(NETWORK, tmp_path))
    with pytest.raises(ModelError, match="node 'Conv:c'"):
        importers.check(imported)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(onnx_run, "has_runtime", lambda: True)
    assert importers.check(imported) == ()
    swapped_pads(monkeypatch)
    uneven = model([node("Conv", "x w b", "y", pads=[0, 1, 1, 0])], WEIGHTS)
    with pytest.raises(ModelError, match="its result 'y'"):
        importers.check(importers.read(path_of(uneven, tmp_path)))


def test_what_the_evaluator_cannot_run_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise onnx_run.NotRunError("node 'c': no such operator")

    monkeypatch.setattr(onnx_run, "_evaluated", fails)
    found = importers.check(importers.read(path_of(NETWORK, tmp_path)))
    assert found == ("not compared with its source: node 'c': no such operator",)


class Divided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.relu(self.conv(x))
        return nn.functional.avg_pool2d(wide, 2, divisor_override=3).flatten(1)


class Dropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(torch.relu(x), 0.5, training=True)


class Remembering(nn.Module):
    """Its state is no buffer, and the exporter says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return torch.relu(x) * self.calls


LOST = {
    "divisor_override": (Divided, "value 'avg_pool2d': is .* as torch computes it"),
    "dropout in training": (Dropped, "Dropout in training mode"),
}


@pytest.mark.parametrize(("make", "said"), LOST.values(), ids=LOST)
def test_what_the_exporter_drops_is_refused(make: Any, said: str, tmp_path: Path) -> None:
    """Of a module, and of a program in a file."""
    torch.manual_seed(0)
    module, example = make().eval(), torch.rand(1, 3, 6, 6)
    with pytest.raises(ModelError, match=said):
        compile.compile_model(module, example, np.random.default_rng(0).random((16, 3, 6, 6)))
    torch.export.save(torch.export.export(module, (example,)), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match=said):
        inspect.inspect_model(tmp_path / "net.pt2")


class Half(nn.Module):
    """Layers whose weights have half the bits, between casts or from the input on."""

    def __init__(self, kind: torch.dtype, cast: bool) -> None:
        super().__init__()
        layers = [part for _ in range(6) for part in (nn.Linear(16, 16), nn.ReLU())]
        self.layers, self.kind = nn.Sequential(*layers, nn.Linear(16, 3)).to(kind), kind
        for layer in layers[::2]:
            nn.init.kaiming_normal_(layer.weight.data)  # type: ignore[arg-type]
        self.cast = cast

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.to(self.kind)).float() if self.cast else self.layers(x)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("cast", [True, False])
def test_half_precision_is_compared_without_its_rounding(kind: torch.dtype, cast: bool) -> None:
    torch.manual_seed(0)
    module = Half(kind, cast).eval()
    example = torch.randn(1, 16) if cast else torch.randn(1, 16).to(kind)
    imported = importers.read_torch(module, example)
    assert importers.check(imported) == ()
    with torch.no_grad():
        module.layers[4].bias += 0.02
    with pytest.raises(ModelError, match="as torch computes it"):
        importers.check(imported)


def test_torch_is_asked_where_the_evaluator_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise onnx_run.NotRunError("node 'c': no such operator")

    monkeypatch.setattr(onnx_run, "_evaluated", fails)
    torch.manual_seed(0)
    right = nn.Sequential(nn.Linear(6, 4), nn.ReLU()).eval()
    assert importers.check(importers.read_torch(right, torch.rand(1, 6))) == ()
    wrong = importers.read_torch(Divided().eval(), torch.rand(1, 3, 6, 6))
    with pytest.raises(ModelError, match="as torch computes it"):
        importers.check(wrong)


class Contracted(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.einsum("bij,bkj->bik", x, y)


def test_an_equation_is_no_name_of_a_file(tmp_path: Path) -> None:
    rows = (torch.rand(1, 4, 5), torch.rand(1, 3, 5))
    torch.export.save(torch.export.export(Contracted(), rows), tmp_path / "net.pt2")
    assert importers.check(importers.read(tmp_path / "net.pt2")) == ()


def test_modules_that_remember_are_refused() -> None:
    imported = importers.read_torch(Remembering().eval(), torch.rand(1, 3, 6, 6))
    with pytest.raises(ModelError, match="computes something else when it is run again"):
        importers.check(imported)
