"""A table of small cases for every operator, and one network in which they stand side by side.

Inputs and constants are exact in their fixed-point format, so what an integer operator may differ
from its float twin is the rounding of its result, and a bound on it follows from its formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from mcuq.fixed import DTYPES
from mcuq.ir import Array, Graph, Node, Port, Shape, Tensor
from mcuq.ops import spec
from mcuq.ops.normalize import frac_of_rows
from mcuq.ops.spec import IntForm
from mcuq.passes import pipeline
from mcuq.qir import QGraph, QTensor

INF = math.inf
NO_CLIP = (-INF, INF)
ROUNDED = 0.5  # the one rounding of a result
SLACK = 0.01  # what float32 sums of the float twin may differ from the exact value


@dataclass(frozen=True)
class Act:
    """An activation: its shape and number format."""

    shape: tuple[int, ...]
    frac: int = 4
    zero: int = 0
    kind: str = "s8"


@dataclass(frozen=True)
class Case:
    """One node. ``operands``: activations and float constants; ``bound``: in LSB of the output."""

    op: str
    about: str
    operands: tuple[Act | Array, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    frac: int = 4
    zero: int = 0
    bound: float = ROUNDED + SLACK
    kind: str = "s8"

    @property
    def name(self) -> str:
        return f"{self.op}: {self.about}"

    @property
    def acts(self) -> dict[str, Act]:
        """The activations by tensor name."""
        named = zip(self.names, self.operands, strict=True)
        return {n: v for n, v in named if isinstance(v, Act)}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {index}" for index in range(len(self.operands)))


def _integers(about: str, low: int, high: int, *shape: int) -> Array:
    chance = np.random.default_rng(sum(about.encode()) + sum(shape))
    return chance.integers(low, high + 1, shape).astype(np.float32)


def _choice(about: str, levels: tuple[int, ...], *shape: int) -> Array:
    chance = np.random.default_rng(sum(about.encode()) + sum(shape))
    return chance.choice(np.array(levels, np.float32), shape)


def _weighted(
    op: str, about: str, x: Act, weights: tuple[int, ...], depth: int, **more: Any
) -> Case:
    """Weights of +-127 / 128 or ``levels``, biases in steps of 1 / 128 of the input's unit.

    ``run``: so many weights side by side are 0 together; one run of five stays.
    """
    channels = weights[-1] if op == "depthwise_conv2d" else weights[0]
    # The sum of `depth` products has about this many bits more than one of them.
    grown = max(0, round(math.log2(depth) / 2))
    frac = more.pop("frac", x.frac - grown)
    zero = more.pop("zero", 0)
    w = _integers(about, -127, 127, *weights) / 128
    if levels := more.pop("levels", ()):
        w = _choice(about, levels, *weights) / 128
    if run := more.pop("run", 0):
        w = w * np.repeat(_integers(about, 0, 4, w.size // run) == 0, run).reshape(w.shape)
    b = _integers(about, -4000, 4000, channels) / 2.0 ** (7 + x.frac)
    return Case(op, about, (x, w, b), {"clip": NO_CLIP, **more}, frac, zero)


def _conv(about: str, size: tuple[int, int, int], out_c: int, kernel: tuple[int, int],
          strides: tuple[int, int] = (1, 1), dilations: tuple[int, int] = (1, 1),
          pads: tuple[int, int, int, int] = (0, 0, 0, 0), groups: int = 1,
          x_zero: int = 0, **more: Any) -> Case:  # fmt: skip
    x = Act((1, *size), 4, x_zero)
    attrs = {"strides": strides, "dilations": dilations, "pads": pads, "pad_value": (0.0,), **more}
    if groups == size[2] > 1 or "depthwise" in about:
        depth = kernel[0] * kernel[1]
        return _weighted("depthwise_conv2d", about, x, (*kernel, out_c), depth, **attrs)
    weights = (out_c, *kernel, size[2] // groups)
    depth = math.prod(weights[1:])
    return _weighted("conv2d", about, x, weights, depth, groups=groups, **attrs)


_RELU = {"clip": (0.0, INF), "zero": -128}
_POWERS = (*(-(2**e) for e in range(7)), 0, *(2**e for e in range(7)))
_FOUR = (-100, -10, 0, 127)
CONVOLUTIONS = (
    _conv("1x1 image, one channel", (1, 1, 1), 1, (1, 1)),
    _conv("1x1, a fifth of all blocks", (4, 8, 64), 32, (1, 1), run=4),
    _conv("1x1 image, most taps outside", (1, 1, 2), 3, (3, 3), pads=(1, 1, 1, 1)),
    _conv("pointwise, 5 to 7", (5, 3, 5), 7, (1, 1)),
    _conv("pointwise, 16 to 9, relu", (3, 3, 16), 9, (1, 1), **_RELU),
    _conv("pointwise, stride 3", (7, 7, 4), 8, (1, 1), (3, 3)),
    _conv("pointwise, 64 to 8", (4, 3, 64), 8, (1, 1)),
    _conv("3x3 same, relu", (6, 5, 3), 8, (3, 3), pads=(1, 1, 1, 1), **_RELU),
    _conv("3x3 same, input never negative", (5, 5, 8), 4, (3, 3), pads=(1, 1, 1, 1), x_zero=-128),
    _conv("3x3 stride 2, asymmetric", (7, 6, 4), 6, (3, 3), (2, 2), pads=(0, 0, 1, 1)),
    _conv("stride 3 and 1, relu6", (9, 4, 2), 5, (3, 2), (3, 1), clip=(0.0, 6.0)),
    _conv("dilation 2 and 3", (9, 11, 2), 3, (3, 3), (1, 1), (2, 3), (2, 3, 1, 0)),
    _conv("groups 2", (4, 5, 6), 4, (3, 3), pads=(1, 0, 0, 1), groups=2),
    _conv("groups 4", (3, 3, 8), 12, (2, 2), groups=4),
    _conv("one-dimensional", (1, 17, 3), 5, (1, 5), (1, 2), (1, 2), (0, 4, 0, 3)),
    _conv("5x7 kernel", (6, 8, 1), 3, (5, 7), pads=(2, 3, 2, 3)),
    _conv("padding of 2.5", (3, 3, 2), 3, (3, 3), pads=(1, 2, 0, 1), pad_value=(2.5,)),
    _conv("kernel as large as the image", (4, 4, 12), 10, (4, 4)),
    _conv("3x3 same, 16 to 20", (5, 6, 16), 20, (3, 3), pads=(1, 1, 1, 1)),
    _conv("3x3 same, 32 to 3, 1x1 image", (1, 1, 32), 3, (3, 3), pads=(1, 1, 1, 1), x_zero=-128),
    _conv("result as fine as its sum", (3, 3, 1), 2, (1, 1), frac=11),
    _conv("result far coarser", (3, 3, 3), 3, (3, 3), frac=-9),
    _conv("powers of two, 4 to 9", (5, 6, 4), 9, (3, 3), pads=(1, 1, 1, 1), levels=_POWERS),
    _conv("four values, 8 to 5", (3, 4, 8), 5, (3, 3), pads=(1, 1, 1, 1), levels=_FOUR),
    _conv("four values, one pixel", (2, 2, 8), 6, (2, 2), levels=_FOUR),
)
DEPTHWISE = (
    _conv("depthwise 1x1 image", (1, 1, 1), 1, (1, 1)),
    _conv("depthwise 3x3 same", (6, 7, 5), 5, (3, 3), pads=(1, 1, 1, 1), groups=5),
    _conv(
        "depthwise 3x3, 16 channels, relu",
        (5, 5, 16),
        16,
        (3, 3),
        pads=(1, 1, 1, 1),
        groups=16,
        **_RELU,
    ),
    _conv(
        "depthwise 3x3 stride 2",
        (7, 7, 8),
        8,
        (3, 3),
        (2, 2),
        pads=(1, 1, 1, 1),
        groups=8,
        x_zero=-128,
    ),
    _conv(
        "depthwise 3x3 stride 3, asymmetric",
        (8, 9, 4),
        4,
        (3, 3),
        (3, 3),
        pads=(0, 1, 2, 0),
        groups=4,
    ),
    _conv("depthwise multiplier 3", (4, 3, 2), 6, (3, 3), pads=(1, 1, 1, 1), groups=2),
    _conv("depthwise of one channel, multiplier 4", (5, 5, 1), 4, (3, 3), pads=(1, 1, 1, 1)),
    _conv("depthwise dilation 2", (7, 7, 3), 3, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 3),
    _conv("depthwise at one place, down", (5, 1, 40), 40, (5, 1), groups=40),
    _conv(
        "depthwise at one place, across, odd",
        (1, 9, 7),
        7,
        (1, 4),
        (1, 1),
        (1, 2),
        groups=7,
        clip=(-1.0, 2.0),
    ),
    _conv("depthwise at one place, all", (3, 4, 6), 6, (3, 4), groups=6, **_RELU),
    _conv("depthwise one-dimensional", (1, 15, 6), 6, (1, 4), (1, 2), pads=(0, 1, 0, 2), groups=6),
    _conv(
        "depthwise 5x5, padding of -1",
        (5, 6, 2),
        2,
        (5, 5),
        pads=(2, 2, 2, 2),
        groups=2,
        pad_value=(-1.0,),
    ),
)
DENSE = tuple(
    _weighted("dense", about, Act((1, rows), 4, zero), (columns, rows), rows, **more)
    for about, rows, columns, zero, more in (
        ("1 to 1", 1, 1, 0, {}),
        ("3 to 2, relu", 3, 2, -128, _RELU),
        ("16 to 10", 16, 10, 0, {}),
        ("37 to 13, relu6", 37, 13, 0, {"clip": (0.0, 6.0)}),
        ("64 to 1", 64, 1, -128, {}),
        ("128 to 33", 128, 33, 0, {}),
        ("1025 to 4", 1025, 4, -128, {}),
        ("powers of two, 37 to 19", 37, 19, 0, {"levels": _POWERS}),
        ("five equal steps, 30 to 6", 30, 6, -128, {"levels": (-126, -63, 0, 63, 126)}),
        ("four values, 33 to 10, relu", 33, 10, -128, {"levels": _FOUR, **_RELU}),
        ("a fifth of all blocks, 72 to 20, relu", 72, 20, -128, {"run": 4, **_RELU}),
        ("a fifth of all weights, 75 to 19", 75, 19, 0, {"run": 1}),
    )
)


def _pool(op: str, about: str, x: Act, kernel: tuple[int, int], strides: tuple[int, int] = (1, 1),
          pads: tuple[int, int, int, int] = (0, 0, 0, 0), **more: Any) -> Case:  # fmt: skip
    if op == "max_pool2d":
        attrs = {"kernel": kernel, "strides": strides, "pads": pads, "dilations": (1, 1), **more}
        return Case(op, about, (x,), attrs, x.frac, x.zero, 0.0)
    frac, zero = more.pop("frac", x.frac), more.pop("zero", x.zero)
    attrs = {"kernel": kernel, "strides": strides, "pads": pads, "include_pad": False}
    return Case(op, about, (x,), {**attrs, "clip": NO_CLIP, **more}, frac, zero)


POOLS = (
    _pool("max_pool2d", "1x1 image", Act((1, 1, 1, 1)), (1, 1)),
    _pool("max_pool2d", "2x2", Act((1, 6, 7, 5)), (2, 2), (2, 2)),
    _pool(
        "max_pool2d",
        "3x3 padded, 16 channels",
        Act((1, 5, 5, 16), 3, -128),
        (3, 3),
        (2, 2),
        (1, 1, 1, 1),
    ),
    _pool(
        "max_pool2d",
        "dilated, asymmetric",
        Act((1, 9, 8, 3)),
        (3, 2),
        (1, 3),
        (1, 0, 2, 1),
        dilations=(2, 3),
    ),
    _pool("max_pool2d", "one-dimensional", Act((1, 1, 13, 2)), (1, 3), (1, 2), (0, 1, 0, 1)),
    _pool("avg_pool2d", "1x1 image", Act((1, 1, 1, 1)), (1, 1)),
    _pool("avg_pool2d", "2x2", Act((1, 6, 7, 5)), (2, 2), (2, 2)),
    _pool(
        "avg_pool2d",
        "3x3, padding not counted",
        Act((1, 5, 7, 4), 4, -128),
        (3, 3),
        (2, 2),
        (1, 1, 1, 1),
        frac=5,
        zero=-128,
    ),
    _pool(
        "avg_pool2d",
        "3x3, padding counted",
        Act((1, 5, 5, 3)),
        (3, 3),
        (1, 1),
        (1, 0, 2, 1),
        include_pad=True,
    ),
    _pool("avg_pool2d", "global, 7x5", Act((1, 7, 5, 18), 4, -128), (7, 5), frac=6, zero=-128),
    _pool("avg_pool2d", "global, signed, coarser", Act((1, 3, 3, 7), 5), (3, 3), frac=3),
    _pool("avg_pool2d", "clipped, stride 3", Act((1, 8, 8, 2)), (3, 3), (3, 3), clip=(-1.0, 1.5)),
    _pool("avg_pool2d", "far coarser", Act((1, 4, 4, 2), 8), (2, 2), frac=-3),
)

_IMAGE, _ROW = Act((1, 5, 3, 6), 4), Act((1, 9), 4)


def _binary(op: str, about: str, a: Act | Array, b: Act | Array, frac: int = 3, zero: int = 0,
            clip: tuple[float, float] = NO_CLIP) -> Case:  # fmt: skip
    return Case(op, about, (a, b), {"clip": clip}, frac, zero)


def _constant(*shape: int) -> Array:
    return _integers("constant", -100, 100, *shape) / 16


BINARY = tuple(
    _binary(op, about, a, b, frac, zero, clip)
    for op in ("add", "sub", "mul")
    for about, a, b, frac, zero, clip in (
        ("equal shapes", _IMAGE, _IMAGE, 3, 0, NO_CLIP),
        ("vectors of other scales, relu", _ROW, Act((1, 9), 6, -128), 2, -128, (0.0, INF)),
        ("one element", Act((1, 1), 4), Act((1, 1), 3, -128), 3, 0, NO_CLIP),
        ("per channel", _IMAGE, Act((1, 1, 1, 6), 5), 3, 0, NO_CLIP),
        ("per channel, first", Act((1, 1, 1, 6), 5, -128), _IMAGE, 3, 0, (-2.0, 3.0)),
        ("per position", _IMAGE, Act((1, 5, 3, 1), 4), 2, 0, NO_CLIP),
        ("constant per channel", _IMAGE, _constant(6), 2, 0, NO_CLIP),
        ("constant first", _constant(1, 5, 3, 6), _IMAGE, 2, 0, (0.0, 6.0)),
        ("constant per position", _IMAGE, _constant(5, 3, 1), 2, 0, NO_CLIP),
        ("scalar constant", _IMAGE, _constant(1), 2, 0, NO_CLIP),
        ("much coarser result", _IMAGE, Act((1, 5, 3, 6), 7), -8, 0, NO_CLIP),
    )
)

UNARY = tuple(
    Case(op, f"{about}, {shape}", (Act(shape, frac, x_zero),), attrs, out, zero)
    for shape in ((1, 1), (1, 257), (1, 5, 3, 4))
    for op, about, frac, x_zero, attrs, out, zero in (
        ("clip", "relu", 4, 0, {"low": 0.0, "high": INF}, 5, -128),
        ("clip", "both sides", 4, 0, {"low": -1.25, "high": 3.0}, 4, 0),
        ("sigmoid", "", 4, 0, {}, 8, -128),
        ("tanh", "", 5, 0, {}, 7, 0),
        ("hard_sigmoid", "", 4, 0, {"alpha": 0.2, "beta": 0.5}, 8, -128),
        ("hard_swish", "", 4, 0, {}, 4, 0),
        ("leaky_relu", "", 4, 0, {"alpha": 0.1}, 4, 0),
        ("elu", "", 5, 0, {"alpha": 1.5}, 5, 0),
        ("gelu", "erf", 5, 0, {"approximate": "none"}, 5, 0),
        ("gelu", "tanh", 5, 0, {"approximate": "tanh"}, 5, 0),
        ("silu", "", 4, -128, {}, 3, -128),
    )
)
_WAYS = (Act((1, 1), 3, -128), Act((1, 257), 4, -128), Act((1, 5, 3, 4), 5))
FUNCTIONS = tuple(
    Case(op, f"{about} of {x.shape}", (x,), attrs, out, zero)
    for op, about, signed, attrs, out, zero in (
        ("exp", "", True, {"rate": 1.0}, 4, -128),
        ("exp", "halved", True, {"rate": -0.5}, 3, -100),
        ("log", "", False, {}, 5, 0),
        ("sqrt", "", False, {}, 5, -128),
        ("reciprocal", "", False, {"numerator": 1.5}, 4, -128),
        ("power", "square", True, {"exponent": 2.0}, 3, -128),
        ("power", "cube", True, {"exponent": 3.0}, 2, 0),
        ("power", "inverse root", False, {"exponent": -0.5}, 5, -128),
        ("abs", "", True, {}, 4, -128),
        ("floor", "", True, {}, 4, 0),
        ("ceil", "", True, {}, 4, 0),
        ("round", "", True, {}, 4, 0),
        ("sign", "", True, {}, 6, 0),
        ("compare", "less or equal", True, {"limit": 1.5, "holds": "<="}, 7, -128),
        ("compare", "other than", True, {"limit": 0.25, "holds": "<>"}, 7, -128),
        ("erf", "", True, {}, 7, 0),
        ("sin", "", True, {}, 7, 0),
        ("cos", "", True, {}, 7, 0),
        ("tan", "", True, {}, 3, 0),
        ("atan", "", True, {}, 6, 0),
        ("sinh", "", True, {}, 2, 0),
        ("cosh", "", True, {}, 2, -128),
        ("asinh", "", True, {}, 5, 0),
        ("selu", "", True, {"alpha": 1.5, "gamma": 1.25}, 4, 0),
        ("celu", "", True, {"alpha": 2.0}, 4, 0),
        ("softplus", "", True, {}, 4, -128),
        ("softsign", "", True, {}, 7, 0),
        ("mish", "", True, {}, 4, 0),
        ("thresholded_relu", "", True, {"alpha": 0.5}, 4, 0),
        ("shrink", "", True, {"bias": 0.25, "lambd": 0.5}, 4, 0),
    )
    for x in _WAYS
    if signed or x.zero == -128
)
_GATE = ('["sigmoid", ["0"], {}]', '["mul", ["0", "1"], {"clip": [-Infinity, Infinity]}]')
_BELL = (
    '["mul", ["0", "0"], {"clip": [-Infinity, Infinity]}]', '["exp", ["1"], {"rate": -0.5}]',
    '["sub", [1.0, "2"], {"clip": [-Infinity, Infinity]}]',
)  # fmt: skip
_ROOT = ('["add", ["0", -1.5], {"clip": [-Infinity, Infinity]}]', '["sqrt", ["1"], {}]')
CHAINS = (
    *(
        Case(op, f"{about} of {x.shape}", (x,), {"steps": steps}, out, zero)
        for op, about, steps, out, zero in (
            ("chain", "x * sigmoid(x)", _GATE, 4, 0),
            ("chain", "1 - exp(-x * x / 2)", _BELL, 7, -128),
            ("smooth_chain", "x * sigmoid(x)", _GATE, 4, 0),
        )
        for x in _WAYS
    ),
    *(
        Case("smooth_chain", f"s16, {about}, {size}", (Act((1, size), 14, 0, "s16"),),
             {"steps": steps}, 12, 0, 1.3, "s16")
        for size in (1, 300)
        for about, steps in (("gate", _GATE), ("bell", _BELL))
    ),
)  # fmt: skip
DOMAINS = tuple(
    Case(op, f"{about}, {size}", (Act((1, size), frac, zero),), {}, out, 0)
    for size in (9, 200)
    for op, about, frac, zero, out in (
        ("asin", "-1 to 127 / 128", 7, 0, 6),
        ("acos", "-1 to 127 / 128", 7, 0, 5),
        ("atanh", "-1 to 127 / 128", 7, 0, 5),
        ("acosh", "0 to 8", 5, -128, 5),
    )
)
EXTREMA = tuple(
    Case(op, about, (a, b), {"clip": clip}, 4, zero, 0.0)
    for op in ("maximum", "minimum")
    for about, a, b, clip, zero in (
        ("equal shapes", _IMAGE, _IMAGE, NO_CLIP, 0),
        ("one element", Act((1, 1)), Act((1, 1)), NO_CLIP, 0),
        ("never negative", Act((1, 9), 4, -128), Act((1, 9), 4, -128), NO_CLIP, -128),
        ("per channel, clipped", _IMAGE, Act((1, 1, 1, 6)), (-1.5, 3.0), 0),
        ("per position, first", Act((1, 5, 3, 1)), _IMAGE, (0.0, INF), 0),
        ("constant per channel", _IMAGE, _constant(6), NO_CLIP, 0),
    )
)
PRELUS = tuple(
    Case("prelu", about, (x,), {"slopes": slopes}, frac, zero)
    for about, x, slopes, frac, zero in (
        ("an image", _IMAGE, (0.25, -1.5, 0.0, 1.0, 3.7, 0.1), 4, 0),
        ("one value", Act((1, 1), 4), (0.3,), 5, -20),
        ("a vector, coarser", Act((1, 4), 6, -10), (0.3, 0.01, -0.2, 70.0), 2, 3),
        ("a vector, finer", Act((1, 2), 1, -10), (0.003, -0.01), 9, -128),
    )
)


def _softmax_bound(values: int) -> float:
    """Rounding, and entries of the table that are wrong by half of 1 / 32767 each: 256 * e / S is
    then wrong by 256 * (1/2 + values / 2) / 32767 at most, as S is at least 32767.
    """
    return ROUNDED + SLACK + 128 * (values + 1) / 32767


def _masked(about: str, x: Act, mask: Array) -> Case:
    operands = (x, mask.astype(np.float32))
    return Case("softmax", about, operands, {}, 8, -128, _softmax_bound(x.shape[-1]))


def _wide_softmax(about: str, shape: Shape, frac: int, out: int, *mask: Array) -> Case:
    """Of s16: exp lies between points, of a rounded distance; each entry is rounded, too."""
    operands = (Act(shape, frac, 0, "s16"), *(m.astype(np.float32) for m in mask))
    error = 5.6e-4 + 0.5 * (shape[-1] + 1) / 32767
    return Case("softmax", about, operands, {}, out, 0, ROUNDED + 2.0**out * error, "s16")


WIDE_SOFTMAX = (
    _wide_softmax("s16, one value", (1, 1), 12, 13),
    _wide_softmax("s16, one value, frac 15", (1, 1), 12, 15),
    _wide_softmax("s16, rows of 10", (1, 6, 10), 12, 13),
    _wide_softmax("s16, rows of 300", (1, 2, 300), 13, 15),
    _wide_softmax("s16, coarse", (1, 3, 5), -2, 14),
    _wide_softmax("s16, very fine", (1, 3, 5), 30, 13),
    _wide_softmax("s16, causal", (1, 2, 5, 5), 12, 13, np.tril(np.ones((5, 5)))),
)
REDUCTIONS = (
    *WIDE_SOFTMAX,
    _masked("one value left", Act((1, 1, 2, 3), 4), np.array([[0, 1, 0]])),
    _masked("causal, 2 of 5 x 5", Act((1, 2, 5, 5), 4), np.tril(np.ones((5, 5)))),
    *(
        Case(
            "softmax",
            f"{shape}, frac {frac}",
            (Act(shape, frac, zero),),
            {},
            8,
            -128,
            _softmax_bound(shape[-1]),
        )
        for shape, frac, zero in (
            ((1, 1), 4, 0),
            ((1, 10), 3, 0),
            ((1, 300), 6, 0),
            ((1, 3, 2, 5), 4, -128),
            ((1, 4), -2, 0),
        )
    ),
    *(
        Case("log_softmax", f"{shape}, frac {x}", (Act(shape, x, zero),), attrs, y, out, 0.6)
        for shape, x, zero, y, out, attrs in (
            ((1, 1), 4, 0, 7, 0, {}),
            ((1, 10), 3, 0, 2, 127, {}),
            ((1, 300), 6, 0, 4, 120, {}),
            ((1, 3, 2, 5), 4, -128, 3, 127, {}),
            ((1, 4), -2, 0, -4, 100, {}),
            ((1, 6), -9, 0, -10, 100, {}),
            ((1, 7), 2, 5, 4, 127, {"scale": 0.3}),
        )
    ),
    *(
        Case("argmax", f"{attrs} of {shape}", (Act(shape, 4),), attrs, 0, 0, 0.0)
        for attrs in ({}, {"last": True})
        for shape in ((1, 1), (1, 10), (1, 3, 4, 5))
    ),
    *(
        Case("hardmax", str(shape), (Act(shape, 4),), {}, frac, zero)
        for shape, frac, zero in (((1, 1), 4, 0), ((1, 10), 7, -128), ((1, 3, 4, 5), 0, 0))
    ),
    *(
        Case("top_indices", f"{count} of {shape}", (Act(shape, 4),), {"count": count}, 0, 0, 0.0)
        for shape, count in (((1, 1), 1), ((1, 10), 10), ((1, 300), 7), ((1, 3, 4, 5), 3))
    ),
    *(
        Case("top_values", f"{count} of {shape}", (Act(shape, 4),), {"count": count}, 4, 0, 0.0)
        for shape, count in (((1, 1), 1), ((1, 10), 10), ((1, 300), 7), ((1, 3, 4, 5), 3))
    ),
    *(
        Case("lookup", str((*shape, *table)), (Act(shape, 0, 0, "s16"), rows), {}, 4, 3, 0.0)
        for shape, table in (((1, 1), (1, 1)), ((1, 9), (5, 3)), ((1, 2, 4), (300, 16)))
        for rows in (_integers("rows", -131, 124, *table) / 16,)
    ),
)


def _moved(op: str, about: str, acts: Sequence[Act], **attrs: Any) -> Case:
    return Case(op, about, tuple(acts), attrs, acts[0].frac, acts[0].zero, 0.0)


def _copied(
    about: str,
    source: Shape,
    shape: Shape,
    places: tuple[int, ...],
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
) -> Case:
    attrs = {"shape": shape, "places": places, "sizes": sizes, "strides": strides}
    return _moved("copy", about, [Act(source)], **attrs)


MOVES = (
    _moved("concat", "channels", [Act((1, 3, 2, c)) for c in (1, 4, 3)], axis=3),
    _moved("concat", "rows", [Act((1, h, 3, 5)) for h in (2, 1)], axis=1),
    _moved("concat", "columns", [Act((1, 2, w, 3)) for w in (1, 1, 1, 1)], axis=2),
    _moved("concat", "vectors", [Act((1, c), 4, -128) for c in (5, 1)], axis=1),
    _moved("concat", "of one", [_ROW], axis=1),
    _moved("push", "a row of five", [Act((1, 5, 1, 12)), Act((1, 1, 1, 12))], axis=1),
    _moved(
        "push", "two rows, odd bytes", [Act((1, 9, 3, 5), 4, -7), Act((1, 2, 3, 5), 4, -7)], axis=1
    ),
    _moved("push", "columns of three rows", [Act((1, 3, 7, 4)), Act((1, 3, 2, 4))], axis=2),
    _moved("push", "long rows", [Act((1, 4, 1, 70)), Act((1, 1, 1, 70))], axis=1),
    _moved(
        "pad",
        "both sides",
        [Act((1, 3, 4, 2))],
        pads=((0, 0), (1, 2), (0, 3), (0, 0)),
        value=(0.0,),
    ),
    _moved(
        "pad",
        "channels, never negative",
        [Act((1, 2, 2, 3), 4, -128)],
        pads=((0, 0), (0, 0), (1, 0), (2, 1)),
        value=(1.5,),
    ),
    _moved(
        "pad",
        "a value per channel",
        [Act((1, 2, 3, 2))],
        pads=((0, 0), (1, 1), (1, 1), (0, 0)),
        value=(-1.0, 2.0),
    ),
    _moved("pad", "a vector", [Act((1, 3))], pads=((0, 0), (2, 1)), value=(0.25,)),
    _moved("reshape", "flatten", [Act((1, 3, 2, 4))], shape=(1, 24)),
    _moved("reshape", "to an image", [Act((1, 30), 3, -128)], shape=(1, 5, 3, 2)),
    _moved("transpose", "to channels first", [Act((1, 3, 4, 5))], perm=(0, 3, 1, 2)),
    _moved("transpose", "height and width", [Act((1, 7, 2, 3))], perm=(0, 2, 1, 3)),
    _moved("transpose", "three axes", [Act((1, 4, 6))], perm=(0, 2, 1)),
    _copied("a slice", (1, 6, 7, 3), (1, 2, 3, 3), (45,), (2, 9), (21, 1)),
    _copied("every other, backwards", (1, 9), (1, 4), (7,), (4,), (-2,)),
    _copied("repeated", (1, 2, 3), (1, 12), (0,), (2, 2, 3), (3, 0, 1)),
    _copied("five loops", (1, 72), (1, 72), (0,), (3, 2, 2, 3, 2), (2, 36, 18, 6, 1)),
    _copied("one element", (1, 5), (1, 1), (3,), (), ()),
    _copied("rows by a table", (1, 5, 4), (1, 4, 4), (12, 0, 16, 0), (4,), (1,)),
    _copied("elements by a table", (1, 10), (1, 5), (9, 1, 4, 0, 7), (), ()),
    _copied("a table and loops", (1, 6, 4), (1, 24), (0, 1, 12), (2, 2, 2), (4, 3, 1)),
)

RESIZED = tuple(
    Case(
        "resize_linear", about, (Act(shape, 4, zero),),
        {"rows": rows, "row_shares": row_shares, "columns": columns, "column_shares": shares},
        4, zero, ROUNDED + SLACK + 255 * 2 * 2.0**-12,
    )
    for about, shape, zero, rows, row_shares, columns, shares in (
        ("twice as wide", (1, 1, 3, 5), 0, (0,), (0.0,),
         (0, 0, 0, 1, 1, 2), (0.0, 0.25, 0.75, 0.25, 0.75, 0.0)),
        ("halves of four", (1, 3, 2, 9), -128, (0, 1), (0.5, 0.5), (0, 0, 1), (0.0, 0.5, 0.0)),
        ("any share", (1, 4, 3, 4), 0, (3, 2, 0, 1, 1), (0.0, 0.3, 0.9999, 0.125, 1 / 3),
         (1, 0, 2, 1), (0.1, 0.7, 0.0, 0.62)),
    )
)  # fmt: skip


def _product(about: str, a: Act, b: Act | Array, sizes: tuple[int, ...], steps_a: tuple[int, ...],
             steps_b: tuple[int, ...], steps_out: tuple[int, ...], starts: tuple[int, int] = (0, 0),
             **more: Any) -> Case:  # fmt: skip
    zero, frac = more.pop("zero", 0), more.pop("frac", 2)
    height, width = sizes[2] * sizes[0] * sizes[1], sizes[3]
    attrs = {
        "shape": (1, 1, height, width), "sizes": sizes, "start_a": starts[0], "start_b": starts[1],
        "steps_a": steps_a, "steps_b": steps_b, "steps_out": steps_out, "clip": NO_CLIP, **more,
    }  # fmt: skip
    return Case("matmul", about, (a, b), attrs, frac, zero)


PRODUCTS = (
    _product("one product", Act((1, 1)), Act((1, 1)), (1, 1, 1, 1, 1), (0, 0, 0, 1), (0, 0, 0, 1),
             (0, 0, 0, 1)),
    _product("rows by rows, 3 of 6 x 7 x 32", Act((1, 3, 6, 32), 4, -128), Act((1, 3, 7, 32), 4, 3),
             (1, 3, 6, 7, 32), (0, 192, 32, 1), (0, 224, 32, 1), (0, 42, 7, 1), clip=(0.0, INF),
             zero=-128, frac=1),
    _product("rows by columns, odd sizes", Act((1, 1, 5, 11), 4, -7), Act((1, 1, 11, 3)),
             (1, 1, 5, 3, 11), (0, 0, 11, 1), (0, 0, 1, 3), (0, 0, 3, 1)),
    _product("columns of a, turned", Act((1, 1, 6, 5)), Act((1, 1, 6, 4)),
             (1, 1, 5, 4, 6), (0, 0, 1, 5), (0, 0, 1, 4), (0, 0, 1, 5)),
    _product("two heads in one tensor", Act((1, 1, 4, 24), 4, -128), Act((1, 1, 4, 24)),
             (1, 2, 4, 4, 4), (0, 4, 24, 1), (0, 4, 24, 1), (0, 4, 8, 1), (0, 8)),
    _product("b repeats, mirrored", Act((1, 2, 3, 6)), Act((1, 1, 6, 5)),
             (2, 3, 1, 5, 6), (18, 6, 0, 1), (0, 0, 1, -5), (15, 5, 0, 1), (0, 25)),
    _product("a constant", Act((1, 1, 3, 4)), _integers("b", -127, 127, 1, 20) / 64,
             (1, 1, 3, 5, 4), (0, 0, 4, 1), (0, 0, 4, 1), (0, 0, 5, 1)),
)  # fmt: skip


def _norm(about: str, x: Act, sizes: tuple[int, ...], period: int, **more: Any) -> Case:
    """Scales and biases in steps that s16 and s32 hold; what is rounded beside the result: the
    mean to 1/128, the factor to 2^-13 of a result, and the normalized value.
    """
    frac, zero = more.pop("frac", 4), more.pop("zero", 0)
    gamma = _integers(f"{about} scale", -127, 127, period) / 64
    beta = _integers(f"{about} bias", -127, 127, period) / 64
    attrs = {"sizes": sizes, "centered": True, "epsilon": 1e-5, "clip": NO_CLIP, **more}
    return Case("normalize", about, (x, gamma, beta), attrs, frac, zero, ROUNDED + 0.15)


NORMS = (
    _norm("rows of 32", Act((1, 1, 5, 32), 4), (5, 1, 1, 32), 32),
    _norm(
        "rows of 7, never negative",
        Act((1, 7, 7), 5, -128),
        (7, 1, 1, 7),
        7,
        clip=(0.0, INF),
        zero=-128,
    ),
    _norm("about zero", Act((1, 1, 5, 12), 4, -7), (5, 1, 1, 12), 12, centered=False),
    _norm("each channel of an image", Act((1, 5, 7, 3), 3), (1, 35, 3, 1), 3),
    _norm("groups of channels", Act((1, 4, 4, 6), 3, 5), (1, 16, 2, 3), 6, epsilon=1.0),
    _norm("a scale for each", Act((1, 4, 3, 5), 3), (1, 1, 1, 60), 60),
    _norm("a scale for each of groups", Act((1, 4, 3, 6), 3), (2, 6, 2, 3), 72),
    _norm("two elements, epsilon 0", Act((1, 8, 2), 3), (8, 1, 1, 2), 2, epsilon=0.0, frac=3),
    _norm("one element", Act((1, 3), 3), (3, 1, 1, 1), 1, centered=False, epsilon=0.0),
    _norm("a large epsilon", Act((1, 16), 6), (1, 1, 1, 16), 16, epsilon=1e12, frac=6),
    _norm("4096 elements", Act((1, 64, 64, 2), 3), (1, 4096, 2, 1), 2),
)

OTHERS = (
    Case(
        "batch_norm",
        "folded to a depthwise layer",
        (
            _IMAGE,
            _integers("scale", -127, 127, 6) / 64,
            _integers("shift", -500, 500, 6) / 256,
        ),
        {},
        3,
    ),
    Case(
        "batch_norm",
        "one channel",
        (Act((1, 1, 1, 1), 4, -128), np.array([1.5]), np.array([-2.0])),
        {},
        3,
    ),
    Case("lut", "any table", (_IMAGE, _integers("table", -128, 127, 256))),
    Case("lut", "one element", (Act((1, 1)), _integers("entries", -128, 127, 256))),
    *(
        Case("from_u8", str(shape), (Act(shape, 0, 0, "u8"),), {}, 0, -128)
        for shape in ((1, 1), (1, 5, 7, 3))
    ),
)


def _widened(case: Case) -> Case:
    """The case on s16 data: 8 bits finer, zeros 0.

    What float32 sums of 16-bit values may be wrong by, in LSB, grows as these do.
    """
    operands = tuple(
        replace(v, frac=v.frac + 8, zero=0, kind="s16") if isinstance(v, Act) else v
        for v in case.operands
    )
    bound = 0.0 if case.bound == 0.0 else ROUNDED + 16 * SLACK
    if case.op == "normalize":
        bound += _normalized_bound(case)
    return replace(
        case,
        about=f"{case.about}, s16",
        operands=operands,
        frac=case.frac + 8,
        zero=0,
        bound=bound,
        kind="s16",
    )


def _normalized_bound(case: Case) -> float:
    """In LSB of s16: the normalized value is rounded, its factor has 15 bits; scales up to 2."""
    _, count, _, inner = case.attrs["sizes"]
    scale = 2.0 * 2.0 ** (case.frac + 8)
    most = math.sqrt(count * inner)
    return scale * (0.5 * 2.0 ** -frac_of_rows(count * inner) + most * 2.0**-14)


SMOOTH = tuple(
    # Between places 1 / 128 apart, a second derivative up to 8: 2**-17 * 8 * 2**12 is 0.25 LSB.
    Case(op, f"s16, {size}", (Act((1, size), 14, 0, "s16"),), attrs, 12, 0, 1.3, "s16")
    for size in (1, 300)
    for op, attrs in (
        ("sigmoid", {}),
        ("tanh", {}),
        ("hard_swish", {}),
        ("leaky_relu", {"alpha": 0.1}),
        ("elu", {"alpha": 1.5}),
        ("gelu", {"approximate": "none"}),
        ("silu", {}),
        ("exp", {"rate": 1.0}),
        ("abs", {}),
        ("erf", {}),
        ("sin", {}),
        ("cos", {}),
        ("atan", {}),
        ("sinh", {}),
        ("cosh", {}),
        ("asinh", {}),
        ("selu", {"alpha": 1.5, "gamma": 1.25}),
        ("celu", {"alpha": 2.0}),
        ("softplus", {}),
        ("softsign", {}),
        ("mish", {}),
    )
)
STRAIGHT = (
    # Slopes of 12 bits behind the point: half a unit of them is 4 LSB of the largest value.
    *(
        Case(
            "prelu", f"s16, {about}", (Act(shape, 12, 0, "s16"),), {"slopes": slopes}, frac, 0,
            4.6, "s16",
        )
        for about, shape, slopes, frac in (
            ("an image", (1, 5, 3, 3), (0.25, -1.5, 3.7), 12),
            ("a vector, coarser", (1, 2), (0.3, -0.01), 10),
        )
    ),
    # A bend between two places 1 / 128 apart is missed by 0.2 / 4 / 128 at most: 13 LSB at frac 15.
    Case(
        "hard_sigmoid", "s16", (Act((1, 400), 12, 0, "s16"),), {"alpha": 0.2, "beta": 0.5}, 14, 0,
        27.0, "s16",
    ),
    Case(
        "lut16", "any table", (Act((1, 300), 4, 0, "s16"), _integers("wide", -32768, 32767, 513)),
        kind="s16",
    ),
    Case(
        "lut16", "one value", (Act((1, 1), 4, 0, "s16"), _integers("one", -32768, 32767, 513)),
        kind="s16",
    ),
)  # fmt: skip
WIDE = tuple(
    _widened(case)
    for case in (
        *(*CONVOLUTIONS, *DEPTHWISE, *DENSE, *POOLS, *BINARY, *EXTREMA, *MOVES, *PRODUCTS),
        *NORMS,
    )
    # The weights of one need be coarser, the epsilon of the other is beyond what s16 values have.
    if spec(case.op).runs_s16 and case.about not in ("1025 to 4", "a large epsilon")
)
REQUANTS = tuple(
    Case(op, f"{about}, {size}", (Act((1, size), frac, x_zero, x),), attrs, out, zero, kind=y)
    for size in (1, 7, 300)
    for op, about, x, frac, x_zero, attrs, y, out, zero in (
        ("requant", "wider", "s8", 4, 0, {}, "s16", 12, 0),
        ("requant", "wider, never negative", "s8", 4, -128, {}, "s16", 11, 0),
        ("requant", "wider and far finer", "s8", 4, -128, {}, "s16", 24, 0),
        ("requant", "wider and far coarser", "s8", 4, -128, {}, "s16", -24, 0),
        ("requant", "narrower", "s16", 12, 0, {}, "s8", 4, 0),
        ("requant", "narrower, never negative", "s16", 12, 0, {}, "s8", 5, -128),
        ("requant", "narrower and far finer", "s16", 1, 0, {}, "s8", 20, -128),
        ("requant", "narrower and far coarser", "s16", 15, 0, {}, "s8", -9, 0),
        ("requant", "finer", "s16", 8, 0, {}, "s16", 10, 0),
        ("requant", "coarser", "s16", 10, 0, {}, "s16", 7, 0),
        ("requant", "by 40 bits", "s16", 20, 0, {}, "s16", -20, 0),
        ("clip", "both sides, s16", "s16", 12, 0, {"low": -1.25, "high": 3.0}, "s16", 12, 0),
        ("clip", "relu, s16 to s8", "s16", 12, 0, {"low": 0.0, "high": INF}, "s8", 5, -128),
    )
)


def _recurrent(op: str, about: str, size: tuple[int, int, int], x_zero: int = 0, kind: str = "s8",
               start: float = 0.0, **attrs: Any) -> Case:  # fmt: skip
    """Steps, inputs and units; weights of +-``reach`` / 128, a start of +-``start``.

    ``bound``: what the curves (4 / 32768 each) and z (1 / 8192) are wrong by grows along the steps.
    """
    steps, inputs, hidden = size
    gates, reach = {"lstm": 4, "gru": 3, "rnn": 1}[op], attrs.pop("reach", 40)
    operands: list[Act | Array] = [Act((1, 1, steps, inputs), 4, x_zero)]
    if kind == "s16":
        operands = [Act((1, 1, steps, inputs), 12, 0, kind)]
    for depth in (inputs, hidden):
        operands.append(_integers(about, -reach, reach, gates * hidden, depth) / 128)
    biases = (2 if op == "gru" else 1) * gates * hidden
    operands.append(_integers(about, -100, 100, biases) / 256)
    for _ in range(2 if op == "lstm" else 1):
        operands.append(_integers(about, -8, 8, hidden) / 8 * start)
    frac = attrs.pop("frac", 7) + (7 if kind == "s16" else 0)
    bound = 20.0 if kind == "s16" else 0.75
    found = {"gives": "all", "reverse": False, **attrs}
    return Case(op, about, tuple(operands), found, frac, attrs.pop("zero", 0), bound, kind)


RECURRENT = tuple(
    _recurrent(op, f"{about}, {kind}", size, 0 if kind == "s16" else zero, kind, **attrs)
    for kind in ("s8", "s16")
    for op, about, size, zero, attrs in (
        ("lstm", "one of all", (1, 1, 1), 0, {}),
        ("lstm", "9 steps, 5 to 7", (9, 5, 7), -128, {}),
        ("lstm", "12 steps, 16 to 24, a start", (12, 16, 24), 5, {"start": 1.0}),
        ("lstm", "backwards", (5, 8, 4), 0, {"reverse": True, "start": 0.5}),
        ("lstm", "the last", (6, 3, 8), 0, {"gives": "last"}),
        ("lstm", "the last cell", (7, 4, 5), 0, {"gives": "cell", "frac": 5, "reach": 20}),
        ("lstm", "limited, coarse cells", (4, 6, 6), 0, {"limit": 1.5}),
        ("gru", "one of all", (1, 1, 1), 0, {"after": True}),
        ("gru", "after, 9 steps, 5 to 7", (9, 5, 7), -128, {"after": True}),
        (
            "gru",
            "after, 12 steps, 16 to 24",
            (12, 16, 24),
            5,
            {"after": True, "start": 1.0, "reach": 20},
        ),
        ("gru", "after, backwards", (5, 8, 4), 0, {"after": True, "reverse": True}),
        ("gru", "before, 9 steps, 5 to 7", (9, 5, 7), 0, {"after": False, "start": 0.5}),
        ("gru", "before, the last", (6, 16, 8), 0, {"after": False, "gives": "last"}),
        ("gru", "after, limited", (4, 6, 6), 0, {"after": True, "limit": 1.5}),
        ("rnn", "one of all", (1, 1, 1), 0, {"activation": "tanh"}),
        ("rnn", "tanh, 9 steps, 5 to 7", (9, 5, 7), -128, {"activation": "tanh", "start": 1.0}),
        ("rnn", "tanh, 16 to 24", (8, 16, 24), 0, {"activation": "tanh", "gives": "last"}),
        ("rnn", "sigmoid, backwards", (5, 8, 4), 0, {"activation": "sigmoid", "reverse": True}),
        ("rnn", "relu", (4, 6, 5), 0, {"activation": "relu", "frac": 4, "reach": 8, "peak": 6.0}),
        ("rnn", "tanh, limited", (4, 6, 6), 0, {"activation": "tanh", "limit": 0.75}),
    )
)


def _sound(about: str, points: int, length: int, bands: int, kind: str = "s8", rows: int = 0,
           frac: int = 3, bound: float = 0.6, **attrs: Any) -> Case:  # fmt: skip
    """Random weights over a Hann window; ``rows``: cepstra, or 0 for the bands as they are.

    Bands hold a sixteenth of all bins each, and ``added`` hides what rounding leaves of silence.
    """
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    chance = np.random.default_rng(points + bands)
    bins = points // 2 + 1
    mel = np.zeros((bins, bands))
    for band in range(bands):
        first = int(chance.integers(0, bins - bins // 16))
        mel[first : first + bins // 16, band] = chance.uniform(0.1, 1.0, bins // 16)
    mix = chance.uniform(-0.3, 0.5, (rows, bands)) if rows else chance.uniform(0.5, 2.0, bands)
    offset = chance.uniform(-3, 3, rows or bands)
    usual = {
        "hop": length // 2, "start": 0, "frames": 3, "points": points, "edge": "none",
        "previous": "stream", "root": False, "gain": 0.75, "preemphasis": 0.0, "centered": False,
        "floor": 0.0, "added": points * 0.01, "clip": NO_CLIP,
    }  # fmt: skip
    samples = Act((1, 2 * length), 15, 0, "s16")
    operands = (samples, *(v.astype(np.float32) for v in (window, mel, mix, offset)))
    return Case("features", about, operands, {**usual, **attrs}, frac, 0, bound, kind)


_EMPHASIS = {"preemphasis": 0.97, "previous": "frame", "centered": True}
SOUND = tuple(
    _sound(f"{about}, {kind}", points, length, bands, kind, frac=frac, bound=bound, **attrs)
    for kind, frac, bound in (("s8", 3, 0.6), ("s16", 9, 6.0))
    for about, points, length, bands, attrs in (
        ("64 points", 64, 64, 1, {}),
        ("128 points, padded", 128, 101, 5, {"floor": 1.0, "added": 0.0, "clip": (-2.0, 3.0)}),
        ("256 points, cepstra, roots", 256, 256, 8, {"rows": 5, "root": True}),
        ("512 points, emphasis", 512, 400, 9, {"preemphasis": 0.96875}),
        ("512 points, no mean", 512, 480, 3, _EMPHASIS),
        ("mirrored", 128, 128, 4, {"edge": "reflect", "start": -64, "frames": 5}),
        (
            "between zeros",
            64,
            60,
            4,
            {"edge": "zero", "start": -31, "preemphasis": 0.5, "frames": 6},
        ),
        ("1024 points, roots", 1024, 1000, 3, {"root": True, "frames": 2}),
        ("2048 points", 2048, 2048, 2, {"frames": 1, "centered": True}),
    )
)


def _decide(about: str, count: int, counted: tuple[int, ...], kind: str, **attrs: Any) -> Case:
    """Limits are in steps of a sixteenth of a score's step, so that float32 has them exactly."""
    operands = (Act((1, count, len(counted)), 4, 5, kind), Act((1, 3), 0, 0, "s16"))
    usual = {"on": 0.5, "off": -0.25, "refractory": 7, "counted": counted, **attrs}
    return Case("decide", about, operands, usual, 0, 0, 0.0, "s16")


