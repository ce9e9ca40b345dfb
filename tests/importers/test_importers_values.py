"""Functions of one value, extrema, quotients, reductions: as onnx's evaluator computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ops import chain

IMAGE, ROW = ("N", 4, 6, 5), ("N", 7)
ONE = np.float32(1.5)


def number(value: float) -> Any:
    return np.array(value, np.float32)


PLAIN = """
    Abs Atan Asinh Ceil Cos Cosh Erf Exp Floor Mish Round Sign Sin Sinh Softplus Softsign Tan
""".split()


@pytest.mark.parametrize("op", PLAIN)
def test_a_function_of_one_value(op: str, tmp_path: Path) -> None:
    graph = agrees(model([node(op, "x", "y")], opset=22), tmp_path)
    assert ops(graph) == [op.lower()]


@pytest.mark.parametrize("op", "Log Sqrt Reciprocal Asin Acos Acosh Atanh".split())
def test_a_function_with_a_domain(op: str, tmp_path: Path) -> None:
    """On 0.1 to 0.9, and on 1.1 to 1.9 for acosh."""
    start = number(1.1 if op == "Acosh" else 0.1)
    inside = [node("Sigmoid", "x", "s"), node("Mul", "s f", "m"), node("Add", "m o", "h")]
    proto = model([*inside, node(op, "h", "y")], {"f": number(0.8), "o": start})
    last = agrees(proto, tmp_path).nodes[-1]
    assert op.lower() in (last.op, *(step.op for step in chain.steps_of(last)))


ATTRIBUTES: dict[str, tuple[str, dict[str, float]]] = {
    "selu": ("Selu", {}),
    "selu with numbers": ("Selu", {"alpha": 2.0, "gamma": 3.0}),
    "celu": ("Celu", {"alpha": 2.0}),
    "thresholded": ("ThresholdedRelu", {"alpha": 0.5}),
    "thresholded at 1": ("ThresholdedRelu", {}),
    "shrink": ("Shrink", {"lambd": 0.7, "bias": 0.2}),
    "shrink hard": ("Shrink", {}),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_function_with_attributes(name: str, tmp_path: Path) -> None:
    op, attrs = ATTRIBUTES[name]
    assert len(ops(agrees(model([node(op, "x", "y", **attrs)]), tmp_path))) == 1


def test_swish_with_alpha(tmp_path: Path) -> None:
    """onnx's evaluator has it from opset 24 on."""
    proto = model([node("Swish", "x", "y", alpha=1.7)], opset=24)
    proto.ir_version = 10
    assert ops(agrees(proto, tmp_path)) == ["silu"]


