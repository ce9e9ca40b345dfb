"""normalize: y = clip(gamma (x - mean) / sqrt(variance + epsilon) + beta), over rows of the input.

The input is ``sizes`` (outer, count, groups, inner); a row is what lies at one outer and group:
count * inner = n elements. Not ``centered``, mean is 0 and variance the mean of the squares.
``gamma`` and ``beta`` repeat with their length. In integers, with w = x + B, S = sum w,
Q = sum w^2 and z = zero + B, B being 128, or 2^15 of s16:

    M = (128 S + n / 2) / n  and  D = n Q - S^2                   centered
    M = 128 z                and  D = n (Q - 2 z S + n z^2)       else
    V = max(1, D + (epsilon << epsilon_shift)), with b bits; e = (b - 31) / 2, rounded down
    m = V * 2^(-2e), 31 or 32 bits;  inverse = 2^31 / isqrt(m);   n * inverse has c bits
    s = limit(53 + e - c - frac, 0, 31)                       (s16: 0, 62)
    t = ((128 w - M) * ((n * inverse) >> (c - 15)) + half(s)) >> s
    y = clamp((t * gamma + beta) >> shift, out_min, out_max)

where all divisions round down. |128 w - M| < 2^15, so its product with 15 bits and the rounding
stay below 2^31; |t| < 1.01 * sqrt(n) * 2^frac <= 1.01 * 2^15, gamma is s16 and |beta| < 2^29. Of
s16 that product has 64 bits, D < n^2 2^30 <= 2^62.

C: mcuq_normalize_s8.c, mcuq_normalize_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, log2, prod

import numpy as np
import numpy.typing as npt

from mcuq.errors import ModelError
from mcuq.fixed import DTYPES, RANGES, FloatArray, half, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import along, forms
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.spec import Form, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, flag, real, several
from mcuq.schema import whole as integer

Long = npt.NDArray[np.int64]
MAX_WIDTH = 65535
MAX_SHIFT = 20
_MAX_BETA = 1 << 29
TINY = 1e-30


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def width(node: Node) -> int:
    """The number of elements of a row."""
    _, count, _, inner = node.ints("sizes")
    return count * inner


def periods(node: Node) -> tuple[int, ...]:
    """How many scales and biases there may be: for a channel, for a row's, for all elements."""
    return tuple(prod(node.ints("sizes")[i:]) for i in (2, 1, 0))


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(gamma (x - mean) / sqrt(variance + epsilon) + beta)``."""
    x, gamma, beta = inputs
    rows = x.reshape(len(x), *node.ints("sizes"))
    if node.attrs["centered"]:
        rows = rows - rows.mean(dim=(2, 4), keepdim=True)
    square = rows.square().mean(dim=(2, 4), keepdim=True)
    epsilon = max(float(node.attrs["epsilon"]), TINY)
    found = (rows * (square + epsilon).rsqrt()).reshape(len(x), -1, len(gamma))
    return clip.clamp((found * gamma + beta).reshape(x.shape), node.attrs["clip"])


def frac_of_rows(count: int) -> int:
    """The frac of t for rows of so many elements.

    >>> frac_of_rows(64), frac_of_rows(1)
    (12, 15)
    """
    return 15 - ceil(log2(count) / 2)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer form; gamma gets the finest frac for which 32 bits suffice."""
    source, output = acts[node.inputs[0]], acts[node.output]
    frac = frac_of_rows(width(node))
    gamma, beta = (graph.data(name).astype(np.float64) for name in node.inputs[1:])
    finest = MAX_SHIFT + frac_of(output) - frac
    coarsest = frac_of(output) - frac
    fracs = range(finest, coarsest - 1, -1)
    fine = next((f for f in fracs if _fits(gamma, beta, f, frac, output)), None)
    if fine is None:
        raise ModelError(
            graph.name,
            f"node '{node.name}': its scale or bias is too large for its output",
            "Scale the values of the network down",
        )
    scales = QTensor(f"{node.output}.scale", gamma.shape, "s16", fine, 0, _scales(gamma, fine))
    shift = frac + fine - frac_of(output)
    shifts = _shifts(beta, frac + fine, shift, output.zero)
    biases = QTensor(f"{node.output}.bias", beta.shape, "s32", frac + fine, 0, shifts)
    epsilon, epsilon_shift = _epsilon(node, graph, source)
    low, high = clip.out_range(node.attrs["clip"], output)
    attrs = {
        "sizes": node.ints("sizes"),
        "centered": int(bool(node.attrs["centered"])),
        "zero": source.zero + _base(source.kind),
        "epsilon": epsilon,
        "epsilon_shift": epsilon_shift,
        "frac": frac,
        "shift": shift,
        "out_min": low,
        "out_max": high,
    }
    inputs = (source.name, scales.name, biases.name)
    return IntForm(Node("normalize", node.name, inputs, node.outputs, attrs), (scales, biases))