DECISIONS = (
    _decide("one score", 1, (1,), "s8"),
    _decide("a mean of five", 5, (1,), "s8", on=0.25, off=0.25, refractory=0),
    _decide("three classes, one left out", 4, (1, 0, 1), "s8", refractory=32767),
    _decide("none counted", 2, (0, 0), "s8"),
    _decide("wide scores", 3, (1, 1, 1, 1), "s16", on=64.0, off=-300.0),
)


def _nms(about: str, kinds: tuple[str, str], scores: Shape, **attrs: Any) -> Case:
    """Boxes (9, 4), and scores of two classes; exact where ``iou`` is a sum of powers of two."""
    usual = {
        "iou": 0.25, "score": 0.5, "boxes": 9, "classes": 2, "most": 4, "center": False,
        "box_places": (0, 4, 1), "score_places": (0, 2, 1), **attrs,
    }  # fmt: skip
    operands = (Act((1, 9, 4), 4, 7, kinds[0]), Act(scores, 4, -5, kinds[1]))
    return Case("nms", about, operands, usual, 0, 0, 0.0, "s16")


NMS = (
    _nms("corners", ("s8", "s8"), (1, 9, 2)),
    _nms("centers, all that there are", ("s8", "s8"), (1, 9, 2), center=True, most=9, score=-99.0),
    _nms("wide, class by class", ("s16", "s16"), (1, 2, 9), score_places=(0, 1, 9)),
    _nms("wide boxes, none may touch", ("s16", "s8"), (1, 9, 2), iou=0.0, center=True),
    _nms("none counts", ("s8", "s8"), (1, 9, 2), score=9000.0),
    _nms("one box, one class", ("s8", "s16"), (1, 1, 1), boxes=1, classes=1, most=1,
         score_places=(0, 0, 0), score=-9.0),
    _nms("parts of other data", ("s8", "s8"), (1, 5, 30), boxes=3, box_places=(4, 9, 2),
         score_places=(31, 5, 3), iou=1.0),
)  # fmt: skip