SCALARS: dict[str, tuple[str, float, str, list[str]]] = {
    "a constant less a value": ("Sub", 2.0, "c x", ["sub"]),
    "a constant by a value": ("Div", 2.0, "c e", ["exp", "reciprocal"]),
    "a value by a constant": ("Div", 2.0, "x c", ["mul"]),
    "square": ("Pow", 2.0, "x c", ["power"]),
    "cube": ("Pow", 3.0, "x c", ["power"]),
    "root": ("Pow", 0.5, "e c", ["chain"]),
    "inverse": ("Pow", -1.0, "e c", ["exp", "power"]),
    "to the 1": ("Pow", 1.0, "e c", ["exp"]),
    "to the 0": ("Pow", 0.0, "x c", ["power"]),
    "power of a constant": ("Pow", 3.0, "c x", ["exp"]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_value_and_a_number(name: str, tmp_path: Path) -> None:
    op, constant, inputs, expected = SCALARS[name]
    before = [node("Exp", "x", "e")] if "e" in inputs.split() else []
    proto = model([*before, node(op, inputs, "y")], {"c": number(constant)})
    assert ops(agrees(proto, tmp_path)) == expected


TWO = {"x": IMAGE, "z": IMAGE}
SEVERAL: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], list[str]]] = {
    "max of two": ([node("Max", "x z", "y")], {}, TWO, ["maximum"]),
    "min of two": ([node("Min", "x z", "y")], {}, TWO, ["minimum"]),
    "max of three": (
        [node("Max", "x z w", "y")], {}, {**TWO, "w": IMAGE}, ["maximum", "maximum"],
    ),
    "max of two and a number": (
        [node("Max", "x c z", "y")], {"c": number(0.25)}, TWO, ["maximum"],
    ),
    "max with a number per channel": (
        [node("Max", "x c", "y")], {"c": random(4, 1, 1)}, {"x": IMAGE}, ["maximum"],
    ),
    "min with numbers per column": (
        [node("Min", "c x", "y")], {"c": random(5)}, {"x": IMAGE}, ["minimum"],
    ),
    "max of a channel and an image": (
        [node("GlobalAveragePool", "x", "g"), node("Max", "g x", "y")], {}, {"x": IMAGE},
        ["avg_pool2d", "maximum"],
    ),
    "a relu after it is part of it": (
        [node("Min", "x z", "m"), node("Relu", "m", "y")], {}, TWO, ["minimum"],
    ),
    "sum of three": ([node("Sum", "x z w", "y")], {}, {**TWO, "w": IMAGE}, ["add", "add"]),
    "sum with a constant": ([node("Sum", "x c z", "y")], {"c": random(4, 1, 1)}, TWO,
                            ["add", "add"]),
    "mean of two": ([node("Mean", "x z", "y")], {}, TWO, ["add", "mul"]),
    "mean of one": ([node("Exp", "x", "e"), node("Mean", "e", "y")], {}, {"x": IMAGE}, ["exp"]),
    "quotient": (
        [node("Exp", "z", "e"), node("Div", "x e", "y")], {}, TWO, ["exp", "reciprocal", "mul"],
    ),
    "quotient of a constant": (
        [node("Exp", "x", "e"), node("Div", "c e", "y")], {"c": random(4, 1, 1)}, {"x": IMAGE},
        ["exp", "reciprocal", "mul"],
    ),
    "quotient by the mean of the channel": (
        [node("Exp", "x", "e"), node("GlobalAveragePool", "e", "g"), node("Div", "e g", "y")], {},
        {"x": IMAGE}, ["exp", "avg_pool2d", "reciprocal", "mul"],
    ),
    "prelu per channel": (
        [node("PRelu", "x s", "y")], {"s": random(4, 1, 1)}, {"x": IMAGE}, ["prelu"],
    ),
    "prelu of a row": ([node("PRelu", "x s", "y")], {"s": random(7)}, {"x": ROW}, ["prelu"]),
    "prelu of a signal": (
        [node("PRelu", "x s", "y")], {"s": random(4, 1)}, {"x": ("N", 4, 9)}, ["prelu"],
    ),
    "prelu with one slope": (
        [node("PRelu", "x s", "y")], {"s": np.full((4, 1, 1), ONE)}, {"x": IMAGE}, ["leaky_relu"],
    ),
    "prelu per column": (
        [node("PRelu", "x s", "y")], {"s": random(5)}, {"x": IMAGE}, ["reshape", "prelu"],
    ),
    "prelu per element": (
        [node("PRelu", "x s", "y")], {"s": random(4, 6, 5)}, {"x": IMAGE},
        ["reshape", "prelu"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_several_operands(name: str, tmp_path: Path) -> None:
    nodes, constants, inputs, expected = SEVERAL[name]
    graph = agrees(model(nodes, constants, inputs), tmp_path)
    assert ops(graph) == expected


AXES: dict[str, tuple[list[int], dict[str, Any]]] = {
    "channels": ([1], {}),
    "rows and columns": ([2, 3], {"keepdims": 0}),
    "columns": ([-1], {"keepdims": 0}),
    "channels and columns": ([3, 1], {}),
    "all but the batch": ([1, 2, 3], {"keepdims": 0}),
}
REDUCTIONS = """
    ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceLogSumExp ReduceSumSquare
""".split()


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("op", REDUCTIONS)
def test_a_reduction(op: str, name: str, tmp_path: Path) -> None:
    axes, attrs = AXES[name]
    made = [node(op, "x a", "y", **attrs)]
    agrees(model(made, {"a": np.array(axes, np.int64)}, opset=18), tmp_path)


WINDOWS: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], list[str]]] = {
    "the logarithm of a sum": (
        [node("Exp", "x", "e"), node("ReduceLogSum", "e a", "y")], {"a": np.array([1])}, {},
        ["exp", "avg_pool2d", "chain"],
    ),
    "a sum over an axis of 1": (
        [node("Exp", "x", "e"), node("ReduceL2", "e a", "y")], {"a": np.array([1])},
        {"x": ("N", 1, 5)}, ["chain"],
    ),
    "a norm of windows": (
        [node("LpPool", "x", "y", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 0, 0, 1])], {}, {},
        ["power", "avg_pool2d", "chain"],
    ),
    "a sum of windows": (
        [node("LpPool", "x", "y", kernel_shape=[2, 2], p=1)], {}, {}, ["abs", "avg_pool2d", "mul"],
    ),
    "a cubic norm": (
        [node("LpPool", "x", "y", p=3, kernel_shape=[6, 5])], {}, {},
        ["chain", "avg_pool2d", "chain"],
    ),
    "a running sum": (
        [node("CumSum", "x a", "y")], {"a": np.array(3)}, {}, ["conv2d"],
    ),
    "a running sum from the end, without itself": (
        [node("CumSum", "x a", "y", exclusive=1, reverse=1)], {"a": np.array(1)}, {}, ["conv2d"],
    ),
    "the least index": ([node("ArgMin", "x", "y", axis=1)], {}, {}, ["mul", "argmax"]),
    "the largest and its index": (
        [node("TopK", "x k", "v y", axis=1)], {"k": np.array([1])}, {}, ["argmax"],
    ),
    "the smallest": (
        [node("TopK", "x k", "y i", largest=0)], {"k": np.array([1])}, {"x": ROW},
        ["mul", "max_pool2d", "mul"],
    ),
    "the three largest": (
        [node("TopK", "x k", "v y", axis=1)], {"k": np.array([3])}, {}, ["top_indices"],
    ),
    "the two smallest": (
        [node("TopK", "x k", "y i", largest=0)], {"k": np.array([2])}, {"x": ROW},
        ["mul", "top_values", "mul"],
    ),
    "the first largest": ([node("Hardmax", "x", "y", axis=1)], {}, {}, ["hardmax"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
def test_sums_and_indices(name: str, tmp_path: Path) -> None:
    nodes, constants, inputs, expected = WINDOWS[name]
    graph = agrees(model(nodes, constants, inputs, opset=18), tmp_path)
    assert [op for op in ops(graph) if op != "reshape"] == expected


BOUND = {"one": number(1), "far": number(20), "zero": number(0)}
CHAINS: dict[str, tuple[list[Any], str]] = {
    "softplus": (
        [node("Exp", "x", "e"), node("Add", "one e", "s"), node("Log", "s", "y")], "softplus",
    ),
    "softplus of torch": (
        [node("Softplus", "x", "s"), node("Greater", "x far", "b"), node("Where", "b x s", "y")],
        "softplus",
    ),
    "softsign": (
        [node("Abs", "x", "a"), node("Add", "a one", "s"), node("Div", "x s", "y")], "softsign",
    ),
    "mish": (
        [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "t x", "y")], "mish",
    ),
    "what differs far away": (
        [node("Softplus", "x", "s"), node("Greater", "x far", "b"), node("Where", "b zero s", "y")],
        "chain",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_a_function_written_as_several(name: str, tmp_path: Path) -> None:
    nodes, last = CHAINS[name]
    assert ops(agrees(model(nodes, BOUND), tmp_path, tolerance=1e-4)) == [last]


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_log_softmax(axis: int, tmp_path: Path) -> None:
    graph = agrees(model([node("LogSoftmax", "x", "y", axis=axis)]), tmp_path)
    assert "log_softmax" in ops(graph)


def test_log_softmax_of_an_old_opset_is_over_all_axes_behind(tmp_path: Path) -> None:
    old = model([node("LogSoftmax", "x", "y", axis=1)], opset=11)
    graph = importers.load(save(old, tmp_path))
    feeds = feeds_for(graph)
    flat = feeds["x"].reshape(2, -1).astype(np.float64)
    expected = (flat - np.log(np.exp(flat).sum(1, keepdims=True))).reshape(feeds["x"].shape)
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], expected, rtol=2e-5)


def test_a_global_norm(tmp_path: Path) -> None:
    """onnx's evaluator has none."""
    graph = importers.load(save(model([node("GlobalLpPool", "x", "y", p=2)]), tmp_path))
    feeds = feeds_for(graph)
    expected = np.sqrt((feeds["x"] ** 2).sum((2, 3), keepdims=True))
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], expected, rtol=2e-5)