def _epsilon(node: Node, graph: Graph, source: QTensor) -> tuple[int, int]:
    try:
        return scaled_epsilon(float(node.attrs["epsilon"]), width(node), frac_of(source))
    except OverflowError as error:
        remedy = "Scale the values of the network up"
        raise ModelError(graph.name, f"node '{node.name}': {error}", remedy) from None


def _scales(gamma: FloatArray, fine: int) -> Array:
    return np.asarray(round_half_up(gamma * 2.0**fine)).clip(-32768, 32767).astype(np.int16)


def _shifts(beta: FloatArray, fine: int, shift: int, zero: int) -> Array:
    whole = round_half_up(np.clip(beta * 2.0**fine, -(2.0**40), 2.0**40))
    return (
        np.asarray(whole + half(shift) + (zero << shift)).clip(-(2**31), 2**31 - 1).astype(np.int32)
    )


def _fits(gamma: FloatArray, beta: FloatArray, fine: int, frac: int, y: QTensor) -> bool:
    shift = frac + fine - frac_of(y)
    bias = _shifts(beta, frac + fine, shift, y.zero).astype(np.int64)
    large = np.abs(gamma).max() * 2.0**fine
    return bool(large < 32767 and np.abs(bias).max() < _MAX_BETA)


def scaled_epsilon(epsilon: float, count: int, frac: int) -> tuple[int, int]:
    """(e, shift), whose e << shift is about count^2 * epsilon * 4^frac; OverflowError above 2^60.

    >>> scaled_epsilon(1e-5, 64, 4), scaled_epsilon(1.0, 1 << 12, 5)
    ((10, 0), (1073741824, 4))
    """
    real = count * count * epsilon * 4.0**frac
    if real > 2.0**60:
        raise OverflowError("its epsilon is too large for the values that it reads")
    shift = 0
    while real * 2.0**-shift >= 2**31 - 1:
        shift += 1
    return int(real * 2.0**-shift + 0.5), shift


