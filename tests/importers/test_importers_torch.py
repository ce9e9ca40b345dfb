"""PyTorch modules and .pt2 files, against torch itself."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_models import ops, run_graph
from torch import nn
from torch.nn import functional

from mcuq import importers
from mcuq.errors import ModelError
from mcuq.ir import Graph
from mcuq.passes import pipeline

Tensor = torch.Tensor


class Features(nn.Module):
    """Images: norm, fused activations, F.pad, cat, mean, adaptive pooling, flatten, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU())
        self.left = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.SiLU())
        self.right = nn.Sequential(nn.Conv2d(8, 4, 1), nn.Hardswish())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(12, 5)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(functional.pad(image, (0, 1, 0, 1)))
        x = torch.cat([self.left(x), self.right(x)], 1)
        return self.head(self.pool(x).flatten(1)), x.mean((2, 3))


class Series(nn.Module):
    """Sequences: conv1d, a permute and reshape, linear layers on rank 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU6())
        self.mix = nn.Sequential(nn.Linear(6, 8), nn.GELU("tanh"), nn.Linear(8, 3))

    def forward(self, series: Tensor) -> Tensor:
        x = self.mix(self.conv(series).permute(0, 2, 1))
        return x.reshape(x.shape[0], -1).softmax(-1)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    module = make()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return module


def compare(graph: Graph, module: nn.Module, example: Tensor) -> None:
    with torch.no_grad():
        wanted = module.eval()(example)
    found = run_graph(graph, {graph.inputs[0].name: example.numpy()})
    listed = wanted if isinstance(wanted, tuple) else (wanted,)
    for port, real in zip(graph.outputs, listed, strict=True):
        np.testing.assert_allclose(found[port.name], real.numpy(), rtol=1e-4, atol=1e-5)


CASES = {
    "features": (
        Features, (2, 3, 9, 8),
        ["conv2d", "gelu", "depthwise_conv2d", "silu", "conv2d", "hard_swish", "concat",
         "avg_pool2d", "reshape", "dense", "avg_pool2d"],
    ),
    "series": (
        Series, (2, 4, 7), ["conv2d", "conv2d", "gelu", "conv2d", "reshape", "softmax"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shape", "wanted"), CASES.values(), ids=CASES)
def test_from_torch(make: Any, shape: Any, wanted: list[str], capfd: Any) -> None:
    module = seeded(make)
    module.train()
    example = torch.rand(shape)
    graph = pipeline.run(importers.from_torch(module, example))
    assert all(part.training for part in module.modules())
    assert capfd.readouterr() == ("", "")
    assert sorted(ops(graph)) == sorted(wanted)
    compare(graph, module, example)


def test_without_gradients_attention_is_written_out(capfd: Any) -> None:
    """There torch takes fused kernels of its own, which ONNX has no form for."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    module = seeded(lambda: nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)).eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad():
        graph = importers.from_torch(module, torch.rand(1, 5, 8))
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert capfd.readouterr() == ("", "")
    compare(graph, module, torch.rand(1, 5, 8))


def test_unsupported_modules_are_named() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.det(x.reshape(1, 2, 2))

    with pytest.raises(ModelError, match="Det is not supported"):
        importers.from_torch(Net(), torch.rand(1, 4))


def test_modules_that_cannot_be_exported() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="cannot be exported to ONNX") as caught:
        importers.from_torch(Branch(), torch.rand(1, 4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("example", [None, (), "x", torch.rand(()), (torch.rand(0, 3),)])
def test_examples_must_be_tensors(example: Any) -> None:
    with pytest.raises(ModelError, match="example input"):
        importers.from_torch(nn.ReLU(), example)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved program with a dynamic batch."""
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU())).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, (torch.rand(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


def test_pt2(archive: Path, capfd: Any) -> None:
    graph = pipeline.run(importers.load(archive))
    assert capfd.readouterr() == ("", "")
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    compare(graph, module, torch.rand(3, 4))


def changed(archive: Path, folder: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of the archive whose files ``change`` has edited."""
    with zipfile.ZipFile(archive) as source:
        files = {i.filename.partition("/")[2]: source.read(i) for i in source.infolist()}
    change(files)
    path = folder / "changed.pt2"
    with zipfile.ZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(f"net/{name}", content)
    return path


class Bomb:
    """Its pickle calls a function."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("code of the file was run",))


def _pickled_weights(files: dict[str, bytes]) -> None:
    key = "data/weights/model_weights_config.json"
    config = json.loads(files[key])
    next(iter(config["config"].values()))["use_pickle"] = True
    files[key] = json.dumps(config).encode()
    files["data/weights/weight_0"] = pickle.dumps(Bomb())


def _custom_object(files: dict[str, bytes]) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    config = {"config": {"c": {**entry, "tensor_meta": None}}}
    files["data/constants/model_constants_config.json"] = json.dumps(config).encode()
    files["data/constants/opaque_obj_0"] = pickle.dumps(Bomb())


def _legacy_weights(files: dict[str, bytes]) -> None:
    files["data/weights/model.pt"] = pickle.dumps(Bomb())


def _sample(files: dict[str, bytes]) -> None:
    files["data/sample_inputs/model.pt"] = pickle.dumps(Bomb())


def _library(files: dict[str, bytes]) -> None:
    files["data/aotinductor/model/x.so"] = b""


def _program(find: str, put: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        text = files["models/model.json"].decode()
        assert find in text
        files["models/model.json"] = text.replace(find, put).encode()

    return change


HOSTILE = {
    "pickled weights": _pickled_weights,
    "custom object": _custom_object,
    "legacy weights": _legacy_weights,
    "sample inputs": _sample,
    "library": _library,
    "operator": _program("torch.ops.aten.relu.default", "torch.os.system"),
    "size": _program("Symbol(", "__import__("),
    "tree": _program("builtins.tuple", "collections.defaultdict"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_nothing_in_an_archive_is_run(change: Any, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="without running its code"):
        importers.load(changed(archive, tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip"])
def test_damaged_archives(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a \.pt2 archive"):
        importers.load(path)


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        importers.load(tmp_path / "net.pt2")


class _TimeFirst(nn.Module):
    """The mean over time, which lies in front, as torch's recurrent layers have it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0].mean(0)


def test_time_in_front_is_no_batch() -> None:
    module, rows = _TimeFirst().eval(), torch.randn(6, 1, 4)
    graph = importers.from_torch(module, rows)
    assert graph.inputs[0].shape == (1, 6, 1, 4)
    found = run_graph(graph, {graph.inputs[0].name: rows[None].numpy()})
    wanted = module(rows).detach().numpy()
    np.testing.assert_allclose(found[graph.outputs[0].name].reshape(1, 3), wanted, atol=1e-5)


def test_a_batch_is_one() -> None:
    graph = importers.from_torch(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), torch.randn(6, 4))
    assert graph.inputs[0].shape == (1, 4)
