"""Tables of mathematical functions: exact values, the ends of domains, extrema, slopes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from small_networks import Net

from mcuq.ir import Array, Graph, Node
from mcuq.ops import softmax, spec
from mcuq.ops.spec import IntForm
from mcuq.qir import QGraph, QTensor

INF = math.inf
EMPTY = QGraph("g", (), (), (), {})


def one_node(op: str, shape: tuple[int, ...], **attrs: Any) -> Graph:
    net = Net(shape)
    return net.graph(net.node(op, "x", name="y", **attrs))


def integers(
    graph: Graph, frac: int, zero: int, out_frac: int, out_zero: int, values: list[int]
) -> list[int]:
    """What the integer form of the one node makes of a row."""
    shape = graph.shape("x")
    x, y = QTensor("x", shape, "s8", frac, zero), QTensor("y", shape, "s8", out_frac, out_zero)
    to_int = spec(graph.nodes[0].op).to_int
    assert to_int is not None
    form = to_int(graph.nodes[0], graph, {"x": x, "y": y}, {})
    return run(form, np.array([values], np.int8))


def run(form: IntForm, *inputs: Array) -> list[int]:
    found = spec(form.node.op).run_int
    assert found is not None
    constants = [np.asarray(constant.data) for constant in form.constants]
    return [int(v) for v in found(form.node, EMPTY, [*inputs, *constants]).reshape(-1)]


@pytest.mark.parametrize(
    ("op", "attrs", "values", "expected"),
    [
        # Halves of even and odd numbers go to the even one; the input has frac 1.
        ("round", {}, [1, 3, 5, -1, -3, -5], [0, 2, 2, 0, -2, -2]),
        ("floor", {}, [1, 3, -1, -3, -4, 4], [0, 1, -1, -2, -2, 2]),
        ("ceil", {}, [1, 3, -1, -3, -4, 4], [1, 2, 0, -1, -2, 2]),
        ("sign", {}, [1, 0, -1, 127, -128, 0], [1, 0, -1, 1, -1, 0]),
        ("abs", {}, [2, -2, 0, 126, -128, -6], [1, 1, 0, 63, 64, 3]),
        ("thresholded_relu", {"alpha": 1.0}, [2, 4, -4, 0, 3, 6], [0, 2, 0, 0, 2, 3]),
        ("shrink", {"lambd": 1.0, "bias": 1.0}, [2, -2, 4, -4, 8, -8], [0, 0, 1, -1, 3, -3]),
        ("compare", {"limit": 1.0, "holds": "<"}, [1, 2, 3, -2, 0, 9], [1, 0, 0, 1, 1, 0]),
        ("compare", {"limit": 1.0, "holds": ">="}, [1, 2, 3, -2, 0, 9], [0, 1, 1, 0, 0, 1]),
        ("compare", {"limit": 1.0, "holds": "<>"}, [1, 2, 3, -2, 0, 9], [1, 0, 1, 1, 1, 1]),
        ("power", {"exponent": 2.0}, [2, -4, 6, -22, 24, 0], [1, 4, 9, 121, 127, 0]),
        ("power", {"exponent": 3.0}, [2, -4, 6, -8, 10, 0], [1, -8, 27, -64, 125, 0]),
        ("exp", {"rate": math.log(2.0)}, [0, 2, 4, 12, 14, -4], [1, 2, 4, 64, 127, 0]),
    ],
)
def test_exact_values(
    op: str, attrs: dict[str, Any], values: list[int], expected: list[int]
) -> None:
    assert integers(one_node(op, (1, 6), **attrs), 1, 0, 0, 0, values) == expected


@pytest.mark.parametrize(
    ("op", "attrs", "values", "expected"),
    [
        # (x - 0) / 2 below or beyond the domain, and at its end.
        ("log", {}, [-5, 0, 2], [-128, -128, 0]),
        ("sqrt", {}, [-5, 0, 18], [0, 0, 3]),
        ("reciprocal", {"numerator": 1.0}, [0, 2, 1], [127, 1, 2]),
        ("reciprocal", {"numerator": -3.0}, [0, 2, 1], [-128, -3, -6]),
        ("power", {"exponent": -1.0}, [0, 2, 1], [127, 1, 2]),
        ("power", {"exponent": 0.5}, [-9, 0, 8], [0, 0, 2]),
        ("power", {"exponent": -0.5}, [-9, 0, 2], [127, 127, 1]),
        ("acosh", {}, [-9, 0, 2], [0, 0, 0]),
        ("asin", {}, [-9, 0, 9], [-2, 0, 2]),
        ("acos", {}, [-9, 9, 2], [3, 0, 0]),
        ("atanh", {}, [-9, 0, 9], [-128, 0, 127]),
    ],
)
def test_outside_of_its_domain_a_function_keeps_to_the_end(
    op: str, attrs: dict[str, Any], values: list[int], expected: list[int]
) -> None:
    assert integers(one_node(op, (1, 3), **attrs), 1, 0, 0, 0, values) == expected


@pytest.mark.parametrize(
    ("frac", "zero", "out_frac", "out_zero", "expected"),
    [
        (4, 0, 4, 0, [127, 0, -32, -3]),  # slopes 0.5, 0.25: -64 * 0.5, -12 * 0.25
        (4, 0, 3, 0, [64, 0, -16, -1]),  # 63.5 and -1.5 up
        (4, -10, 4, 5, [127, 15, -22, 5]),  # 4.5 up
    ],
)
def test_prelu(frac: int, zero: int, out_frac: int, out_zero: int, expected: list[int]) -> None:
    graph = one_node("prelu", (1, 4), slopes=(2.0, 1.0, 0.5, 0.25))
    values = [127, 0, -64, -12]
    assert integers(graph, frac, zero, out_frac, out_zero, values) == expected


@pytest.mark.parametrize(
    ("op", "expected"), [("maximum", [-128, 127, 5, -3]), ("minimum", [-128, -128, -7, -100])]
)
def test_extrema_of_extremes(op: str, expected: list[int]) -> None:
    """A constant that 8 bits cannot hold saturates: -200 and 0.3 at frac 0."""
    net = Net((1, 4))
    graph = net.graph(
        net.node(op, "x", net.constant("c", [-200.0, 200.0, 5.0, -3.4]), clip=(-INF, INF), name="y")
    )
    x, y = (QTensor(name, (1, 4), "s8", 0) for name in "xy")
    to_int = spec(op).to_int
    assert to_int is not None
    form = to_int(graph.nodes[0], graph, {"x": x, "y": y}, {})
    assert run(form, np.array([[-128, -128, -7, -100]], np.int8)) == expected


@pytest.mark.parametrize(
    ("frac", "out_frac", "values", "expected"),
    [
        (0, 4, [0, 0, 0, 0], [105] * 4),  # log(1 / 4) is -1.386: -22 steps
        (0, 0, [0, -128, -100, 5], [122, -6, 22, 127]),  # 0.0067 more than the largest: 0
        (3, 3, [0, -8, -16, -128], [124, 116, 108, -4]),  # log(1 + 1/e + 1/e^2) is 0.408: 3.3
        (20, 16, [127, -128, 0, 0], [-128] * 4),
    ],
)
def test_log_softmax(frac: int, out_frac: int, values: list[int], expected: list[int]) -> None:
    graph = one_node("log_softmax", (1, 4))
    assert integers(graph, frac, 0, out_frac, 127, values) == expected


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (400, -1, "its table is not that of exp"),  # where 0 is right: one away, but negative
        (512, 1, "its table does not end in zeros"),
        (511, 1, "its table does not end in zeros"),
        (100, 1439, None),  # 1440 is right
    ],
)
def test_a_table_of_exp_that_is_none(place: int, value: int, fault: str | None) -> None:
    points = softmax.exp_points().astype(np.int16)
    assert abs(int(points[place]) - value) == 1
    points[place] = value
    mul, shift = softmax.distance_factor(12, 1.0)
    attrs = {"scale": 1.0, "mul": mul, "shift": shift, "frac": 15}
    node = Node("softmax", "s", ("x", "t"), ("y",), attrs)
    tensors = {
        "x": QTensor("x", (1, 4), "s16", 12),
        "t": QTensor("t", points.shape, "s16", 15, 0, points),
        "y": QTensor("y", (1, 4), "s16", 15),
    }
    qgraph = QGraph("g", (), (), (node,), tensors)
    assert list(softmax.faults(node, qgraph)) == ([fault] if fault else [])


def test_log_softmax_is_as_near_as_rounding_lets_it() -> None:
    """At a fine output, whatever the sum: half a step, and what 16 bits of a logarithm miss."""
    graph, random = one_node("log_softmax", (1, 50)), np.random.default_rng(3)
    for frac, out_frac in ((4, 6), (5, 5), (6, 6), (1, 1)):
        values = random.integers(-128, 128, 50)
        found = np.array(integers(graph, frac, 0, out_frac, 127, values.tolist()))
        real = values * 2.0**-frac
        logs = real - np.log(np.exp(real - real.max()).sum()) - real.max()
        expected = np.clip(logs * 2.0**out_frac + 127, -128, 127)
        assert np.abs(found - expected).max() <= 0.52
