"""softmax over the last axis of ``scale`` times the input. In integers, with
table[d] = round(32767 * exp(-d * scale * 2**-frac_x)):

    e_i = table[max(q) - q_i]      S = sum e_i      y_i = min(127, (256 * e_i + S // 2) // S - 128)

The output has frac 8 and zero -128. 256 * e + S / 2 < 2**31 up to 65535 values. With a mask, whose
rows repeat over those of the data, max and S run over what it keeps, and e_i is 0 elsewhere.

Of s16, where table[k] = round(32767 * exp(-k / 32)) for k = 0..512 and mul * 2**-shift is about
scale * 2**(12 - frac_x):

    z_i = ((max(q) - q_i) * mul + half(shift)) >> shift      k = z_i >> 7
    e_i = table[k] + (((table[k + 1] - table[k]) * (z_i & 127) + 64) >> 7), 0 from z_i = 2**16 on
    y_i = min(32767, (2**frac_y * e_i + S // 2) // S)

with frac_y <= 15 and zero 0: 2**15 * e + S / 2 < 2**31. mul <= 2**15, without a shift < 2**16.

C: mcuq_softmax_s8.c, mcuq_softmax_s8_masked.c, mcuq_softmax_s16.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from mcuq.fixed import FloatArray, IntArray, between, half, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, Format, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, optional, real, whole

OUTPUT = Format("s8", 8, -128)
_ONE = 32767
_FINEST = 15
_POINTS, _STEP_BITS, _DISTANCE_FRAC = 513, 7, 12
_DISTANCES = (_POINTS - 1) << _STEP_BITS


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """exp(s x) / sum(exp(s x)) over the last axis, with s = ``scale`` (default 1)."""
    scale = scale_of(node)
    scaled = inputs[0] if scale == 1.0 else inputs[0] * scale
    if len(inputs) == 1:
        return scaled.softmax(dim=-1)
    mask = inputs[1]
    spread = scaled.reshape(-1, *mask.shape).masked_fill(mask == 0, -math.inf)
    return spread.softmax(dim=-1).reshape(scaled.shape)


def scale_of(node: Node) -> float:
    """How many times its input a softmax means: the quantizer's free factor, taken back."""
    return float(node.attrs.get("scale", 1.0))


def unseen(node: Node, inputs: Sequence[TorchTensor]) -> float:
    """Below this the table holds 0 for every row: nothing is left of it in their sums."""
    rows, *masks = inputs
    for mask in masks:
        rows = rows.reshape(-1, *mask.shape).masked_fill(mask == 0, -math.inf)
    return float(rows.amax(dim=-1).min()) - math.log(2 * _ONE) / scale_of(node)


def exp_table(frac: int, scale: float = 1.0) -> IntArray:
    """round(32767 * exp(-d * 2**-frac * scale)) for d = 0..255, as s16.

    >>> exp_table(0)[:3].tolist()
    [32767, 12054, 4435]
    """
    distance: FloatArray = np.arange(256) * (2.0**-frac * scale)
    return round_half_up(_ONE * np.exp(-distance)).astype(np.int16)


def exp_points() -> IntArray:
    """round(32767 * exp(-k / 32)) for k = 0..512, as s16.

    >>> exp_points()[[0, 32, 512]].tolist()
    [32767, 12054, 0]
    """
    at: FloatArray = np.arange(_POINTS) / 2.0 ** (_DISTANCE_FRAC - _STEP_BITS)
    return round_half_up(_ONE * np.exp(-at)).astype(np.int16)


def distance_factor(frac: int, scale: float) -> tuple[int, int]:
    """(mul, shift) that make of a distance in s16 steps one with frac 12.

    >>> distance_factor(12, 1.0), distance_factor(-20, 1.0), distance_factor(40, 1.0)
    ((16384, 14), (65535, 0), (8, 31))
    """
    real = scale * 2.0 ** (_DISTANCE_FRAC - frac)
    shift = min(max(_FINEST - 1 - math.floor(math.log2(real)), 0), 31)
    return min(round(min(real, 2.0**16) * 2.0**shift), 65535), shift


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """Softmax with its table; the input's zero does not matter, as only differences count."""
    source, output = acts[node.inputs[0]], acts[node.output]
    scale, attrs = scale_of(node), {}
    if output.kind == "s16":
        data, attrs = exp_points(), _wide_attrs(source, output, scale)
    elif (output.frac, output.zero) != (OUTPUT.frac, OUTPUT.zero):
        raise ValueError(f"softmax writes frac {OUTPUT.frac} and zero {OUTPUT.zero}")
    else:
        data = exp_table(frac_of(source), scale)
    table = QTensor(f"{node.output}.table", data.shape, "s16", 15, 0, data)
    constants = [table]
    if len(node.inputs) == 2:
        mask = graph.data(node.inputs[1])
        kept = mask.astype(np.int8)
        constants.append(QTensor(f"{node.output}.mask", mask.shape, "s8", 0, 0, kept))
    inputs = (source.name, *(c.name for c in constants))
    form = Node("softmax", node.name, inputs, node.outputs, {"scale": scale, **attrs})
    return IntForm(form, tuple(constants))