BOTH = {"x": IMAGE, "z": IMAGE}
MASK = random(6, 5) > 0
LOGIC: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    "less": ([node("Less", "x c", "b"), node("Cast", "b", "y", to=1)], {"c": number(0.3)}, {}),
    "a constant first": (
        [node("GreaterOrEqual", "c x", "b"), node("Cast", "b", "y", to=1)], {"c": number(0.3)}, {},
    ),
    "a limit per channel": (
        [node("Greater", "x c", "b"), node("Cast", "b", "y", to=1)], {"c": random(4, 1, 1)}, {},
    ),
    "two values": ([node("LessOrEqual", "x z", "b"), node("Cast", "b", "y", to=1)], {}, BOTH),
    "equal": (
        [node("Relu", "x", "r"), node("Equal", "r c", "b"), node("Cast", "b", "y", to=1)],
        {"c": number(0)}, {},
    ),
    "not": (
        [node("Less", "x c", "b"), node("Not", "b", "n"), node("Cast", "n", "y", to=1)],
        {"c": number(0.3)}, {},
    ),
    **{
        op: (
            [node("Less", "x c", "b"), node("Greater", "z c", "d"), node(op, "b d", "e"),
             node("Cast", "e", "y", to=1)], {"c": number(0.3)}, BOTH,
        )
        for op in ("And", "Or", "Xor")
    },
    "and of a constant": (
        [node("Less", "x c", "b"), node("And", "m b", "e"), node("Cast", "e", "y", to=1)],
        {"c": number(0.3), "m": MASK}, {},
    ),
    "a cast to a truth value and back": (
        [node("Relu", "x", "r"), node("Cast", "r", "b", to=9), node("Cast", "b", "y", to=1)],
        {}, {},
    ),
    "where of two values by a constant": ([node("Where", "m x z", "y")], {"m": MASK}, BOTH),
    "where of a value and a number": (
        [node("Where", "m x c", "y")], {"m": MASK, "c": number(-3)}, {},
    ),
    "where of constants per column": (
        [node("Where", "m c x", "y")], {"m": MASK, "c": random(5)}, {},
    ),
    "where by a comparison": (
        [node("Less", "x c", "b"), node("Where", "b x z", "y")], {"c": number(0.3)}, BOTH,
    ),
    "where of two numbers": (
        [node("Less", "x c", "b"), node("Where", "b c d", "y")],
        {"c": number(0.25), "d": number(-2)}, {},
    ),
    "a hand-made leaky relu": (
        [node("Less", "x o", "b"), node("Mul", "x c", "s"), node("Where", "b s x", "y")],
        {"o": number(0), "c": number(0.25)}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGIC)
