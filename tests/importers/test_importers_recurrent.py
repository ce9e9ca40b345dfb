"""LSTM, GRU and RNN: every form against onnx's own evaluator, torch's exports, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx_models import Model, model, node, ops, random, run_graph, save

from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ir import Graph
from mcuq.passes import pipeline

STEPS, INPUTS, UNITS = 5, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def constants(op: str, directions: int = 1, start: float = 0.0) -> dict[str, Any]:
    rows = GATES[op] * UNITS
    found = {
        "w": random(directions, rows, INPUTS),
        "r": random(directions, rows, UNITS, seed=1),
        "b": random(directions, 2 * rows, seed=2),
    }
    for name in "hc" if start else "":
        found[name] = random(directions, 1, UNITS, low=-start, high=start)
    return found


def recurrent(
    op: str, inputs: str = "x w r b", outputs: str = "y", start: float = 0.0,
    given: Mapping[str, Any] | None = None, **attrs: Any,
) -> Model:  # fmt: skip
    directions = 2 if attrs.get("direction") == "bidirectional" else 1
    shape = (1, STEPS, INPUTS) if attrs.get("layout") else (STEPS, 1, INPUTS)
    held = constants(op, directions, start) | dict(given or {})
    if attrs.get("layout"):
        held.update((n, held[n].transpose(1, 0, 2)) for n in "hc" if n in held)
    made = node(op, inputs, outputs, hidden_size=UNITS, **attrs)
    made.output[:] = ["" if name == "-" else name for name in outputs.split()]
    known = {name: data for name, data in held.items() if name in inputs.split()}
    wanted = " ".join(name for name in outputs.split() if name != "-")
    return model([made], known, {"x": shape}, wanted)


def equal(proto: Model, folder: Path, checked: bool = True) -> Graph:
    """The graph after all passes, which gives what onnx's evaluator gives."""
    read = importers.read(save(proto, folder))
    if checked:
        assert importers.check(read) == ()
    passed = pipeline.run(read.graph)
    port = read.graph.inputs[0]
    x = random(*port.shape, low=-2.0, high=2.0)
    source = proto.graph.input[0].type.tensor_type.shape.dim
    wanted = ReferenceEvaluator(proto).run(None, {"x": x.reshape([d.dim_value for d in source])})
    for graph in (read.graph, passed):
        found = run_graph(graph, {port.name: x})
        for output, real in zip(graph.outputs, wanted, strict=True):
            values = found[output.name].reshape(real.shape)
            np.testing.assert_allclose(values, real, rtol=2e-5, atol=2e-6)
    return passed


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize(
    ("op", "attrs"),
    [("LSTM", {}), ("GRU", {"linear_before_reset": 1}), ("GRU", {}), ("RNN", {})],
    ids=["lstm", "gru after", "gru before", "rnn"],
)
def test_every_direction_and_layout(
    op: str, attrs: dict[str, Any], layout: int, direction: str, tmp_path: Path
) -> None:
    both = {"direction": direction, "layout": layout, **attrs}
    extra = " yc" if op == "LSTM" else ""
    equal(recurrent(op, outputs=f"y yh{extra}", **both), tmp_path)


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "steps"),
    [
        ("LSTM", "x w r", "y", ["all"]),
        ("LSTM", "x w r b", "- yh", ["last"]),
        ("LSTM", "x w r b", "- - yc", ["cell"]),
        ("LSTM", "x w r b", "y - yc", ["all", "cell"]),
        ("LSTM", "x w r b", "- yh yc", ["last", "cell"]),
        ("LSTM", "x w r b - h c", "y yh", ["all"]),
        ("LSTM", "x w r b - h", "y", ["all"]),
        ("LSTM", "x w r b - - c", "y", ["all"]),
        ("GRU", "x w r b", "- yh", ["last"]),
        ("GRU", "x w r - - h", "y yh", ["all"]),
        ("RNN", "x w r b - h", "- yh", ["last"]),
    ],
)
def test_inputs_and_outputs_left_out(
    op: str, inputs: str, outputs: str, steps: list[str], tmp_path: Path
) -> None:
    graph = equal(recurrent(op, inputs, outputs, start=2.0), tmp_path)
    assert [n.attrs["gives"] for n in graph.nodes if n.op == op.lower()] == steps


def test_all_is_spelled_out(tmp_path: Path) -> None:
    """As converters from Keras write it: activations, an empty eighth input, lengths of all."""
    acts = ["Sigmoid", "Tanh", "Tanh"]
    given = {"n": np.array([STEPS], np.int32)}
    equal(recurrent("LSTM", "x w r b n h c -", given=given, start=0.5, activations=acts), tmp_path)
    both = {"direction": "bidirectional", "activations": ["sigmoid", "tanh"] * 2}
    equal(recurrent("GRU", **both), tmp_path)


