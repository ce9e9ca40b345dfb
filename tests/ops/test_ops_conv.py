"""conv2d, depthwise_conv2d, dense, batch_norm and pools: float, integer form and ``run_int``."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from mcuq.errors import ModelError
from mcuq.fixed import dequantize, quantize
from mcuq.ir import Graph, Node, Tensor
from mcuq.kernels.plain import pool2d
from mcuq.ops import spec
from mcuq.ops.parts.weights import quantize_weights, uniform_pad_value, weight_fracs
from mcuq.qir import QGraph, QTensor

NO_CLIP = (-math.inf, math.inf)

# height, width, in_c, out_c, kernel, strides, dilations, pads (top, left, bottom, right), groups
CONVOLUTIONS = {
    "1x1 image": (1, 1, 1, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1),
    "1x1 image, all taps but one outside": (1, 1, 2, 3, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),
    "same": (5, 6, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),
    "odd, stride 3 and 2": (7, 5, 1, 2, (3, 2), (3, 2), (1, 1), (0, 1, 2, 0), 1),
    "dilation 2": (7, 6, 2, 2, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 1),
    "groups 2": (4, 4, 4, 6, (3, 3), (1, 1), (1, 1), (1, 0, 0, 1), 2),
    "groups 3": (3, 4, 3, 6, (2, 2), (1, 1), (1, 1), (0, 0, 0, 0), 3),
    "one-dimensional": (1, 12, 2, 3, (1, 5), (1, 2), (1, 2), (0, 4, 0, 4), 1),
}
DEPTHWISE = {
    name: (*row[:8], row[2])
    for name, row in CONVOLUTIONS.items()
    if row[3] % row[2] == 0 and "groups" not in name
} | {"multiplier 2": (4, 5, 3, 6, (3, 3), (2, 1), (1, 1), (1, 1, 0, 1), 3)}
CASES = [("conv2d", n, r) for n, r in CONVOLUTIONS.items()] + [
    ("depthwise_conv2d", n, r) for n, r in DEPTHWISE.items()
]
IDS = [f"{op}: {name}" for op, name, _ in CASES]


def convolution_attrs(row: Any, **more: Any) -> dict[str, Any]:
    *_, strides, dilations, pads, groups = row
    return {"strides": strides, "dilations": dilations, "pads": pads, "groups": groups, **more}


def weight_shape(op: str, row: Any) -> tuple[int, ...]:
    _, _, in_c, out_c, (kh, kw), *_, groups = row
    return (kh, kw, out_c) if op == "depthwise_conv2d" else (out_c, kh, kw, in_c // groups)


def integer_node(op: str, row: Any, seed: int = 0) -> tuple[Node, list[Any]]:
    random = np.random.default_rng(seed)
    out_c = row[3]
    attrs = convolution_attrs(
        row, pad_value=-7, out_min=-100, out_max=90,
        shift=tuple(int(v) for v in random.integers(0, 12, out_c)),
    )  # fmt: skip
    x = random.integers(-128, 128, (2, *row[:3])).astype(np.int8)
    w = random.integers(-128, 128, weight_shape(op, row)).astype(np.int8)
    b = random.integers(-(2**15), 2**15, out_c).astype(np.int32)
    return Node(op, op, ("x", "w", "b"), ("y",), attrs), [x, w, b]


def naive_convolution(node: Node, x: Any, w: Any, b: Any) -> Any:
    """The definition, in Python integers."""
    depthwise = node.op == "depthwise_conv2d"
    shape = spec(node.op).infer(node, [x.shape, w.shape])
    kh, kw = w.shape[:2] if depthwise else w.shape[1:3]
    depth = 1 if depthwise else w.shape[3]
    per_group = shape[3] // (x.shape[3] if depthwise else node.int("groups"))
    y = np.empty(shape, np.int8)
    for n, oy, ox, o in product(*map(range, shape)):
        acc = int(b[o])
        for ky, kx, c in product(range(kh), range(kw), range(depth)):
            value = _input(node, x[n], oy, ox, ky, kx, o // per_group * depth + c)
            acc += int(w[ky, kx, o] if depthwise else w[o, ky, kx, c]) * value
        acc >>= node.attrs["shift"][o]
        y[n, oy, ox, o] = min(max(acc, node.int("out_min")), node.int("out_max"))
    return y


def _input(node: Node, image: Any, oy: int, ox: int, ky: int, kx: int, c: int) -> int:
    at = _at(node, image.shape, oy, ox, ky, kx)
    return node.int("pad_value") if at is None else int(image[at][c])


def _at(node: Node, shape: Any, oy: int, ox: int, ky: int, kx: int) -> tuple[int, int] | None:
    """The input pixel of a tap, None outside."""
    (sh, sw), (top, left, *_) = node.ints("strides"), node.ints("pads")
    dh, dw = node.attrs.get("dilations", (1, 1))
    row, column = oy * sh - top + ky * dh, ox * sw - left + kx * dw
    return (row, column) if 0 <= row < shape[0] and 0 <= column < shape[1] else None


def run_int(node: Node, inputs: list[Any]) -> Any:
    run = spec(node.op).run_int
    assert run is not None
    return run(node, QGraph("none", (), (), (), {}), inputs)


@pytest.mark.parametrize(("op", "name", "row"), CASES, ids=IDS)
def test_integer_convolution_is_the_definition(op: str, name: str, row: Any) -> None:
    node, inputs = integer_node(op, row)
    np.testing.assert_array_equal(run_int(node, inputs), naive_convolution(node, *inputs))


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d"])
def test_all_minus_128(op: str) -> None:
    row = (4, 4, 2, 2, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1 if op == "conv2d" else 2)
    node, inputs = integer_node(op, row)
    full = [np.full_like(inputs[0], -128), np.full_like(inputs[1], -128), inputs[2]]
    node = node.with_attrs(pad_value=-128, shift=(11, 12), out_min=-128, out_max=127)
    np.testing.assert_array_equal(run_int(node, full), naive_convolution(node, *full))


def test_sums_beyond_float32_are_exact() -> None:
    """4096 products of 127 * 127 and one that would be lost in 24 bits."""
    x = np.full((1, 4097), 127, np.int8)
    w = np.full((1, 4097), 127, np.int8)
    x[0, -1], w[0, -1] = 1, 1
    node = Node("dense", "d", ("x", "w", "b"), ("y",),
                {"shift": (0,), "out_min": -128, "out_max": 127})  # fmt: skip
    bias = np.array([-4096 * 127 * 127], np.int32)
    assert run_int(node, [x, w, bias]).tolist() == [[1]]


def test_convolution_in_chunks_gives_the_same() -> None:
    node, inputs = integer_node("conv2d", CONVOLUTIONS["same"])
    many = np.random.default_rng(1).integers(-128, 128, (3000, *CONVOLUTIONS["same"][:3]))
    many = many.astype(np.int8)
    whole = run_int(node, [many, *inputs[1:]])
    last = run_int(node, [many[-5:], *inputs[1:]])
    np.testing.assert_array_equal(whole[-5:], last)


# ---- float to integer ----


def float_node(op: str, w: Any, b: Any, **attrs: Any) -> tuple[Node, Graph]:
    """A node and a graph that holds its constants alone."""
    node = Node(op, "layer", ("x", "w", "b"), ("y",), {"clip": NO_CLIP, **attrs})
    w, b = np.asarray(w, np.float32), np.asarray(b, np.float32)
    tensors = {"w": Tensor("w", w.shape, w), "b": Tensor("b", b.shape, b)}
    return node, Graph("net", (), (), (node,), tensors)


def acts(frac_x: int, frac_y: int, zero_x: int = 0, zero_y: int = 0) -> dict[str, QTensor]:
    return {
        "x": QTensor("x", (), "s8", frac_x, zero_x),
        "y": QTensor("y", (), "s8", frac_y, zero_y),
    }


def integer_form(
    node: Node, graph: Graph, tensors: Any, weights: Any = None
) -> tuple[Node, list[Any]]:
    to_int = spec(node.op).to_int
    assert to_int is not None
    form = to_int(node, graph, tensors, weights or {})
    return form.node, [constant.data for constant in form.constants]


def check_bound(node: Node, w: Any, b: Any, axis: int) -> None:
    sums = np.abs(np.moveaxis(w, axis, 0).reshape(len(b), -1).astype(np.int64)).sum(1)
    assert (np.abs(b.astype(np.int64)) + 128 * sums < 2**31).all()
    assert all(0 <= shift <= 31 for shift in node.attrs["shift"])


@pytest.mark.parametrize("zeros", [(0, 0), (-128, -128), (-128, 0), (0, -128)])
@pytest.mark.parametrize(("op", "name", "row"), CASES, ids=IDS)
def test_integers_follow_the_float_twin(op: str, name: str, row: Any, zeros: Any) -> None:
    """Within half a step of the output, plus what half a step of each weight and bias can do."""
    random = np.random.default_rng(5)
    w = random.normal(0, 0.3, weight_shape(op, row)).astype(np.float32)
    b = random.normal(0, 0.5, row[3]).astype(np.float32)
    node, graph = float_node(op, w, b, **convolution_attrs(row, pad_value=(0.0,)))
    tensors = acts(5, 3, *zeros)
    form, (qw, qb) = integer_form(node, graph, tensors)
    axis = 0 if op == "conv2d" else 2
    check_bound(form, qw, qb, axis)
    q = random.integers(-128, 128, (2, *row[:3])).astype(np.int8)
    x = dequantize(q, 5, zeros[0])
    real = run_float(node, x, w, b)
    low, high = dequantize(np.array([-128, 127]), 3, zeros[1])
    got = dequantize(run_int(form, [q, qw, qb]), 3, zeros[1])
    taps = w[..., 0].size if op != "conv2d" else w[0].size
    fracs = np.array(form.attrs["shift"]) + 3 - 5
    slack = 0.5**4 + (taps * np.abs(x).max() + 2**-5) * 0.5 ** (fracs + 1) + 1e-5
    assert (np.abs(got - np.clip(real, low, high)) <= slack).all()


def run_float(node: Node, x: Any, w: Any, b: Any) -> Any:
    run = spec(node.op).run_float
    assert run is not None
    return run(node, [torch.tensor(v, dtype=torch.float64) for v in (x, w, b)]).numpy()


def test_dense_follows_the_float_twin_exactly_where_weights_are_integers() -> None:
    """y = x0 - 2 x1 + 0.5 with frac 2: halves round up."""
    node, graph = float_node("dense", [[1, -2]], [0.5], clip=(0.0, 6.0))
    form, (qw, qb) = integer_form(node, graph, acts(3, 2))
    x = np.array([[1, 0], [0, 1], [100, 2], [4, -1]], np.int8)  # eighths
    assert run_int(form, [x, qw, qb]).tolist() == [[3], [1], [24], [5]]
    assert (form.attrs["out_min"], form.attrs["out_max"]) == (0, 24)


def test_padding_reads_the_zero_of_the_input() -> None:
    """A constant image of real 0, also at its edge."""
    row = CONVOLUTIONS["same"]
    node, graph = float_node(
        "conv2d", np.ones(weight_shape("conv2d", row)), np.zeros(row[3]),
        **convolution_attrs(row, pad_value=(0.0,)),
    )  # fmt: skip
    form, constants = integer_form(node, graph, acts(4, 4, -128, 0))
    x = np.full((1, *row[:3]), -128, np.int8)
    assert not run_int(form, [x, *constants]).any()


@pytest.mark.parametrize(
    ("w", "b"),
    [
        ([[0.0, 0.0]], [0.0]),
        ([[0.0, 0.0]], [0.3]),
        ([[1e-30, -1e-30]], [0.0]),
        ([[1e-6, -1e-7]], [1.5]),
        ([[0.5, 0.1]], [1e5]),
        ([[0.5, 0.1]], [-3e9]),
        ([[0.5, 0.1]], [3e38]),
        ([[1.0] * 3000], [0.0]),
    ],
)
@pytest.mark.parametrize("zero_y", [0, -128])
def test_extreme_weights_and_biases(w: Any, b: Any, zero_y: int) -> None:
    node, graph = float_node("dense", w, b)
    form, (qw, qb) = integer_form(node, graph, acts(6, 4, -128, zero_y))
    check_bound(form, qw, qb, 0)
    x = np.array([[-128] * len(w[0]), [5] * len(w[0])], np.int8)
    real = np.array(w) @ dequantize(x, 6, -128).T + b
    wanted = quantize(real.T, 4, zero_y)
    assert np.abs(run_int(form, [x, qw, qb]).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("seed", range(30))
def test_bound_holds_for_any_scales(seed: int) -> None:
    random = np.random.default_rng(seed)
    depth = int(random.integers(1, 2000))
    w = random.normal(0, 10.0 ** random.uniform(-8, 1), (4, depth))
    b = random.normal(0, 10.0 ** random.uniform(-4, 6), 4)
    fracs = (int(random.integers(-3, 12)), int(random.integers(-10, -2)))
    node, graph = float_node("dense", w, b)
    form, (qw, qb) = integer_form(node, graph, acts(*fracs, -128, -128))
    check_bound(form, qw, qb, 0)


def test_given_weights_replace_the_rounding() -> None:
    node, graph = float_node("dense", [[0.5], [0.5]], [0.0, 0.0])
    data = np.array([[3], [5]], np.int8)
    given = {"w": QTensor("w", (2, 1), "s8", (2, 3), 0, data)}
    form, (qw, _) = integer_form(node, graph, acts(4, 4), given)
    assert qw.tolist() == [[3], [5]]
    assert form.attrs["shift"] == (2, 3)


def test_weights_too_large_for_the_output_are_refused() -> None:
    node, graph = float_node("dense", [[100.0]], [0.0])
    with pytest.raises(ModelError, match="too large for the scale of its output"):
        integer_form(node, graph, acts(0, 3))


def test_padding_that_differs_per_channel() -> None:
    row = CONVOLUTIONS["same"]
    attrs = convolution_attrs(row, pad_value=(0.0, 1.0, 0.0))
    node, graph = float_node("conv2d", np.ones(weight_shape("conv2d", row)), np.ones(4), **attrs)
    assert uniform_pad_value(node, 4, 0) is None
    assert uniform_pad_value(node, -2, 3) == 3
    assert uniform_pad_value(node.with_attrs(pads=(0, 0, 0, 0)), 4, -128) == -128
    with pytest.raises(ValueError, match="differs per channel"):
        integer_form(node, graph, acts(4, 4))
    x = np.zeros((1, *row[:3]))
    y = run_float(node, x, np.ones(weight_shape("conv2d", row)), np.zeros(4))
    assert (y[0, 0, 0, 0], y[0, 0, 1, 0], y[0, 2, 2, 0]) == (5.0, 3.0, 0.0)


def test_weight_fracs_are_the_finest_that_fit() -> None:
    w = np.random.default_rng(0).normal(0, 1, (3, 3, 40)) * 10.0 ** np.linspace(-9, 4, 40)
    fracs = np.array(weight_fracs(w, 2))
    inside = (fracs > -8) & (fracs < 24)
    peaks = np.abs(np.floor(w * 2.0**fracs + 0.5)).max((0, 1))
    finer = np.abs(np.floor(w * 2.0 ** (fracs + 1) + 0.5)).max((0, 1))
    assert inside.any()
    assert (peaks[inside] <= 127).all()
    assert (finer[inside] > 127).all()
    assert quantize_weights(w, 2, weight_fracs(w, 2)).dtype == np.int8


@pytest.mark.parametrize(("op", "name", "row"), CASES, ids=IDS)
def test_float_twin_has_gradients(op: str, name: str, row: Any) -> None:
    node, _ = float_node(op, [], [], **convolution_attrs(row, pad_value=(0.0,), clip=(0.0, 6.0)))
    w = torch.ones(weight_shape(op, row), requires_grad=True)
    run = spec(op).run_float
    assert run is not None
    y = run(node, [torch.ones(2, *row[:3]), w, torch.zeros(row[3])])
    y.sum().backward()
    assert w.grad is not None


# ---- pools ----

# height, width, channels, kernel, strides, dilations, pads
POOLS = {
    "halves": (8, 6, 3, (2, 2), (2, 2), (1, 1), (0, 0, 0, 0)),
    "global": (5, 7, 2, (5, 7), (1, 1), (1, 1), (0, 0, 0, 0)),
    "1x1 image": (1, 1, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "overlapping": (7, 7, 2, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "same": (4, 5, 3, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "grows": (3, 2, 2, (3, 2), (1, 1), (1, 1), (2, 1, 2, 1)),
    "skips": (9, 8, 1, (2, 1), (3, 4), (1, 1), (0, 0, 1, 0)),
    "one-dimensional": (1, 11, 2, (1, 4), (1, 3), (1, 1), (0, 2, 0, 1)),
}
DILATED = {"dilation": (7, 6, 2, (3, 2), (1, 2), (2, 3), (2, 1, 2, 1))}


def pool_node(op: str, row: Any, **more: Any) -> Node:
    *_, kernel, strides, dilations, pads = row
    attrs = {"kernel": kernel, "strides": strides, "pads": pads, **more}
    if op == "max_pool2d":
        attrs["dilations"] = dilations
    return Node(op, op, ("x",), ("y",), attrs)


def windows_of(node: Node, x: Any) -> Any:
    """(place of the output, the values inside its window) for all places."""
    shape = spec(node.op).infer(node, [x.shape])
    for n, oy, ox, c in product(*map(range, shape)):
        taps = [
            _at(node, x.shape[1:], oy, ox, ky, kx)
            for ky, kx in product(*map(range, node.ints("kernel")))
        ]
        yield (n, oy, ox, c), [int(x[n][at][c]) for at in taps if at is not None]


def images(row: Any) -> Any:
    return np.random.default_rng(2).integers(-128, 128, (2, *row[:3])).astype(np.int8)


@pytest.mark.parametrize("name", [*POOLS, *DILATED])
def test_max_pool(name: str) -> None:
    row = (POOLS | DILATED)[name]
    node, x = pool_node("max_pool2d", row), images(row)
    found = run_int(node, [x])
    assert all(found[place] == max(values) for place, values in windows_of(node, x))
    real = spec("max_pool2d").run_float
    assert real is not None
    np.testing.assert_array_equal(real(node, [torch.from_numpy(x).float()]).numpy(), found)


def test_max_pool_of_the_smallest_values() -> None:
    node = pool_node("max_pool2d", POOLS["same"])
    x = np.full((1, 4, 5, 3), -128, np.int8)
    np.testing.assert_array_equal(run_int(node, [x]), x)


@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize("fracs", [(3, 3), (3, 6), (5, 2), (9, -3)])
@pytest.mark.parametrize("zeros", [(0, 0), (-128, -128), (-128, 0)])
@pytest.mark.parametrize("name", POOLS)
def test_avg_pool(name: str, zeros: Any, fracs: Any, include_pad: bool) -> None:
    """The exact mean, rounded half up once."""
    row, (frac_x, frac_y) = POOLS[name], fracs
    node = pool_node("avg_pool2d", row, include_pad=include_pad, clip=NO_CLIP)
    form, _ = integer_form(node, Graph("net", (), (), (), {}), acts(*fracs, *zeros))
    x = images(row)
    found = run_int(form, [x])
    area = row[3][0] * row[3][1]
    for place, values in windows_of(node, x):
        count = area if include_pad else len(values)
        mean = Fraction(sum(v - zeros[0] for v in values), count) * Fraction(2) ** (frac_y - frac_x)
        wanted = math.floor(mean + Fraction(1, 2)) + zeros[1]
        assert found[place] == min(max(wanted, -128), 127)


@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize("name", POOLS)
def test_avg_pool_in_float(name: str, include_pad: bool) -> None:
    row = POOLS[name]
    node = pool_node("avg_pool2d", row, include_pad=include_pad, clip=(-5.0, 5.0))
    x, area = images(row), row[3][0] * row[3][1]
    real = spec("avg_pool2d").run_float
    assert real is not None
    found = real(node, [torch.from_numpy(x).double()]).numpy()
    for place, values in windows_of(node, x):
        mean = sum(values) / (area if include_pad else len(values))
        assert found[place] == pytest.approx(min(max(mean, -5.0), 5.0))


def test_avg_pool_carries_the_clip() -> None:
    node = pool_node("avg_pool2d", POOLS["halves"], include_pad=False, clip=(0.0, 6.0))
    form, _ = integer_form(node, Graph("net", (), (), (), {}), acts(4, 4, 0, -128))
    assert (form.attrs["out_min"], form.attrs["out_max"]) == (-128, -32)


def test_avg_pool_far_finer_than_its_input_is_refused() -> None:
    node = pool_node("avg_pool2d", POOLS["global"], include_pad=False, clip=NO_CLIP)
    with pytest.raises(ModelError, match="bits finer than its input"):
        integer_form(node, Graph("net", (), (), (), {}), acts(0, 24))


@pytest.mark.parametrize("name", [*POOLS, *DILATED])
def test_pool_may_overlap_its_input_by_the_gap_and_no_more(name: str) -> None:
    row = (POOLS | DILATED)[name]
    node, x = pool_node("max_pool2d", row), images(row)[:1]
    want = run_int(node, [x])
    tensors = {"x": QTensor("x", x.shape, "s8", 0), "y": QTensor("y", want.shape, "s8", 0)}
    gap = pool2d.gap(node, QGraph("net", (), (), (node,), tensors), 0)
    assert gap is not None
    assert overlapped(node, x, want, gap) == 0
    assert gap == 0 or overlapped(node, x, want, gap - x.shape[3]) > 0


def overlapped(node: Node, x: Any, want: Any, gap: int) -> int:
    """How many reads see an overwritten byte if the output starts ``gap`` bytes before x.

    Pixel by pixel and channel by channel, as the C kernels walk.
    """
    written: set[int] = set()
    spoiled = 0
    _, height, width, channels = x.shape
    for index, (_, oy, ox, c) in enumerate(product(*map(range, want.shape))):
        for ky, kx in product(*map(range, node.ints("kernel"))):
            at = _at(node, (height, width), oy, ox, ky, kx)
            if at is not None:
                spoiled += (at[0] * width + at[1]) * channels + c in written
        written.add(index - gap)
    return spoiled


# ---- limits, shapes and counts ----


def broken(op: str, shapes: Any, **attrs: Any) -> list[str]:
    """The names of the limits that a node breaks."""
    node = Node(op, op, ("x", "w", "b"), ("y",), attrs)
    return [limit.__name__ for limit in spec(op).limits if not limit(node, shapes)]


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ((4, 4, 2, 2, (5, 3), (1, 1), (1, 1), (0, 0, 0, 0), 1), ["has_a_place"]),
        ((4, 4, 2, 2, (3, 3), (1, 1), (2, 2), (0, 0, 0, 0), 1), ["has_a_place"]),
        ((4, 4, 2, 2, (3, 3), (1, 0x10000), (1, 1), (0, 0, 0, 0), 1), ["representable"]),
        ((1, 70000, 1, 1, (1, 3), (1, 1), (1, 1), (0, 0, 0, 0), 1), ["representable"]),
        ((4, 4, 4, 3, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 2), ["grouped"]),
        ((4, 4, 4, 4, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 2), []),
    ],
)
def test_convolution_limits(row: Any, names: list[str]) -> None:
    shapes = [(1, *row[:3]), weight_shape("conv2d", row), (row[3],)]
    assert broken("conv2d", shapes, **convolution_attrs(row)) == names


def test_pool_limits() -> None:
    shapes = [(1, 4, 4, 2)]
    attrs = {"kernel": (2, 2), "strides": (2, 2), "dilations": (1, 1)}
    assert broken("max_pool2d", shapes, **attrs, pads=(0, 0, 1, 1)) == []
    assert broken("max_pool2d", shapes, **attrs, pads=(2, 0, 0, 0)) == ["covers"]
    assert broken("avg_pool2d", shapes, **attrs, pads=(0, 0, 0, 4)) == ["covers"]


def test_multiply_accumulates() -> None:
    node, inputs = integer_node("conv2d", CONVOLUTIONS["groups 2"])
    shapes = [v.shape for v in inputs]
    out = spec("conv2d").infer(node, shapes)
    assert spec("conv2d").macs(node, shapes, out) == 3 * 3 * 6 * 9 * 2
    node, inputs = integer_node("depthwise_conv2d", DEPTHWISE["multiplier 2"])
    shapes = [v.shape for v in inputs]
    out = spec("depthwise_conv2d").infer(node, shapes)
    assert spec("depthwise_conv2d").macs(node, shapes, out) == 2 * 5 * 6 * 9


def test_batch_norm() -> None:
    node = Node("batch_norm", "bn", ("x", "s", "b"), ("y",))
    run = spec("batch_norm").run_float
    assert run is not None
    y = run(node, [torch.ones(2, 1, 1, 2), torch.tensor([2.0, 3.0]), torch.tensor([0.5, -1.0])])
    assert y[1].flatten().tolist() == [2.5, 2.0]
    assert broken("batch_norm", [(1, 4, 4, 2), (2,), (3,)]) == ["per_channel"]