def _wide_attrs(source: QTensor, output: QTensor, scale: float) -> dict[str, int]:
    mul, shift = distance_factor(frac_of(source), scale)
    return {"mul": mul, "shift": shift, "frac": frac_of(output)}


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, table s16, perhaps a mask s8) -> the kind of x."""
    x, table = inputs[0].astype(np.int64), inputs[1].astype(np.int64)
    kept = inputs[2] if len(inputs) == 3 else np.ones((1, x.shape[-1]), np.int8)
    rows = x.reshape(-1, *kept.shape)
    top = np.where(kept != 0, rows, -(2**15)).max(axis=-1, keepdims=True)
    below, wide = np.maximum(top - rows, 0), inputs[0].dtype == np.int16
    e = np.where(kept != 0, _between(node, table, below) if wide else table[below], 0)
    total = e.sum(axis=-1, keepdims=True)
    if wide:
        y = np.minimum(32767, ((e << node.int("frac")) + total // 2) // total)
    else:
        y = np.minimum(127, (256 * e + total // 2) // total - 128)
    return np.asarray(y).astype(inputs[0].dtype).reshape(x.shape)


def _between(node: Node, table: IntArray, below: IntArray) -> IntArray:
    """What e is at the distances ``below`` the largest value."""
    shift = node.int("shift")
    z = (below * node.int("mul") + half(shift)) >> shift
    e = between(table, np.minimum(z, _DISTANCES - 1), _STEP_BITS)
    return np.where(z < _DISTANCES, e, 0)


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """In 16 bits shares have at most frac 15."""
    if kind == "s16":
        yield node.output, _FINEST


def short_axis(node: Node, shapes: Sequence[Shape]) -> bool:
    """Softmax takes at most 65535 values, over the last axis."""
    return shapes[0][-1] <= 65535


def mask_repeats(node: Node, shapes: Sequence[Shape]) -> bool:
    """The mask of a softmax has as many values as its axis, in rows that repeat."""
    masks = [shape for shape in shapes[1:] if len(shape) != 1]  # in integers behind the table
    *rows, width = shapes[0]
    return all(len(m) == 2 and m[1] == width and prod(rows) % m[0] == 0 for m in masks)


def rescaled(node: Node, factor: Array) -> Node:
    """``scale`` takes back the one factor of the input."""
    return node.with_attrs(scale=scale_of(node) / float(factor[0]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and that the table is that of the input's scale."""
    x, table = (qgraph.tensors[name] for name in node.inputs[:2])
    y = qgraph.tensors[node.output]
    mask = ("s8",) * (len(node.inputs) - 2)
    kind = forms.data_kind(node, qgraph)
    yield from forms.kinds(node, qgraph, kind, "s16", *mask, kind)
    if kind == "s16":
        yield from _wide_faults(node, qgraph)
        return
    if (y.frac, y.zero) != (OUTPUT.frac, OUTPUT.zero):
        yield f"softmax writes frac {OUTPUT.frac} and zero {OUTPUT.zero}"
    expected = exp_table(frac_of(x), scale_of(node)).astype(np.int32)
    # The last bit of exp may differ between machines, and a folder may come from another.
    data = qgraph.data(table.name).astype(np.int32)
    if table.shape != (256,) or np.abs(data - expected).max() > 1 or data.min() < 0:
        yield "its table is not that of its input's scale"


def _wide_faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    x, table = (qgraph.tensors[name] for name in node.inputs[:2])
    y = qgraph.tensors[node.output]
    if y.zero or not 0 <= frac_of(y) <= _FINEST:
        yield f"softmax writes zero 0 and a frac of at most {_FINEST}"
    if not node.attrs.keys() >= {"mul", "shift", "frac"}:
        yield "it does not say how distances are scaled"
        return
    yield from forms.follows(node, _wide_attrs(x, y, scale_of(node)))
    shape, data = table.shape, qgraph.data(table.name).astype(np.int32)
    if shape != (_POINTS,) or np.abs(data - exp_points()).max() > 1 or data.min() < 0:
        yield "its table is not that of exp"
    elif data[-2:].any():  # so that distances beyond it are as its last one
        yield "its table does not end in zeros"


_SCALE = real(1e-30, 1e30)
_WIDE: Fields = {
    "mul": optional(whole(0, 65535)),
    "shift": optional(whole(0, 31)),
    "frac": optional(whole(0, _FINEST)),
}
_SCHEMA = Schema(
    Form({"scale": optional(_SCALE)}, more=1),
    Form({"scale": _SCALE, **_WIDE}, constants=1, more=1),
    faults,
)
OP = OpSpec(
    "softmax",
    ("Softmax",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(short_axis, mask_repeats),
    unseen=unseen,
    note="any axis",
    bounds=lambda node: (0.0, 1.0),
    classifies=True,
    output=OUTPUT,
    runs_s16=True,
    frac_limits=frac_limits,
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    along=along.but_last,
    schema=_SCHEMA,
)