@pytest.mark.parametrize("name", ["Relu", "Sigmoid", "Tanh"])
def test_rnn_has_three_activations(name: str, tmp_path: Path) -> None:
    read = importers.read(save(recurrent("RNN", activations=[name]), tmp_path))
    c, x = constants("RNN"), random(1, STEPS, 1, INPUTS)
    act = {"Relu": lambda z: np.maximum(z, 0), "Sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    h, wanted = np.zeros(UNITS), []
    for step in x[0, :, 0]:
        z = c["w"][0] @ step + c["r"][0] @ h + c["b"][0, :UNITS] + c["b"][0, UNITS:]
        h = act.get(name, np.tanh)(z)
        wanted.append(h)
    found = run_graph(read.graph, {"x": x})["y"].reshape(STEPS, UNITS)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", GATES)
def test_clip_limits_what_the_gates_see(op: str, tmp_path: Path) -> None:
    """As ONNX Runtime does: not the cell."""
    read = importers.read(save(recurrent(op, "x w r", clip=0.25), tmp_path))
    assert "clip" in importers.check(read)[0]
    c, x, h, cell = constants(op), random(1, STEPS, 1, INPUTS), np.zeros(UNITS), np.zeros(UNITS)

    def limited(z: np.ndarray) -> np.ndarray:
        return np.clip(z, -0.25, 0.25)

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-limited(z)))

    for step in x[0, :, 0]:
        z, s = c["w"][0] @ step, c["r"][0] @ h
        if op == "RNN":
            h = np.tanh(limited(z + s))
        elif op == "GRU":
            (zz, zr, zn), (sz, sr, _) = np.split(z, 3), np.split(s, 3)
            n = np.tanh(limited(zn + c["r"][0, 2 * UNITS :] @ (sigmoid(zr + sr) * h)))
            h = (1 - sigmoid(zz + sz)) * n + sigmoid(zz + sz) * h
        else:
            i, o, f, g = np.split(z + s, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(limited(g))
            h = sigmoid(o) * np.tanh(cell)
    found = run_graph(read.graph, {"x": x})["y"].reshape(STEPS, UNITS)[-1]
    np.testing.assert_allclose(found, h, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (recurrent("LSTM", "x w r b - - - p", given={"p": np.ones((1, 12), np.float32)}),
         "with peepholes"),
        (recurrent("GRU", "x w r b n", given={"n": np.array([STEPS - 1], np.int32)}),
         "sequences of several lengths"),
        (recurrent("LSTM", input_forget=1), "with coupled gates"),
        (recurrent("LSTM", activations=["Relu", "Tanh", "Tanh"]), "activations Relu, Tanh, Tanh"),
        (recurrent("GRU", activations=["Sigmoid", "Softsign"]), "activations Sigmoid, Softsign"),
        (recurrent("RNN", activations=["Elu"]), "activations Elu"),
    ],
)  # fmt: skip
def test_what_has_no_form_is_refused(proto: Model, reason: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError) as error:
        importers.read(save(proto, tmp_path))
    assert reason in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def from_a_computed_state(folder: Path, steps: int) -> Path:
    held = constants("GRU")
    parts = [node("Slice", "x a e z", "h"), node("GRU", "x w r b - h", "y", hidden_size=UNITS)]
    held |= {"a": np.array([0]), "e": np.array([1]), "z": np.array([0])}
    held["w"] = random(1, 12, UNITS)
    return save(model(parts, held, {"x": (steps, 1, UNITS)}), folder)


def test_a_layer_that_starts_at_a_computed_state_is_unrolled(tmp_path: Path) -> None:
    importers.check(importers.read(from_a_computed_state(tmp_path, STEPS)))


def test_it_is_refused_over_many_steps(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="GRU over 33 steps from a state that is computed"):
        importers.read(from_a_computed_state(tmp_path, 33))


class Layers(torch.nn.Module):
    def __init__(self, kind: str, layers: int, both: bool, first: bool, takes: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        made = getattr(torch.nn, kind)
        self.layers = made(INPUTS, UNITS, layers, bidirectional=both, batch_first=first)
        self.takes, self.first = takes, first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, h = self.layers(x)
        if self.takes == "y":
            return y
        if self.takes == "last":
            return y[:, -1] if self.first else y[-1]
        return h[0][-1] if isinstance(h, tuple) else h[-1]


@pytest.mark.filterwarnings("ignore")  # the exporters warn
@pytest.mark.parametrize(
    ("kind", "layers", "both", "first", "takes", "dynamo", "found"),
    [
        ("LSTM", 1, False, True, "last", True, ["lstm"]),
        ("LSTM", 1, False, True, "last", False, ["lstm"]),
        ("LSTM", 2, True, False, "y", False, ["lstm", "lstm", "concat"] * 2),
        ("LSTM", 1, False, True, "h", True, ["lstm"]),
        ("GRU", 1, False, True, "h", True, ["gru"]),
        ("GRU", 2, True, True, "y", True, ["gru", "gru", "concat"] * 2),
        ("GRU", 1, True, True, "y", False, ["gru", "gru", "concat"]),
        ("RNN", 1, False, True, "last", False, ["rnn"]),
    ],
)
def test_what_torch_exports(
    kind: str, layers: int, both: bool, first: bool, takes: str, dynamo: bool,
    found: list[str], tmp_path: Path,
) -> None:  # fmt: skip
    module = Layers(kind, layers, both, first, takes).eval()
    shape = (1, STEPS, INPUTS) if first else (STEPS, 1, INPUTS)
    path = tmp_path / "net.onnx"
    torch.onnx.export(module, (torch.zeros(shape),), path, input_names=["x"], dynamo=dynamo)
    graph = equal(onnx.load(path), tmp_path)
    assert ops(graph) == found
    gives = {n.attrs["gives"] for n in graph.nodes if n.op != "concat"}
    assert gives == {"all" if takes == "y" else "last"}
