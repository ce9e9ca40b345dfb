"""Functions of one value in a row become one table, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, feeds_for, model, node, ops, run_graph, save

from mcuq import exporters, importers
from mcuq.ir import Node
from mcuq.ops import chain, spec, validate
from mcuq.passes import pipeline
from mcuq.quantize import Options, quantize

NUMBERS = {name: np.float32(value) for name, value in (("one", 1), ("two", 2), ("half", 0.5))}
FAST = Options("fast")


def made(nodes: list[Any], folder: Path, outputs: str = "y", opset: int = 20) -> list[str]:
    return ops(agrees(model(nodes, NUMBERS, outputs=outputs, opset=opset), folder))


GATE = [node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Tanh", "m", "y")]
BELL = [node("Mul", "x x", "q"), node("Neg", "q", "n"), node("Exp", "n", "y")]
GROWTH = [node("Exp", "x", "e"), node("Add", "e one", "a"), node("Log", "a", "l"),
          node("Tanh", "l", "t"), node("Mul", "t half", "y")]  # fmt: skip
LIMITED = [node("Pow", "x two", "p"), node("Relu", "p", "r"), node("Sqrt", "r", "y")]


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        (GATE, ["smooth_chain"]),
        (BELL, ["smooth_chain"]),
        (GROWTH, ["smooth_chain"]),
        (LIMITED, ["chain"]),
        ([node("Sin", "x", "s"), node("Cos", "x", "c"), node("Mul", "s c", "y")], ["smooth_chain"]),
        ([node("Relu", "x", "r"), node("Tanh", "r", "y")], ["clip", "tanh"]),  # an edge, 16 bits
        ([node("Mul", "x two", "m"), node("Add", "m one", "y")], ["mul", "add"]),  # no function
    ],
)
def test_what_becomes_one(nodes: list[Any], found: list[str], tmp_path: Path) -> None:
    assert made(nodes, tmp_path) == found


def test_what_others_read_stays(tmp_path: Path) -> None:
    """An inner value that is an output, or that something else reads."""
    assert made(GATE, tmp_path, "y m") == ["silu", "tanh"]
    other = [*GATE[:2], node("Tanh", "m", "t"), node("Concat", "m t", "y", axis=1)]
    assert "tanh" in made(other, tmp_path)


def test_two_values_are_no_chain(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "s z", "y")]
    shapes = {"x": (1, 4), "z": (1, 4)}
    assert ops(agrees(model(nodes, inputs=shapes), tmp_path)) == ["sigmoid", "mul"]


def test_what_does_not_take_all_values_stays(tmp_path: Path) -> None:
    """Calibration has to see what a quotient divides by."""
    nodes = [node("Exp", "x", "e"), node("Add", "e one", "a"), node("Reciprocal", "a", "r")]
    found = made([*nodes, node("Sqrt", "r", "y")], tmp_path)
    assert "reciprocal" in found


def test_less_is_rounded(tmp_path: Path) -> None:
    """The errors of the whole are half a step of its output, and what rounding the input does."""
    graph = pipeline.run(importers.load(save(model(BELL, inputs={"x": (1, 64)}), tmp_path)))
    qgraph = quantize(graph, feeds_for(graph, 32), FAST)
    assert [n.op for n in qgraph.nodes] == ["lut"]
    table = qgraph.data(qgraph.nodes[0].inputs[1]).astype(np.float64)
    frac, y = qgraph.tensors["x"].frac, qgraph.tensors[graph.outputs[0].tensor]
    x = np.arange(-128, 128) * 2.0**-frac
    assert isinstance(y.frac, int)
    wanted = np.clip(np.exp(-x * x) * 2.0**y.frac + y.zero, -128, 127)
    assert np.abs(table - wanted).max() <= 0.5 + 1e-6


def test_outside_the_domain_the_nearest_value_counts(tmp_path: Path) -> None:
    nodes = [node("Sub", "x half", "a"), node("Sqrt", "a", "r"), node("Tanh", "r", "y")]
    graph = pipeline.run(importers.load(save(model(nodes, NUMBERS, {"x": (1, 9)}), tmp_path)))
    assert [n.op for n in graph.nodes] == ["chain"]
    rows = np.linspace(0.5, 3.5, 36, dtype=np.float32).reshape(4, 9)
    qgraph = quantize(graph, {"x": rows}, FAST)
    table = qgraph.data(qgraph.nodes[0].inputs[1])
    zero = qgraph.tensors["x"].zero
    assert zero == 0 or (table[: 128 + zero] == table[128 + zero]).all()
    assert (np.diff(table.astype(int)) >= 0).all()


def test_written_as_onnx_they_are_several_again(tmp_path: Path) -> None:
    graph = pipeline.run(importers.load(save(model(GROWTH, NUMBERS), tmp_path)))
    path = exporters.save(graph, tmp_path / "written.onnx")
    again = pipeline.run(importers.load(path))
    assert ops(again) == ops(graph) == ["smooth_chain"]
    feeds = feeds_for(graph)
    np.testing.assert_allclose(
        run_graph(again, feeds)["y"], run_graph(graph, feeds)["y"], rtol=1e-6
    )


@pytest.mark.parametrize(
    "steps",
    [
        ['["sigmoid", ["1"], {}]'],  # reads itself
        ['["conv2d", ["0"], {}]'],
        ['["sigmoid", ["0", "0"], {}]'],
        ['["mul", [1.0, 2.0], {"clip": [0, 1]}]'],
        ['["mul", ["0", NaN], {"clip": [0, 1]}]'],
        ['["elu", ["0"], {}]'],
        ["[" * 9999],
        ["{}"],
        [],
    ],
)
def test_steps_that_are_none_are_found(steps: list[str], tmp_path: Path) -> None:
    graph = pipeline.run(importers.load(save(model(GATE), tmp_path)))
    (good,) = graph.nodes
    assert list(validate.real_problems(graph)) == []
    bad = good.with_attrs(steps=tuple(steps))
    faults = list(validate.real_problems(replace(graph, nodes=(bad,))))
    assert len(faults) == 1
    assert good.name in faults[0]


def test_what_cannot_be_negative() -> None:
    square = chain.Step("mul", ("0", "0"), {"clip": (-np.inf, np.inf)})

    def sign(*steps: chain.Step) -> tuple[bool, float]:
        node = Node("chain", "n", ("x",), ("y",), {"steps": tuple(s.written for s in steps)})
        return spec("chain").keeps_sign(node), spec("chain").bounds(node)[0]

    assert sign(chain.Step("exp", ("0",), {"rate": 1.0})) == (True, 0.0)
    assert sign(square, chain.Step("tanh", ("1",), {})) == (True, -1.0)
    assert sign(chain.Step("sub", (1.0, "0"), {"clip": (-np.inf, np.inf)})) == (False, -np.inf)
