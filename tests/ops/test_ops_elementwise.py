"""Operators that work element by element, reduce the last axis or move data: shapes and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from mcuq.errors import ModelError
from mcuq.ir import Array, Graph, Node, Tensor
from mcuq.ops import add, lut, mul, spec
from mcuq.ops.clip import out_range
from mcuq.ops.parts import operand
from mcuq.ops.parts.broadcast import spread
from mcuq.ops.softmax import exp_table
from mcuq.ops.spec import IntForm
from mcuq.qir import QGraph, QTensor

INF = math.inf
NO_CLIP = {"clip": (-INF, INF)}
EMPTY = QGraph("g", (), (), (), {})
EVERY = np.arange(-128, 128, dtype=np.int8)
ALPHAS = {"alpha": 0.25, "beta": 0.5, "low": -1.0, "high": 2.0, "approximate": "tanh"}


def s8(*values: int) -> Array:
    return np.array([values], np.int8)


def act(name: str, shape: tuple[int, ...], frac: int, zero: int = 0) -> QTensor:
    return QTensor(name, shape, "s8", frac, zero)


def integer(
    op: str,
    attrs: Mapping[str, Any],
    operands: Mapping[str, QTensor | Array],
    frac: int,
    zero: int = 0,
) -> IntForm:
    """The integer form of one node; an operand given as an array is a float constant."""
    node = Node(op, op, tuple(operands), ("y",), attrs)
    shape = spec(op).infer(node, [tuple(v.shape) for v in operands.values()])
    tensors = {n: Tensor(n, tuple(v.shape), v if isinstance(v, np.ndarray) else None)
               for n, v in operands.items()}  # fmt: skip
    graph = Graph("g", (), (), (node,), {**tensors, "y": Tensor("y", shape)})
    acts = {n: v for n, v in operands.items() if isinstance(v, QTensor)}
    to_int = spec(op).to_int
    assert to_int is not None
    return to_int(node, graph, {**acts, "y": act("y", shape, frac, zero)}, {})


def run(form: IntForm, inputs: Mapping[str, Array]) -> Array:
    """The output of an integer node for activations of any batch."""
    constants = {t.name: t.data for t in form.constants}
    run_int = spec(form.node.op).run_int
    assert run_int is not None
    return run_int(form.node, EMPTY, [{**constants, **inputs}[n] for n in form.node.inputs])


def naive(op: str, attrs: Mapping[str, Any], *values: Array) -> Array:
    run_int = spec(op).run_int
    assert run_int is not None
    return run_int(Node(op, op, (), ("y",), attrs), EMPTY, values)


def nearest(value: Fraction, zero: int) -> int:
    """Half up, then the zero, then saturated: what an exact calculator would give."""
    return max(-128, min(127, math.floor(value + Fraction(1, 2)) + zero))


EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}

# op, frac and zero of a, b and y
SCALES = [
    ("add", (4, 0), (4, 0), (4, 0)),
    ("add", (4, -128), (6, 0), (3, -128)),
    ("add", (-2, 0), (5, -128), (0, 0)),
    ("add", (0, 0), (20, -128), (-2, 0)),
    ("add", (7, 0), (5, 0), (9, 0)),
    ("sub", (4, 0), (4, 0), (3, 0)),
    ("sub", (4, -128), (7, -128), (4, 0)),
    ("sub", (6, 0), (3, 0), (5, -128)),
    ("mul", (4, 0), (4, 0), (8, 0)),
    ("mul", (4, -128), (8, -128), (6, 0)),
    ("mul", (4, 0), (7, -128), (3, -128)),
    ("mul", (10, -128), (10, -128), (-3, -128)),
]


@pytest.mark.parametrize(("op", "a", "b", "y"), SCALES)
def test_two_operands_round_the_exact_result_once(op, a, b, y) -> None:
    random = np.random.default_rng(1)
    qa, qb = random.integers(-128, 128, (2, 300), dtype=np.int8)
    qa[:4], qb[:4] = (-128, -128, 127, 127), (-128, 127, -128, 127)
    shape = (1, 300)
    form = integer(op, NO_CLIP, {"a": act("a", shape, *a), "b": act("b", shape, *b)}, *y)
    real_a = [(int(q) - a[1]) * Fraction(2) ** -a[0] for q in qa]
    real_b = [(int(q) - b[1]) * Fraction(2) ** -b[0] for q in qb]
    exact = [EXACT[op](p, q) * Fraction(2) ** y[0] for p, q in zip(real_a, real_b, strict=True)]
    got = run(form, {"a": qa.reshape(shape), "b": qb.reshape(shape)})
    assert got.tolist() == [[nearest(v, y[1]) for v in exact]]


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("add", 1, 4, 3),  # +2.5 -> 3
        ("add", -1, -4, -2),  # -2.5 -> -2
        ("add", 127, 127, 127),
        ("add", -128, -128, -128),
        ("sub", 127, -128, 127),
        ("sub", 2, 7, -2),  # -2.5 -> -2
        ("sub", 7, 2, 3),  # +2.5 -> 3
    ],
)
def test_ties_go_up_and_sums_saturate(op: str, a: int, b: int, expected: int) -> None:
    operands = {"a": act("a", (1, 1), 1), "b": act("b", (1, 1), 1)}
    assert run(integer(op, NO_CLIP, operands, 0), {"a": s8(a), "b": s8(b)}) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(5, 1, 3), (-5, 1, -2), (-128, -128, 127), (-128, 127, -128)]
)
def test_ties_go_up_and_products_saturate(a: int, b: int, expected: int) -> None:
    operands = {"a": act("a", (1, 1), 1), "b": act("b", (1, 1), 0)}
    assert run(integer("mul", NO_CLIP, operands, 0), {"a": s8(a), "b": s8(b)}) == expected


def test_relu6_is_a_clamp_of_the_sum() -> None:
    operands = {"a": act("a", (1, 4), 4), "b": act("b", (1, 4), 4)}
    form = integer("add", {"clip": (0.0, 6.0)}, operands, 4, -128)
    assert (form.node.int("out_min"), form.node.int("out_max")) == (-128, -32)
    got = run(form, {"a": s8(-16, 16, 48, 127), "b": s8(0, 16, 47, 127)})
    assert got.tolist() == [[-128, -96, -33, -32]]


@pytest.mark.parametrize(
    ("clip", "frac", "zero", "expected"),
    [
        ((-INF, INF), 4, 0, (-128, 127)),
        ((0.0, INF), 4, -128, (-128, 127)),
        ((0.0, INF), 4, 0, (0, 127)),
        ((0.0, 6.0), 4, 0, (0, 96)),
        ((-1.0, 1.0), 0, 0, (-1, 1)),
        ((-0.5, 0.5), 0, 0, (0, 1)),
    ],
)
def test_out_range(clip, frac, zero, expected) -> None:
    assert out_range(clip, act("y", (1, 1), frac, zero)) == expected


def test_every_allowed_add_fits_32_bits() -> None:
    for frac_b, zeros in product(range(-20, 21), product((0, -128), repeat=3)):
        low, high = add.frac_range(0, frac_b)
        for frac_y in range(low, high + 1):
            operands = {"a": act("a", (1, 1), 0, zeros[0]), "b": act("b", (1, 1), frac_b, zeros[1])}
            node = integer("add", NO_CLIP, operands, frac_y, zeros[2]).node
            peak = 128 * (node.int("mul_a") + node.int("mul_b")) + abs(node.int("bias"))
            assert peak < 2**31
            assert 0 <= node.int("shift") <= 31


def test_every_allowed_mul_fits_32_bits() -> None:
    for shift, zeros in product(range(mul.MAX_SHIFT + 1), product((0, -128), repeat=3)):
        operands = {"a": act("a", (1, 1), 0, zeros[0]), "b": act("b", (1, 1), 0, zeros[1])}
        node = integer("mul", NO_CLIP, operands, -shift, zeros[2]).node
        assert 255 * 255 + abs(node.int("bias")) < 2**31


@pytest.mark.parametrize(
    ("op", "frac_a", "frac_b", "frac_y"),
    [("add", 0, 0, 21), ("add", 0, 0, -23), ("add", 21, 0, 0), ("sub", 0, 21, 0),
     ("mul", 4, 4, 9), ("mul", 12, 12, 0)],
)  # fmt: skip
def test_scales_too_far_apart_are_refused(op, frac_a, frac_b, frac_y) -> None:
    operands = {"a": act("a", (1, 1), frac_a), "b": act("b", (1, 1), frac_b)}
    with pytest.raises(ModelError, match=rf"g: node '{op}': the values .* Scale the"):
        integer(op, NO_CLIP, operands, frac_y)


SPREADS = [
    ((1, 4, 5, 6), (1, 4, 5, 6), (1, 120, (0, 0), (1, 1))),
    ((1, 4, 5, 6), (6,), (20, 6, (6, 0), (1, 1))),
    ((1, 1, 1, 6), (1, 4, 5, 6), (20, 6, (0, 6), (1, 1))),
    ((1, 4, 5, 1), (1, 4, 5, 6), (20, 6, (1, 6), (0, 1))),
    ((1, 4, 5, 6), (), (1, 120, (0, 0), (1, 0))),
    ((1, 4, 5, 1), (1, 1, 1, 6), (20, 6, (1, 0), (0, 1))),
    ((1, 4, 5, 6), (5, 6), (4, 30, (30, 0), (1, 1))),
    ((1, 4, 5, 6), (1, 4, 1, 1), (4, 30, (30, 1), (1, 0))),
]


@pytest.mark.parametrize(("a", "b", "expected"), SPREADS)
def test_spread_addresses_what_numpy_broadcasts(a, b, expected) -> None:
    shape = np.broadcast_shapes(a, b)
    found = spread([a, b], shape)
    assert found is not None
    assert (found.rows, found.inner, found.row_step, found.inner_step) == expected
    for k, operand_shape in enumerate((a, b)):
        places = np.arange(math.prod(operand_shape)).reshape(operand_shape)
        want = np.broadcast_to(places, shape).reshape(found.rows, found.inner)
        row, inner = np.ogrid[: found.rows, : found.inner]
        assert np.array_equal(want, row * found.row_step[k] + inner * found.inner_step[k])


@pytest.mark.parametrize(
    ("a", "b"), [((1, 4, 5, 6), (1, 1, 5, 1)), ((1, 4, 5, 6), (1, 4, 1, 6)), ((1, 3), (1, 4))]
)
def test_other_broadcasts_are_outside_the_limits(a, b) -> None:
    assert not all(limit(Node("add", "n", (), ("y",)), [a, b]) for limit in spec("add").limits)


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 6), (1, 4, 5, 1), (1, 4, 5, 6), (1, 1, 1, 1)])
def test_activations_broadcast_over_any_batch(op: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    a = random.integers(-128, 128, (3, 4, 5, 6), dtype=np.int8)
    b = random.integers(-128, 128, (3, *shape[1:]), dtype=np.int8)
    form = integer(op, NO_CLIP, {"a": act("a", (1, 4, 5, 6), 4), "b": act("b", shape, 4)}, 2)
    for left, right in ((a, b), (b, a)):
        wide = [np.broadcast_to(v, a.shape).copy() for v in (left, right)]
        got = run(form, {"a": left, "b": right})
        assert np.array_equal(got, run(form, {"a": wide[0], "b": wide[1]}))


def test_an_activation_of_lower_rank_is_refused() -> None:
    operands = {"a": act("a", (1, 4, 4, 6), 4), "b": act("b", (1, 6), 4)}
    with pytest.raises(ModelError, match="operand 'b' has fewer dimensions"):
        integer("add", NO_CLIP, operands, 4)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("op", ["add", "sub", "mul"])
def test_a_constant_operand_is_as_good_as_its_8_bits(op: str, swapped: bool) -> None:
    random = np.random.default_rng(3)
    constant = random.uniform(-3.0, 3.0, 6).astype(np.float32)
    x = random.integers(-128, 128, (2, 5, 5, 6), dtype=np.int8)
    operands: dict[str, QTensor | Array] = {"x": act("x", (1, 5, 5, 6), 5), "c": constant}
    form = integer(op, NO_CLIP, dict(reversed(operands.items())) if swapped else operands, 4)
    assert form.constants[0].name == "y.constant"
    assert form.constants[0].frac == 5
    pair = (constant, x * 2.0**-5) if swapped else (x * 2.0**-5, constant)
    real = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[op](*pair)
    # Half a unit of rounding, and half a unit of the constant's (times |x| <= 4 for mul).
    bound = 0.5 + (4.0 if op == "mul" else 1.0) * 2.0**-6 * 2.0**4
    error = np.abs(run(form, {"x": x}) - np.clip(real * 2.0**4, -128, 127))
    assert error.max() <= bound


@pytest.mark.parametrize(("frac_x", "frac_y"), [(5, 5), (3, 5)])
def test_a_sum_with_a_constant_is_rounded_once(frac_x: int, frac_y: int) -> None:
    """Where the other operand lies on the output's steps: not first to the constant's own."""
    random = np.random.default_rng(4)
    constant = random.uniform(-1.9, 1.9, 64).astype(np.float32)
    x = random.integers(-60, 60, (2, 5, 5, 64), dtype=np.int8) >> (frac_y - frac_x)
    form = integer("add", NO_CLIP, {"x": act("x", (1, 5, 5, 64), frac_x), "c": constant}, frac_y)
    reals = x * 2.0**-frac_x + constant.astype(np.float64)
    assert np.array_equal(run(form, {"x": x}), np.floor(reals * 2.0**frac_y + 0.5))


@pytest.mark.parametrize(
    ("values", "frac", "zero", "data"),
    [
        ([0.5, 3.0], 6, -128, [-96, 64]),
        ([-1.1, 0.5], 6, 0, [-70, 32]),
        ([-1.0, 0.5], 7, 0, [-128, 64]),
        ([-1.0, 0.999], 6, 0, [-64, 64]),
        ([0.0, 0.0], 24, -128, [-128, -128]),
        ([-1e9, 1.0], -8, 0, [-128, 0]),
        ([-1e-9, 0.0], 24, 0, [0, 0]),
    ],
)
def test_quantize_constant(values, frac, zero, data) -> None:
    found = operand.quantize_constant("c", np.array(values), -8, 24)
    assert found.data is not None
    assert (found.frac, found.zero, found.data.tolist()) == (frac, zero, data)


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
def test_a_scalar_constant_makes_a_table(op: str, shape: tuple[int, ...]) -> None:
    constant = np.full(shape, 0.3, np.float32)
    form = integer(op, {"clip": (0.0, INF)}, {"c": constant, "x": act("x", (1, 2, 2, 3), 5)}, 6)
    assert (form.node.op, form.node.inputs) == ("lut", ("x", "y.table"))
    scalar = float(np.float32(0.3))
    real = {"add": scalar + EVERY * 2.0**-5, "sub": scalar - EVERY * 2.0**-5,
            "mul": scalar * (EVERY * 2.0**-5)}[op]  # fmt: skip
    want = [nearest(Fraction(max(v, 0.0)) * 2**6, 0) for v in real]
    assert run(form, {"x": EVERY.reshape(1, -1)}).tolist() == [want]


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "tanh": math.tanh,
    "hard_sigmoid": lambda x: min(max(0.25 * x + 0.5, 0.0), 1.0),
    "hard_swish": lambda x: x * min(max(x / 6.0 + 0.5, 0.0), 1.0),
    "leaky_relu": lambda x: x if x > 0 else 0.25 * x,
    "elu": lambda x: x if x > 0 else 0.25 * math.expm1(x),
    "gelu": lambda x: 0.5 * x * (1.0 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1.0 + math.exp(-x)),
    "clip": lambda x: min(max(x, -1.0), 2.0),
}


@pytest.mark.parametrize("op", FUNCTIONS)
@pytest.mark.parametrize(("source", "target"), [((4, 0), (5, 0)), ((3, -128), (2, -128))])
def test_tables_round_the_real_function(op: str, source, target) -> None:
    form = integer(op, ALPHAS, {"x": act("x", (1, 256), *source)}, *target)
    real = [FUNCTIONS[op]((int(q) - source[1]) * 2.0 ** -source[0]) for q in EVERY]
    scaled = np.clip(np.array(real) * 2.0 ** target[0] + target[1], -128, 127)
    got = run(form, {"x": EVERY.reshape(1, -1)})[0]
    # 1e-9: two libraries may disagree about a value that lies on a tie.
    assert np.abs(got - scaled).max() <= 0.5 + 1e-9


def test_exact_gelu() -> None:
    form = integer("gelu", {"approximate": "none"}, {"x": act("x", (1, 256), 5)}, 5)
    want = [x * normal_cdf(x) * 32 for x in EVERY / 32.0]
    assert np.abs(run(form, {"x": EVERY.reshape(1, -1)})[0] - want).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("source", "target", "q", "expected"),
    [
        ((4, 0), (3, 0), 5, 3),  # 2.5 -> 3
        ((4, 0), (3, 0), -5, -2),  # -2.5 -> -2
        ((4, 0), (6, 0), 40, 127),
        ((4, 0), (4, -128), -3, -128),
        ((4, 0), (4, -128), 127, -1),
        ((4, -128), (4, 0), 127, 127),
        ((8, -128), (7, 0), 127, 127),  # 127.5 -> 128 -> 127
    ],
)
def test_requantization(source, target, q: int, expected: int) -> None:
    form = lut.requant_node("r", act("x", (1, 1), *source), act("y", (1, 1), *target))
    assert run(form, {"x": s8(q)}).tolist() == [[expected]]


@pytest.mark.parametrize("frac", [-2, 0, 4, 7, 12])
def test_softmax_equals_its_formula_and_the_real_one(frac: int) -> None:
    random = np.random.default_rng(frac + 10)
    x = random.integers(-128, 128, (2, 3, 10), dtype=np.int8)
    got = run(integer("softmax", {}, {"x": act("x", (1, 3, 10), frac)}, 8, -128), {"x": x})
    for row, y in zip(x.reshape(-1, 10).tolist(), got.reshape(-1, 10).tolist(), strict=True):
        e = [math.floor(32767 * math.exp(-(max(row) - q) * 2.0**-frac) + 0.5) for q in row]
        total = sum(e)
        assert y == [min(127, (256 * v + total // 2) // total - 128) for v in e]
    real = torch.from_numpy(x * 2.0**-frac).softmax(-1).numpy()
    assert np.abs(np.minimum(real, 255 / 256) - (got + 128.0) / 256).max() <= 0.51 / 256


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([-128], [127]),
        ([5, 5], [0, 0]),
        ([127, -128, -128], [127, -128, -128]),
        ([-128] * 4, [-64] * 4),
        ([7] * 512, [-127] * 512),  # 0.5 -> 1
        ([7] * 513, [-128] * 513),
    ],
)
def test_softmax_extremes(row: list[int], expected: list[int]) -> None:
    form = integer("softmax", {}, {"x": act("x", (1, len(row)), 0)}, 8, -128)
    assert run(form, {"x": s8(*row)}).tolist() == [expected]


def test_softmax_of_its_longest_row_stays_in_32_bits() -> None:
    total = 32767 * 65535
    assert 256 * 32767 + total // 2 < 2**31 > total
    long, longer = Node("softmax", "n", (), ("y",)), (1, 65536)
    assert spec("softmax").limits[0](long, [(1, 65535)])
    assert not spec("softmax").limits[0](long, [longer])


def test_exp_table_starts_at_one_and_never_rises() -> None:
    for frac in range(-4, 16):
        table = exp_table(frac)
        assert table[0] == 32767
        assert (np.diff(table.astype(int)) <= 0).all()


@pytest.mark.parametrize(
    ("row", "first", "last"),
    [([3, 9, 9, 1], 1, 2), ([-128, -128], 0, 1), ([-128, 127], 1, 1), ([4], 0, 0)],
)
def test_argmax_takes_the_first_of_equals_or_the_last(
    row: list[int], first: int, last: int
) -> None:
    real = spec("argmax").run_float
    assert real is not None
    values = torch.tensor([row], dtype=torch.float32)
    for attrs, expected in (({}, first), ({"last": True}, last)):
        got = naive("argmax", attrs, s8(*row))
        assert (got.tolist(), got.dtype) == ([[expected]], np.int32)
        assert real(Node("argmax", "n", (), ("y",), attrs), [values]).tolist() == [[expected]]


def test_concat_along_channels_of_a_batch() -> None:
    a, b = np.arange(8, dtype=np.int8).reshape(2, 2, 2), -np.ones((2, 2, 1), np.int8)
    want = [[[0, 1, -1], [2, 3, -1]], [[4, 5, -1], [6, 7, -1]]]
    assert naive("concat", {"axis": 2}, a, b).tolist() == want


@pytest.mark.parametrize(
    ("axis", "shapes", "fits"),
    [(1, [(1, 2), (1, 3)], True), (0, [(1, 2), (1, 2)], False),
     (2, [(1, 2, 3), (1, 3, 3)], False), (1, [(1, 2), (1, 2, 1)], False)],
)  # fmt: skip
def test_concat_limits(axis: int, shapes, fits: bool) -> None:
    node = Node("concat", "n", (), ("y",), {"axis": axis})
    assert spec("concat").limits[0](node, shapes) is fits


def test_pad_with_one_value_in_the_scale_of_the_input() -> None:
    attrs = {"pads": ((0, 0), (1, 2)), "value": (0.5,)}
    form = integer("pad", attrs, {"x": act("x", (1, 2), 4, -128)}, 4, -128)
    assert run(form, {"x": s8(3, 4)}).tolist() == [[-120, 3, 4, -120, -120]]


def test_pad_with_a_value_per_channel() -> None:
    attrs = {"pads": ((0, 0), (1, 0), (0, 1), (0, 0)), "value": (5, 6)}
    got = naive("pad", attrs, np.ones((1, 1, 1, 2), np.int8))
    assert got.tolist() == [[[[5, 6], [5, 6]], [[1, 1], [5, 6]]]]


@pytest.mark.parametrize(
    "pads", [((1, 0), (0, 0)), ((0, 0), (-1, 0)), ((0, 0),) * 5], ids=["batch", "crop", "rank 5"]
)
def test_pad_limits(pads) -> None:
    node = Node("pad", "n", (), ("y",), {"pads": pads})
    assert not spec("pad").limits[0](node, [(1,) * len(pads)])


def test_transpose_moves_channels_to_the_front() -> None:
    x = np.arange(12, dtype=np.int8).reshape(1, 2, 3, 2)
    got = naive("transpose", {"perm": (0, 3, 1, 2)}, x)
    assert got.tolist() == [[[[0, 2, 4], [6, 8, 10]], [[1, 3, 5], [7, 9, 11]]]]
    assert got.flags["C_CONTIGUOUS"]


def test_reshape_keeps_the_batch() -> None:
    x = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    assert np.array_equal(naive("reshape", {"shape": (1, 12)}, x), x.reshape(2, 12))


def test_from_u8_of_every_value() -> None:
    got = naive("from_u8", {}, np.arange(256, dtype=np.uint8).reshape(1, 256))
    assert np.array_equal(got[0], EVERY)


FLOATS: list[tuple[str, dict[str, Any], list[tuple[int, ...]]]] = [
    ("add", {"clip": (-0.5, 6.0)}, [(1, 3, 2, 4), (1, 1, 1, 4)]),
    ("sub", NO_CLIP, [(1, 3, 2, 4), (4,)]),
    ("mul", NO_CLIP, [(1, 3, 2, 1), (1, 3, 2, 4)]),
    *((name, ALPHAS, [(1, 3, 4)]) for name in FUNCTIONS),
    ("softmax", {}, [(1, 2, 5)]),
    ("argmax", {}, [(1, 2, 5)]),
    ("concat", {"axis": 1}, [(1, 2, 3), (1, 4, 3)]),
    ("pad", {"pads": ((0, 0), (1, 2), (0, 1)), "value": (0.0, 1.0, 2.0, 3.0)}, [(1, 2, 3)]),
    ("pad", {"pads": ((0, 0), (1, 2), (0, 1)), "value": (0.5,)}, [(1, 2, 3)]),
    ("reshape", {"shape": (1, 6)}, [(1, 2, 3)]),
    ("transpose", {"perm": (0, 2, 1)}, [(1, 2, 3)]),
]


@pytest.mark.parametrize(("op", "attrs", "shapes"), FLOATS)
def test_float_twins_keep_the_inferred_shape_for_any_batch(op, attrs, shapes) -> None:
    node = Node(op, "n", (), ("y",), attrs)
    batched = [(5, *s[1:]) if len(s) > 1 else s for s in shapes]
    inputs = [torch.randn(s, requires_grad=True) for s in batched]
    y = spec(op).run_float(node, inputs)
    assert tuple(y.shape) == (5, *spec(op).infer(node, shapes)[1:])
    if op != "argmax":
        y.sum().backward()
        assert all(x.grad is not None for x in inputs)


@pytest.mark.parametrize("value", [(0.5,), (0.0, 1.0, 2.0)])
def test_float_pad_equals_the_integer_pad(value: tuple[float, ...]) -> None:
    attrs = {"pads": ((0, 0), (1, 1), (2, 0), (0, 0)), "value": value}
    form = integer("pad", attrs, {"x": act("x", (1, 2, 2, 3), 4)}, 4)
    x = np.arange(12, dtype=np.int8).reshape(1, 2, 2, 3)
    run_float = spec("pad").run_float
    assert run_float is not None
    real = run_float(Node("pad", "n", (), ("y",), attrs), [torch.from_numpy(x / 16.0)])
    assert np.array_equal(run(form, {"x": x}) / 16.0, real.numpy())