def _statistics(about: str, shape: Shape, kinds: str, kind: str, **attrs: int) -> Case:
    usual = {"frame": 8, "hop": 4, "start": 0, "frames": 3, "kinds": tuple(kinds.split())}
    given = {**usual, **attrs, "gain": 0.5}
    frac, bound = (9, 1.6) if kind == "s16" else (3, 0.6)
    return Case("statistics", about, (Act(shape, 11, 0, "s16"),), given, frac, 0, bound, kind)


STATISTICS = (
    _statistics("all, one channel", (1, 16), "mean rms min max crossings", "s8"),
    _statistics("three channels", (1, 41, 3), "rms crossings mean", "s16", frame=33),
    _statistics("a window of two", (1, 9, 2), "crossings", "s8", frame=2, hop=1, start=3),
    _statistics("apart", (1, 30), "max min", "s16", hop=10),
)


def _biquad(about: str, shape: Shape, *sections: tuple[float, ...]) -> Case:
    given = {"sections": tuple(value for each in sections for value in each)}
    return Case("biquad", about, (Act(shape, 0, 0, "s16"),), given, 0, 0, 0.6, "s16")


LOW, HIGH = (0.25, 0.5, 0.25, -0.5, 0.25), (0.5, -1.0, 0.5, 0.25, -0.125)
BIQUADS = (
    _biquad("one section", (1, 20), LOW),
    _biquad("two sections, three channels", (1, 9, 3), LOW, HIGH),
    _biquad("eight sections", (1, 12), *[LOW, HIGH] * 4),
    # What is kept may be anything: no product of it is fed back, or floats would not saturate.
    Case(
        "biquad",
        "in a stream",
        (Act((1, 1), 0, 0, "s16"), Act((1, 4), 0, 0, "s16")),
        {"sections": (0.5, -1.0, 0.5, 0.0, 0.0)},
        *(0, 0, 0.6, "s16"),
    ),
)

