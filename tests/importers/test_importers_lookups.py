"""Rows of a constant by computed indices: integer inputs, and what ArgMax gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_models import model, node, ops, random, run_graph, save

import mcuq
from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ir import Graph

TABLE = random(7, 3)
IDS = np.array([[0, 6, 3, 3, 1], [5, 5, 2, 0, 6]])


def by_ids(nodes: list[Any], constants: dict[str, Any], ids: str = "x") -> Any:
    """A network whose input ``ids`` holds integers."""
    proto = model(nodes, constants, {ids: ("N", 5)})
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto


READ: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "an embedding": ([node("Gather", "t x", "y")], {"t": TABLE}),
    "columns": ([node("Gather", "t x", "y", axis=1)], {"t": TABLE.T}),
    "a table of images": ([node("Gather", "t x", "y", axis=1)], {"t": random(2, 7, 3, 2)}),
    "numbers": ([node("Gather", "t x", "y")], {"t": TABLE[:, 0]}),
    "words and places": (
        [node("Gather", "t x", "e"), node("Add", "e p", "y")], {"t": TABLE, "p": random(5, 3)},
    ),
    "behind a view": (
        [node("Reshape", "x s", "v"), node("Gather", "t v", "y")],
        {"t": TABLE, "s": np.array([0, 5, 1])},
    ),
    "twice": (
        [node("Gather", "t x", "a"), node("Gather", "u x", "b"), node("Mul", "a b", "y")],
        {"t": TABLE, "u": random(7, 3, seed=4)},
    ),
}  # fmt: skip


def agrees_on(proto: Any, ids: Any, folder: Path) -> Graph:
    """The graph, which gives what the evaluator gives for ``ids``."""
    read = importers.read(save(proto, folder))
    assert importers.check(read) == ()
    name = read.graph.inputs[0].name
    found = run_graph(read.graph, {name: ids})
    for port in read.graph.outputs:
        for row, one in zip(found[port.name], ids, strict=True):
            (wanted,) = ReferenceEvaluator(proto).run([port.name], {name: one[None]})
            np.testing.assert_allclose(row.reshape(wanted.shape), wanted, rtol=1e-6)
    return read.graph


@pytest.mark.parametrize("name", READ)
def test_an_integer_input(name: str, tmp_path: Path) -> None:
    graph = agrees_on(by_ids(*READ[name]), IDS, tmp_path)
    assert "lookup" in ops(graph)
    assert (graph.inputs[0].kind, graph.inputs[0].scale) == ("s16", (1.0,))


def test_real_inputs_that_are_cast_to_indices(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "i", to=6), node("Gather", "t i", "y")]
    proto = model(nodes, {"t": TABLE}, {"x": ("N", 5)})
    assert "lookup" in ops(agrees_on(proto, IDS.astype(np.float32), tmp_path))


def test_the_row_of_the_largest(tmp_path: Path) -> None:
    nodes = [node("ArgMax", "x", "i", axis=1, keepdims=0), node("Gather", "t i", "y")]
    proto = model(nodes, {"t": TABLE}, {"x": ("N", 7)})
    rows = random(16, 7)
    assert ops(agrees_on(proto, rows, tmp_path)) == ["argmax", "lookup"]
    compiled = mcuq.compile(save(proto, tmp_path), None, rows, effort="fast")
    assert compiled.check([])[0].exact


def test_compiled_it_is_exact(tmp_path: Path) -> None:
    nodes = [node("Gather", "t ids", "e"), node("MatMul", "e w", "y")]
    path = save(by_ids(nodes, {"t": TABLE, "w": random(3, 4)}, "ids"), tmp_path)
    rows = np.random.default_rng(0).integers(0, 7, (16, 5))
    compiled = mcuq.compile(path, None, rows, effort="fast")
    assert compiled.check([])[0].exact


REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "indices of reals": (
        [node("Sub", "x c", "i"), node("Gather", "t i", "y")],
        {"t": TABLE, "c": np.array([1])}, "its indices are computed from reals",
    ),
    "both are computed": (
        [node("Gather", "t x", "e"), node("Gather", "e x", "y", axis=1)], {"t": TABLE},
        "computed data by computed indices",
    ),
    "numbers as well": (
        [node("Gather", "t x", "e"), node("Cast", "x", "r", to=1), node("Mul", "r c", "z"),
         node("Add", "z e", "y")],
        {"t": TABLE[:, 0], "c": np.float32(2)}, "reads the input 'x' as numbers",
    ),
    "too many rows": (
        [node("Gather", "t x", "y")], {"t": np.zeros((32769, 1), np.float32)}, "32768 at most",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    nodes, constants, reason = REFUSED[name]
    with pytest.raises(McuqError, match=reason):
        importers.load(save(by_ids(nodes, constants), tmp_path))