def _base(kind: str) -> int:
    """What is added to values so that none is negative."""
    return -RANGES[kind][0]


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s8 or s16, gamma s16, beta s32) -> the kind of x."""
    x, gamma, beta = inputs
    kind = qgraph.tensor(node.output).kind
    n = width(node)
    w = x.reshape(len(x), *node.ints("sizes")).astype(np.int64) + _base(kind)
    total = w.sum(axis=(2, 4), keepdims=True)
    squares = (w * w).sum(axis=(2, 4), keepdims=True)
    if node.int("centered"):
        mean = (128 * total + n // 2) // n
        products = np.uint64(n) * squares.astype(np.uint64)  # below 2^64, as is S^2
        spread = (products - np.square(total.astype(np.uint64))).astype(np.int64)
    else:
        zero = node.int("zero")
        mean = np.full_like(total, 128 * zero)
        spread = n * (squares - 2 * zero * total + n * zero * zero)
    spread += node.int("epsilon") << node.int("epsilon_shift")
    most = 31 if kind == "s8" else 62
    factor, shift = inverse_root(np.maximum(spread, 1), n, node.int("frac"), most)
    rounding = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    t = ((128 * w - mean) * factor + rounding) >> shift
    acc = t.reshape(len(x), -1, len(gamma)) * gamma.astype(np.int64) + beta
    return limited(acc >> node.int("shift"), node, DTYPES[kind]).reshape(x.shape)


def inverse_root(spread: Long, n: int, frac: int, most: int = 31) -> tuple[Long, Long]:
    """(factor, shift) of t for each V, as stated above; ``most``: the largest shift.

    >>> factor, shift = inverse_root(np.array([64 * 64 * 4]), 64, 12)  # deviation 2
    >>> factor * 2.0 ** (7 - shift - 12)
    array([0.5])
    """
    bits = ((spread[..., None] >> np.arange(63)) > 0).sum(axis=-1)
    even = (bits - 31) // 2
    mantissa = np.where(
        even >= 0, spread >> np.maximum(2 * even, 0), spread << np.maximum(-2 * even, 0)
    )
    product = n * ((1 << 31) // np.sqrt(mantissa.astype(np.float64)).astype(np.int64))
    bits = ((product[..., None] >> np.arange(33)) > 0).sum(axis=-1)
    shift: Long = np.clip(53 + even - bits - frac, 0, most)
    factor: Long = product >> (bits - 15)
    return factor, shift


def short_rows(node: Node, shapes: Sequence[Shape]) -> bool:
    """A normalization takes rows of at most 65535 values."""
    return width(node) <= MAX_WIDTH


def whole(node: Node, shapes: Sequence[Shape]) -> bool:
    """A normalization has a scale and a bias for each channel, for each of a row, or for all."""
    sizes = node.ints("sizes")
    return (
        prod(sizes) == prod(shapes[0])
        and shapes[0][0] == 1
        and shapes[1] == shapes[2]
        and shapes[1][0] in periods(node)
    )


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors, or could overflow."""
    kind = forms.data_kind(node, qgraph)
    yield from forms.kinds(node, qgraph, kind, "s16", "s32", kind)
    yield from forms.in_range(node, qgraph)
    x, gamma, beta, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    frac = frac_of_rows(width(node))
    shift = frac + frac_of(gamma) - frac_of(y)
    if not 0 <= shift <= MAX_SHIFT:
        yield f"its shift is {shift}, not in 0..{MAX_SHIFT}"
    yield from forms.follows(node, {"zero": x.zero + _base(kind), "frac": frac, "shift": shift})
    if np.abs(qgraph.data(beta.name).astype(np.int64)).max() >= _MAX_BETA:
        yield "its sums do not fit 32 bits"
    if node.int("epsilon") << node.int("epsilon_shift") > 1 << 60:
        yield "its epsilon does not fit 62 bits"


_SIZES: Fields = {"sizes": several(integer(1), 4, 4)}
_EPSILON: Fields = {"centered": flag, "epsilon": real(0.0)}
_INTEGERS: Fields = {
    "centered": integer(0, 1),
    "zero": integer(0, 65535),
    "epsilon": integer(0),
    "epsilon_shift": integer(0, 31),
    "frac": integer(),
    "shift": integer(),
}
OP = OpSpec(
    "normalize",
    (
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "LpNormalization",
        "MeanVarianceNormalization",
    ),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(short_rows, whole),
    fuse_clip=clip.fuse,
    runs_s16=True,
    note="constant scale and bias",
    along=along.normalized,
    schema=Schema(
        Form({**_SIZES, **_EPSILON, **forms.CLIP}, constants=2),
        Form({**_SIZES, **_INTEGERS, **forms.RANGE}, constants=2),
        faults,
    ),
)
