"""Features of sound recognised in a graph: what ``torch.stft`` and its followers become."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from benchmarks.made.speech import words
from mcuq import importers
from mcuq.config import Config, InputConfig
from mcuq.data import feeds
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model, prepare
from mcuq.importers.source import import_model
from mcuq.ir import Array, Graph
from mcuq.measure import check
from mcuq.reference import run_float

SAMPLES, POINTS, HOP, BANDS = 1600, 128, 64, 12
CHANCE = np.random.default_rng(0)
MEL = np.abs(CHANCE.normal(size=(POINTS // 2 + 1, BANDS))).astype(np.float32)
DCT = CHANCE.normal(size=(BANDS, 5)).astype(np.float32)


class Sound(nn.Module):
    """As ``torchaudio`` writes spectrograms, bands, and their logarithms in decibels."""

    def __init__(self, center: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.center = center
        self.register_buffer("window", torch.hann_window(100))
        self.register_buffer("mel", torch.from_numpy(MEL))
        self.net = nn.Conv1d(BANDS, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.stft(x, POINTS, HOP, 100, self.window, center=self.center,
                           return_complex=True)  # fmt: skip
        power = found.abs().pow(2.0)
        bands = torch.matmul(power.transpose(-1, -2), self.mel).transpose(-1, -2)
        decibels = 10.0 * torch.log10(torch.clamp(bands, min=1e-7))
        return self.net(decibels / 20).mean(-1)


def graph_of(model: Any, example: Any = None) -> Graph:
    config = Config({"x": InputConfig("pcm16", std=(32768.0,))})
    return prepare(import_model(model, example).graph, config)


@pytest.mark.slow
@pytest.mark.parametrize("center", [False, True])
def test_pytorch_s_export_is_one_node_and_exact(center: bool) -> None:
    sound = words(12, SAMPLES)
    config = Config({"x": InputConfig("pcm16", std=(32768.0,))}, {"effort": "fast"})
    net = Sound(center).eval()
    made = compile_model(net, torch.zeros(1, SAMPLES), sound, name="sound", config=config)
    ops = [node.op for node in made.bundle.graph.nodes]
    assert ops[0] == "features"
    assert "mul" not in ops
    graph = made.bundle.graph
    rows = feeds.from_arrays(sound[:2], graph)
    found = run_float(graph, {n: v.astype(np.float32) for n, v in rows.items()})
    with torch.no_grad():
        wanted = net(torch.from_numpy(sound[:2] / np.float32(32768))).numpy()
    assert np.allclose(found[graph.outputs[0].tensor].reshape(2, 3), wanted, atol=1e-3)
    assert all(verdict.exact for verdict in check.check(made, [], 2))


def stft(*behind: onnx.NodeProto, bands: int = BANDS, points: int = POINTS) -> onnx.ModelProto:
    """x, its STFT ``s`` (1, frames, bins, 2), the nodes ``behind``, of which the last writes y."""
    constants = {
        "axis": np.array([-1]), "hop": np.array(HOP), "length": np.array(points),
        "two": np.float32(2),
        "window": np.hanning(points).astype(np.float32), "mel": MEL, "dct": DCT,
        "one": np.float32(1e-3), "half": np.float32(0.5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["u"]),
        helper.make_node("STFT", ["u", "hop", "window", "length"], ["s"], onesided=1),
        *behind,
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, SAMPLES))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    data = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "sound", inputs, outputs, data)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def node(op: str, inputs: str, output: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attrs)


POWER = (node("Mul", "s s", "q"), node("ReduceSum", "q axis", "p", keepdims=0))
SIZE = (node("ReduceL2", "s axis", "p", keepdims=0),)
LOG = (node("MatMul", "p mel", "b"), node("Add", "b one", "a"), node("Log", "a", "l"))


@pytest.mark.parametrize(
    ("behind", "root", "shape"),
    [
        ((*POWER, *LOG, node("Mul", "l half", "y")), False, (1, 24, BANDS)),
        ((*SIZE, *LOG, node("Sub", "l half", "y")), True, (1, 24, BANDS)),
        ((*SIZE, node("Pow", "p two", "p2"), node("Max", "p2 one", "m"), node("Log", "m", "y")),
         False, (1, 24, POINTS // 2 + 1)),
        ((*POWER, *LOG, node("Add", "l half", "h"), node("MatMul", "h dct", "y")), False,
         (1, 24, 5)),
        ((*POWER, node("Sqrt", "p", "r"), node("MatMul", "r mel", "b"), node("Clip", "b one", "c"),
          node("Log", "c", "l"), node("Transpose", "l", "y", perm=(0, 2, 1))), True,
         (1, 24, BANDS)),
    ],
)  # fmt: skip
def test_forms(behind: Any, root: bool, shape: Any, tmp_path: Any) -> None:
    path = tmp_path / "sound.onnx"
    onnx.save(stft(*behind), path)
    imported = import_model(path, None).imported
    assert imported is not None
    assert importers.check(imported) == ()  # as onnx's evaluator computes it
    (made, *rest) = [n for n in imported.graph.nodes if n.op != "reshape"]
    assert (made.op, made.attrs["root"], rest) == ("features", root, [])
    assert imported.graph.shape(made.output) == shape


def test_half_of_the_spectrum_is_the_default(tmp_path: Any) -> None:
    """onnx's inference takes the whole spectrum, its evaluator and everybody else a half."""
    proto = stft(*POWER, *LOG, node("Unsqueeze", "l axis", "y"))
    transform = next(n for n in proto.graph.node if n.op_type == "STFT")
    del transform.attribute[:]
    path = tmp_path / "sound.onnx"
    onnx.save(proto, path)
    graph = graph_of(path)
    assert [n.op for n in graph.nodes if n.op != "reshape"] == ["features"]
    assert graph.outputs[0].shape == (1, 24, BANDS, 1)


@pytest.mark.parametrize(
    ("behind", "points", "text"),
    [
        ((*SIZE, node("MatMul", "p mel", "y")), POINTS, "STFT without the logarithm of a power"),
        ((*SIZE, node("Log", "p", "y")), 100, "power of two in 64..2048"),
    ],
)
def test_what_is_no_features_is_refused(behind: Any, points: int, text: str, tmp_path: Any) -> None:
    path = tmp_path / "sound.onnx"
    onnx.save(stft(*behind, points=points), path)
    with pytest.raises(McuqError) as caught:
        import_model(path, None)
    assert text in str(caught.value)


def test_samples_are_scaled_within_the_node(tmp_path: Any) -> None:
    path = tmp_path / "sound.onnx"
    onnx.save(stft(*POWER, *LOG[:2], node("Log", "a", "y")), path)
    graph = graph_of(path)
    assert [n.op for n in graph.nodes] == ["features"]
    assert graph.nodes[0].attrs["gain"] == pytest.approx(1 / 32768)
    port = graph.inputs[0]
    assert (port.kind, port.scale) == ("s16", (1 / 32768,))
    data: Array = words(1, SAMPLES)
    found = run_float(graph, {"x": data.astype(np.float32)})[graph.outputs[0].tensor]
    assert found.shape == (1, 24, BANDS)