CASES: tuple[Case, ...] = (
    *CONVOLUTIONS, *DEPTHWISE, *DENSE, *POOLS, *BINARY, *UNARY, *FUNCTIONS, *CHAINS, *DOMAINS,
    *EXTREMA, *PRELUS, *REDUCTIONS, *MOVES, *OTHERS,
    *RESIZED, *PRODUCTS, *NORMS, *WIDE, *SMOOTH, *STRAIGHT, *REQUANTS, *RECURRENT, *SOUND,
    *DECISIONS, *NMS, *STATISTICS, *BIQUADS,
)  # fmt: skip


def float_graph(case: Case) -> Graph:
    """The case as a float network of one node (as the passes leave it, where they replace it)."""
    node = Node(case.op, case.name, case.names, (case.name,), case.attrs)
    shapes = [v.shape for v in case.operands]
    tensors = {
        n: Tensor(n, v.shape) if isinstance(v, Act) else Tensor(n, v.shape, v.astype(np.float32))
        for n, v in zip(case.names, case.operands, strict=True)
    }
    tensors[case.name] = Tensor(case.name, spec(case.op).infer(node, shapes))
    inputs = tuple(Port(n, n, act.shape) for n, act in case.acts.items())
    output = Port(case.name, case.name, tensors[case.name].shape)
    graph = Graph(case.name, inputs, (output,), (node,), tensors)
    return pipeline.run(graph) if case.op == "batch_norm" else graph