def test_comparisons(name: str, tmp_path: Path) -> None:
    nodes, constants, inputs = LOGIC[name]
    agrees(model(nodes, constants, inputs or {"x": IMAGE}), tmp_path)


def test_truth_values_come_out_as_numbers(tmp_path: Path) -> None:
    graph = importers.load(save(model([node("Less", "x c", "y")], {"c": number(0.3)}), tmp_path))
    assert graph.notes[-1] == "output 'y' holds truth values in the model; here it is 1 and 0"


REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "power of two values": ([node("Pow", "x x", "y")], {}, "Pow of two computed values"),
    "power of a negative": ([node("Pow", "c x", "y")], {"c": number(-2)}, "Pow of -2"),
    "several largest": (
        [node("TopK", "x k", "y i")],
        {"k": np.array([9])},
        "TopK of 9 among 5",
    ),
    "a long running sum": (
        [node("Expand", "x s", "h"), node("Reshape", "h t", "r"), node("CumSum", "r a", "y")],
        {"s": np.array([3, 4, 6, 5]), "t": np.array([1, 360]), "a": np.array(1)},
        "Sum at most 256",
    ),
    "the norm 0": ([node("GlobalLpPool", "x", "y", p=0)], {}, "Let p be above 0"),
    "where of an infinite number": (
        [node("Where", "m x c", "y")],
        {"m": MASK, "c": number(-np.inf)},
        "NaN or infinity",
    ),
    "0 by a value": ([node("Div", "c x", "y")], {"c": number(0)}, "it is 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    nodes, constants, reason = REFUSED[name]
    with pytest.raises(McuqError, match=reason):
        importers.load(save(model(nodes, constants, {"x": (1, 4, 6, 5)}), tmp_path))
