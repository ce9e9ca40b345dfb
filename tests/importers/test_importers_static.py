"""Every ONNX that means a static network: sizes, batches, old forms, functions, control flow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_models import agrees, model, node, random, run_graph, save

from mcuq import importers
from mcuq.importers.sizes import Sizes
from mcuq.ir import Graph
from mcuq.passes import pipeline

INT = np.int64
FLOAT = onnx.TensorProto.FLOAT


def whole(
    proto: Any, folder: Path, sizes: Sizes | None = None, tolerance: float = 2e-5, **feeds: Any
) -> Graph:
    """The graph of a network without a batch: one run of the evaluator is one inference."""
    graph = importers.load(save(proto, folder), sizes)
    given = {
        port.name: random(*port.shape[1:], seed=index, low=-2.0, high=2.0)
        for index, port in enumerate(graph.inputs)
    }
    shapes = {i.name: _dims(i) for i in proto.graph.input}
    given = {n: feeds.get(n, v.reshape(_known(shapes[n], v))) for n, v in given.items()}
    wanted = ReferenceEvaluator(proto).run(None, given)
    rows = {p.name: given[p.name].reshape(1, *p.shape[1:]) for p in graph.inputs}
    for one in (graph, pipeline.run(graph)):
        found = run_graph(one, rows)
        for port, real in zip(one.outputs, wanted, strict=True):
            values = found[port.name].reshape(np.shape(real))
            np.testing.assert_allclose(values, real, rtol=tolerance, atol=tolerance)
    return graph


def _dims(info: Any) -> tuple[int, ...]:
    return tuple(d.dim_value for d in info.type.tensor_type.shape.dim)


def _known(dims: tuple[int, ...], values: Any) -> tuple[int, ...]:
    return dims if dims and min(dims) > 0 else (1, *values.shape)


W = random(5, 3)
CHANNELS = random(4, 3, 2, 2)
NO_BATCH: dict[str, tuple[Any, Any, Mapping[str, Any]]] = {
    "softmax over axis 0": (
        [node("MatMul", "x w", "m"), node("Softmax", "m", "y", axis=0)], {"w": random(8, 3)},
        {"x": (5, 8)},
    ),
    "softmax of three axes": ([node("Softmax", "x", "y", axis=0)], {}, {"x": (3, 4, 5)}),
    "an image without a batch": (
        [node("Unsqueeze", "x a", "u"), node("Conv", "u w", "y")],
        {"a": np.array([0]), "w": CHANNELS}, {"x": (3, 6, 5)},
    ),
    "frames and their mean": (
        [node("MatMul", "x w", "m"), node("ReduceMean", "m", "y", axes=[0], keepdims=0)],
        {"w": random(10, 3)}, {"x": (49, 10)},
    ),
    "a vector": (
        [node("Unsqueeze", "x a", "u"), node("Gemm", "u w", "y")],
        {"a": np.array([0]), "w": random(8, 3)}, {"x": (8,)},
    ),
    "a vector times a matrix": ([node("MatMul", "x w", "y")], {"w": random(8, 3)}, {"x": (8,)}),
    "a number": ([node("Sigmoid", "x", "y")], {}, {"x": ()}),
    "all axes": (
        [node("Tanh", "x", "t"), node("ReduceMean", "t", "y", keepdims=0)], {}, {"x": (4, 6)},
    ),
    "rows of other constants": (
        [node("Mul", "x c", "y")], {"c": random(4, 1)}, {"x": (4, 6)},
    ),
    "transposed": (
        [node("Transpose", "x", "t"), node("MatMul", "t w", "y")], {"w": random(4, 3)},
        {"x": (4, 6)},
    ),
    "squeezed, then a mean over axis 0": (
        [node("Conv", "x w", "c"), node("Squeeze", "c a", "s"),
         node("ReduceMean", "s", "y", axes=[0])], {"w": CHANNELS, "a": np.array([0])},
        {"x": (1, 3, 6, 5)},
    ),
    "squeezed, then a maximum over axis 0": (
        [node("Squeeze", "x a", "s"), node("ReduceMax", "s", "y", axes=[0], keepdims=0)],
        {"a": np.array([0])}, {"x": (1, 3, 6, 5)},
    ),
    "joined rows": ([node("Concat", "x x", "y", axis=0)], {}, {"x": (3, 4)}),
    "joined in the middle": (
        [node("Tanh", "x", "t"), node("Concat", "t x t", "c", axis=1),
         node("ReduceMax", "c", "y", axes=[0])], {}, {"x": (2, 3, 4, 5)},
    ),
    "the best row": ([node("ArgMax", "x", "y", axis=0, keepdims=0)], {}, {"x": (4, 6)}),
    "joined on axis 0 of five": (
        [node("Reshape", "x r", "v"), node("Concat", "v v", "y", axis=0)],
        {"r": np.array([2, 1, 3, 2, 2])}, {"x": (2, 3, 4)},
    ),
    "computed operands of other ranks": (
        [node("ReduceMean", "x", "m", axes=[0], keepdims=0), node("Sub", "x m", "y")], {},
        {"x": (5, 8)},
    ),
    "transposed weights": (
        [node("Gemm", "x w", "y", transA=1)], {"w": random(4, 3)}, {"x": (4, 6)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "inputs"), NO_BATCH.values(), ids=NO_BATCH)
def test_no_batch_axis(nodes: Any, constants: Any, inputs: Any, tmp_path: Path) -> None:
    graph = whole(model(nodes, constants, inputs), tmp_path)
    shape = inputs["x"]
    assert graph.inputs[0].shape == (shape if shape[:1] == (1,) else (1, *shape))
    if len(shape) > 1 and shape[0] > 1:
        (note,) = graph.notes
        assert f"the first axis of the input, {shape[0]}, is no batch" in note


BATCHES: dict[str, tuple[Any, Any, Mapping[str, Any]]] = {
    "dense": ([node("MatMul", "x w", "y")], {"w": random(10, 3)}, {"x": (7, 10)}),
    "reshaped to its size": (
        [node("Reshape", "x r", "f"), node("Gemm", "f g", "y")],
        {"r": np.array([7, 120]), "g": random(120, 2)}, {"x": (7, 4, 6, 5)},
    ),
    "joined with the positions": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Reshape", "t r", "f"),
         node("Gemm", "f g", "h"), node("Reshape", "h b", "y")],
        {"r": np.array([-1, 4]), "g": random(4, 3), "b": np.array([7, 6, 3])}, {"x": (7, 4, 6)},
    ),
    "second axis": (
        [node("Transpose", "x", "t", perm=[1, 0, 2]), node("MatMul", "t w", "m"),
         node("Softmax", "m", "s", axis=0), node("Transpose", "s", "y", perm=[1, 0, 2])],
        {"w": random(5, 3)}, {"x": (7, 4, 5)},
    ),
    "a constant row for each": (
        [node("Add", "x c", "y")], {"c": np.repeat(random(1, 4, 5), 7, 0)}, {"x": (7, 4, 5)},
    ),
    "images": (
        [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "y")],
        {"w": random(6, 4, 3, 3)}, {"x": (7, 4, 6, 5)},
    ),
    "expanded": (
        [node("Expand", "x e", "v"), node("Relu", "v", "y")], {"e": np.array([7, 4])},
        {"x": (7, 4)},
    ),
    "two inputs": ([node("Add", "x z", "y")], {}, {"x": (7, 4), "z": (7, 4)}),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "inputs"), BATCHES.values(), ids=BATCHES)
def test_a_batch_of_rows_treated_alike_becomes_one(
    nodes: Any, constants: Any, inputs: Any, tmp_path: Path
) -> None:
    graph = importers.load(save(model(nodes, constants, inputs), tmp_path))
    assert graph.inputs[0].shape == (1, *inputs["x"][1:])
    (note,) = graph.notes
    assert "the first axis of the input, 7, is a batch" in note
    agrees(model(nodes, constants, inputs), tmp_path, rows=7)