def integer_form(case: Case) -> tuple[IntForm, dict[str, QTensor]]:
    """The integer node with its constants, and the activations around it."""
    graph = float_graph(case)
    shape = graph.shape(case.name)
    acts = {n: QTensor(n, a.shape, a.kind, a.frac, a.zero) for n, a in case.acts.items()}
    kind = "s32" if spec(case.op).gives_indices else case.kind
    acts[case.name] = QTensor(case.name, shape, kind, case.frac, case.zero)
    to_int = spec(graph.nodes[0].op).to_int
    if to_int is not None:
        return to_int(graph.nodes[0], graph, acts, {}), acts
    constants = tuple(
        QTensor(n, v.shape, case.kind, 0, 0, v.astype(DTYPES[case.kind]))
        for n, v in zip(case.names, case.operands, strict=True)
        if not isinstance(v, Act)
    )
    return IntForm(graph.nodes[0], constants), acts


@cache
def network(cases: tuple[Case, ...] = CASES) -> QGraph:
    """All cases in one integer network, each with inputs and an output of its own."""
    nodes: list[Node] = []
    tensors: dict[str, QTensor] = {}
    inputs: list[Port] = []
    outputs: list[Port] = []
    for case in cases:
        form, acts = integer_form(case)
        nodes.append(form.node)
        tensors |= {**acts, **{c.name: c for c in form.constants}}
        inputs += [_port(acts[n]) for n in case.acts]
        outputs.append(_port(acts[case.name]))
    return QGraph("operators", tuple(inputs), tuple(outputs), tuple(nodes), tensors)


def _port(act: QTensor) -> Port:
    assert isinstance(act.frac, int)
    port = Port(act.name, act.name, act.shape, kind=act.kind)
    return replace(port, scale=(2.0**-act.frac,), offset=(float(act.zero),))
