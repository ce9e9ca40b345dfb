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
from mcuq.errors import McuqError
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
    assert agrees(model(nodes, constants, inputs), tmp_path, rows=7).notes == graph.notes


ACROSS = {
    "softmax": [node("Softmax", "x", "y", axis=0)],
    "mean": [node("ReduceMean", "x", "y", axes=[0, 2])],
    "argmax": [node("ArgMax", "x", "y", axis=0)],
    "concat": [node("Relu", "x", "h"), node("Concat", "h h", "y", axis=0)],
}  # fmt: skip


@pytest.mark.parametrize("nodes", ACROSS.values(), ids=ACROSS)
def test_an_open_batch_is_not_crossed(nodes: Any, tmp_path: Path) -> None:
    (fault,) = importers.problems_of(save(model(nodes), tmp_path))
    assert "over the batch" in str(fault)
    importers.load(tmp_path / "net.onnx", Sizes({"x": (1, 4, 6, 5)}))  # now that is all of it


def test_an_open_axis_of_time_is_no_batch(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "t"),
        node("Unsqueeze", "t a", "u"),
        node("Conv", "u w", "y", pads=[1, 1]),
    ]
    proto = model(nodes, {"a": np.array([0]), "w": random(3, 4, 3)}, {"x": ("frames", 4)})
    (fault,) = importers.problems_of(save(proto, tmp_path))
    assert "Conv takes them for places" in str(fault)
    assert importers.load(tmp_path / "net.onnx", Sizes({"x": (7, 4)})).inputs[0].shape == (1, 7, 4)


def test_a_given_shape_is_that_of_one_inference(tmp_path: Path) -> None:
    proto = model([node("MatMul", "x w", "y")], {"w": random(10, 3)}, {"x": (49, 10)})
    graph = whole(proto, tmp_path, Sizes({"x": (49, 10)}))
    assert graph.inputs[0].shape == (1, 49, 10)
    assert graph.notes == ()
    data = Sizes(data=lambda: {"x": (100, 49, 10)})
    assert whole(proto, tmp_path, data).inputs[0].shape == (1, 49, 10)
    assert importers.load(tmp_path / "net.onnx").inputs[0].shape == (1, 10)


OPEN = {
    "given": (("N", 4, "H", "W"), Sizes({"x": (1, 4, 6, 5)}), (1, 4, 6, 5), "as --shape says"),
    "data": (
        ("N", 4, "H", "W"), Sizes(data=lambda: {"x": (9, 4, 6, 5)}), (1, 4, 6, 5),
        "as the calibration data has it",
    ),
    "data without a name": (
        ("N", 4, "H", 5), Sizes(data=lambda: {"images": (9, 4, 6, 5), "y": (9,)}), (1, 4, 6, 5),
        "as the calibration data has it",
    ),
    "fixed batch": (
        (1, 4, -1, 5), Sizes(data=lambda: {"x": (9, 4, 6, 5)}), (1, 4, 6, 5),
        "input 'x' is 1,4,6,5, as the calibration data has it",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dims", "sizes", "shape", "note"), OPEN.values(), ids=OPEN)
def test_open_sizes(dims: Any, sizes: Sizes, shape: Any, note: str, tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"), node("Shape", "c", "s"), node("Slice", "s two four", "t"),
        node("ReduceProd", "t", "p", keepdims=1), node("Concat", "one p", "r", axis=0),
        node("Reshape", "c r", "y"),
    ]  # fmt: skip
    constants = {"w": random(6, 4, 1, 1), "one": np.array([6]), "two": np.array([2]),
                 "four": np.array([4])}  # fmt: skip
    proto = model(nodes, constants, {"x": dims})
    graph = importers.load(save(proto, tmp_path), sizes)
    assert graph.inputs[0].shape == shape
    (line,) = graph.notes
    assert note in line
    x = random(*shape)
    (wanted,) = ReferenceEvaluator(model(nodes, constants, {"x": shape})).run(None, {"x": x})
    np.testing.assert_allclose(run_graph(graph, {"x": x})["y"].reshape(wanted.shape), wanted,
                               atol=2e-5)  # fmt: skip


WRONG = {
    "unknown": ({"z": (1, 4, 6, 5)}, "has no input 'z', named by --shape"),
    "rank": ({"x": (1, 4, 6)}, "has 4 axes, --shape gives 3"),
    "fixed": ({"x": (1, 3, 6, 5)}, "axis 1 has the size 4, --shape gives 3"),
    "zero": ({"x": (1, 4, 0, 5)}, "axis 2 gets the size 0"),
    "huge": ({"x": (1, 4, 1 << 20, 1 << 20)}, "is too large"),
    "missing": ({}, "Say it with --shape x=1,4,SIZE,SIZE"),
}


@pytest.mark.parametrize(("given", "reason"), WRONG.values(), ids=WRONG)
def test_shapes_that_do_not_fit(given: Any, reason: str, tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")], inputs={"x": ("N", 4, "H", "W")})
    with pytest.raises(McuqError) as caught:
        importers.load(save(proto, tmp_path), Sizes(given))
    assert reason in str(caught.value)


def test_inputs_that_share_a_size(tmp_path: Path) -> None:
    shapes = {"x": ("N", "T", 5), "z": ("N", "T", 5)}
    graph = importers.load(
        save(model([node("Add", "x z", "y")], inputs=shapes), tmp_path), Sizes({"x": (1, 7, 5)})
    )
    assert [p.shape for p in graph.inputs] == [(1, 7, 5), (1, 7, 5)]


def test_outputs_that_compute_nothing_are_named(tmp_path: Path) -> None:
    nodes = [node("Identity", "w", "k"), node("Relu", "x", "y"), node("Identity", "x", "same")]
    proto = model(nodes, {"w": W}, {"x": ("N", 4), "unused": ("N", 3, 2)}, "k y same x")
    graph = importers.load(save(proto, tmp_path))
    assert [p.name for p in graph.outputs] == ["y"]
    assert [p.name for p in graph.inputs] == ["x", "unused"]
    assert graph.notes == (
        "output 'k' is a constant as it is: the C does not write it",
        "output 'same' is an input as it is: the C does not write it",
        "output 'x' is an input as it is: the C does not write it",
    )


IMAGE = {"x": (1, 6, 5, 4)}
PLAIN: dict[str, tuple[Any, Any, Mapping[str, Any]]] = {
    "a gate of the channels, channels last": (
        [node("ReduceMean", "x", "m", axes=[1, 2]), node("MatMul", "m w", "h"),
         node("Sigmoid", "h", "g"), node("Mul", "x g", "y")], {"w": random(4, 4)}, IMAGE,
    ),
    "a gate of the places, channels last": (
        [node("ReduceMean", "x", "m", axes=[3]), node("Sigmoid", "m", "g"),
         node("Mul", "g x", "y")], {}, IMAGE,
    ),
    "a gate between convolutions, channels last": (
        [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "c"),
         node("Transpose", "c", "b", perm=[0, 2, 3, 1]), node("ReduceMean", "b", "m", axes=[1, 2]),
         node("Sigmoid", "m", "g"), node("Mul", "b g", "y")], {"w": random(6, 4, 3, 3)}, IMAGE,
    ),
    "maximum and minimum with a number": (
        [node("Max", "x zero", "h"), node("Min", "six h", "y")],
        {"zero": np.float32(0), "six": np.float32(0.75)}, IMAGE,
    ),
    "the type of another constant": (
        [node("CastLike", "k w", "c"), node("Mul", "x c", "y")],
        {"k": np.array([2], INT), "w": random(4)}, IMAGE,
    ),
    "a pool that counts no padding": (
        [node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1,
              count_include_pad=1)], {}, IMAGE,
    ),
    "computed constants": (
        [node("ReduceL2", "w", "l", axes=[1], keepdims=1), node("Div", "w l", "n"),
         node("Softmax", "n", "s", axis=0), node("Pad", "s p", "d"), node("Gemm", "d d", "g",
         transB=1), node("ReduceSumSquare", "g", "q", axes=[0], keepdims=0),
         node("Mul", "x q", "y")],
        {"w": random(4, 3), "p": np.array([0, 1, 0, 0])}, IMAGE,
    ),
    "a norm of constants": (
        [node("BatchNormalization", "k s b m v", "n"), node("Squeeze", "n a", "w"),
         node("MatMul", "x w", "y")],
        {"k": random(1, 4, 3), "s": random(4), "b": random(4), "m": random(4),
         "v": random(4, low=0.5), "a": np.array([0])}, IMAGE,
    ),
    "weights on the left": ([node("MatMul", "w x", "y")], {"w": random(3, 5)}, IMAGE),
    "weights of more axes": (
        [node("MatMul", "x w", "y")], {"w": random(1, 1, 8, 3)}, {"x": (1, 8)},
    ),
    "weights of more axes on the left": (
        [node("MatMul", "w x", "y")], {"w": random(1, 3, 1)}, {"x": (1, 8)},
    ),
    "a row of more axes": ([node("MatMul", "x w", "y")], {"w": random(1, 1, 8, 3)}, {"x": (1, 8)}),
    "a vector and more axes": ([node("MatMul", "x w", "y")], {"w": random(1, 8, 3)}, {"x": (8,)}),
    "more axes on the left": ([node("MatMul", "w x", "y")], {"w": random(1, 3, 1)}, {"x": (1, 8)}),
    "a vector of weights": ([node("MatMul", "x w", "y")], {"w": random(4)}, IMAGE),
    "a vector on the left": ([node("MatMul", "w x", "y")], {"w": random(5)}, IMAGE),
    "a constant larger than the data": (
        [node("Add", "x c", "y")], {"c": random(1, 6, 5, 4)}, {"x": (1, 1, 1, 4)},
    ),
    "a bias for each row": (
        [node("Gemm", "x w b", "y", beta=0.5)], {"w": random(4, 3), "b": random(3, 1)},
        {"x": (3, 4)},
    ),
    "a shuffle by indices": (
        [node("Gather", "x i", "h", axis=3), node("Conv", "h w", "y")],
        {"i": np.array([3, 1, 0, 2]), "w": random(2, 6, 3, 3)}, {"x": (1, 6, 5, 4)},
    ),
    "depth to space": (
        [node("Conv", "x w", "c"), node("DepthToSpace", "c", "y", blocksize=2)],
        {"w": random(8, 6, 1, 1)}, IMAGE,
    ),
    "space to depth": (
        [node("SpaceToDepth", "x", "h", blocksize=2), node("Conv", "h w", "y")],
        {"w": random(3, 8, 1, 1)}, {"x": (1, 2, 6, 4)},
    ),
    "a slice of everything": (
        [node("Slice", "x s e", "h"), node("Split", "h", "k", axis=1, num_outputs=1),
         node("Relu", "k", "y")], {"s": np.array([0]), "e": np.array([1 << 40])}, IMAGE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "inputs"), PLAIN.values(), ids=PLAIN)
def test_forms_that_were_refused(nodes: Any, constants: Any, inputs: Any, tmp_path: Path) -> None:
    opset = 18 if any(n.op_type == "Split" for n in nodes) else 17
    proto = model(nodes, constants, inputs, opset=opset)
    if inputs["x"][0] == 1:
        agrees(proto, tmp_path, rows=1)
    else:
        whole(proto, tmp_path)


def test_gates_need_no_transpose(tmp_path: Path) -> None:
    nodes, constants, inputs = PLAIN["a gate between convolutions, channels last"]
    graph = agrees(model(nodes, constants, inputs), tmp_path, rows=1)
    assert "transpose" not in [n.op for n in graph.nodes]


INTEGERS = {
    "wrapping": ([node("Add", "x c", "y")], np.uint8),
    "truncating": ([node("Div", "x c", "y")], np.int64),
    "mean": ([node("ReduceMean", "x", "y", axes=[1])], np.int32),
}


@pytest.mark.parametrize(("nodes", "kind"), INTEGERS.values(), ids=INTEGERS)
def test_integers_are_not_taken_for_reals(nodes: Any, kind: Any, tmp_path: Path) -> None:
    proto = model(nodes, {"c": np.array([3], kind)})
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    proto.graph.input[0].type.tensor_type.elem_type = element
    (fault,) = importers.problems_of(save(proto, tmp_path))
    assert "it computes with integers" in str(fault)


def test_bytes_that_are_dequantized(tmp_path: Path) -> None:
    """A model of integers alone: bytes come in, and what goes out is the reals they mean."""
    constants = {"s": np.float32(0.5), "z": np.uint8(7)}
    proto = model([node("DequantizeLinear", "x s z", "d"), node("Tanh", "d", "y")], constants)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    graph = importers.load(save(proto, tmp_path))
    x = np.arange(120, dtype=np.float32).reshape(1, 4, 6, 5)
    found = run_graph(graph, {"x": x})["y"]
    np.testing.assert_allclose(found, np.tanh((x - 7) * 0.5), atol=1e-6)


def test_what_follows_from_a_fault_is_not_named(tmp_path: Path) -> None:
    """The shape of what an unknown operator gives is unknown: that is no second fault."""
    proto = model(
        [node("Strange", "x", "h"), node("Shape", "h", "s"), node("Gather", "s zero", "n"),
         node("Sqrt", "n", "q"), node("Reshape", "h q", "y")], {"zero": np.array(0)},
    )  # fmt: skip
    proto.graph.node[0].domain = "com.example"
    (fault,) = importers.problems_of(save(proto, tmp_path))
    assert "node 'Strange:h'" in str(fault)
