"""softmax over the last axis of ``scale`` times the input. In integers, with
table[d] = round(32767 * exp(-d * scale * 2**-frac_x)):

    e_i = table[max(q) - q_i]      S = sum e_i      y_i = min(127, (256 * e_i + S // 2) // S - 128)

The output has frac 8 and zero -128. 256 * e + S / 2 < 2**31 up to 65535 values. With a mask, whose
rows repeat over those of the data, max and S run over what it keeps, and e_i is 0 elsewhere.

C: mcuq_softmax_s8.c, mcuq_softmax_s8_masked.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from mcuq.fixed import FloatArray, IntArray, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, Format, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, frac_of
from mcuq.schema import optional, real

OUTPUT = Format("s8", 8, -128)
_ONE = 32767


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
    rows = inputs[0]
    if len(inputs) == 2:
        mask = inputs[1]
        rows = rows.reshape(-1, *mask.shape).masked_fill(mask == 0, -math.inf)
    return float(rows.amax(dim=-1).min()) - math.log(2 * _ONE) / scale_of(node)


def exp_table(frac: int, scale: float = 1.0) -> IntArray:
    """round(32767 * exp(-d * 2**-frac * scale)) for d = 0..255, as s16.

    >>> exp_table(0)[:3].tolist()
    [32767, 12054, 4435]
    """
    distance: FloatArray = np.arange(256) * (2.0**-frac * scale)
    return round_half_up(_ONE * np.exp(-distance)).astype(np.int16)


def to_int(
    node: Node, graph: Graph, acts: Mapping[str, QTensor], weights: Mapping[str, QTensor]
) -> IntForm:
    """Softmax with its table; the input's zero does not matter, as only differences count."""
    source, output = acts[node.inputs[0]], acts[node.output]
    if (output.frac, output.zero) != (OUTPUT.frac, OUTPUT.zero):
        raise ValueError(f"softmax writes frac {OUTPUT.frac} and zero {OUTPUT.zero}")
    data = exp_table(frac_of(source), scale_of(node))
    table = QTensor(f"{node.output}.table", (256,), "s16", 15, 0, data)
    constants = [table]
    if len(node.inputs) == 2:
        mask = graph.data(node.inputs[1])
        kept = mask.astype(np.int8)
        constants.append(QTensor(f"{node.output}.mask", mask.shape, "s8", 0, 0, kept))
    inputs = (source.name, *(c.name for c in constants))
    form = Node("softmax", node.name, inputs, node.outputs, {"scale": scale_of(node)})
    return IntForm(form, tuple(constants))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s8, table s16[256], perhaps a mask s8) -> s8."""
    x, table = inputs[0].astype(np.int16), inputs[1].astype(np.int64)
    kept = inputs[2] if len(inputs) == 3 else np.ones((1, x.shape[-1]), np.int8)
    rows = x.reshape(-1, *kept.shape)
    top = np.where(kept != 0, rows, -128).max(axis=-1, keepdims=True)
    e = np.where(kept != 0, table[np.maximum(top - rows, 0)], 0)
    total = e.sum(axis=-1, keepdims=True)
    y: Array = np.minimum(127, (256 * e + total // 2) // total - 128).astype(np.int8)
    return y.reshape(x.shape)


def short_axis(node: Node, shapes: Sequence[Shape]) -> bool:
    """Softmax takes at most 65535 values, over the last axis."""
    return shapes[0][-1] <= 65535


def mask_repeats(node: Node, shapes: Sequence[Shape]) -> bool:
    """The mask of a softmax has as many values as its axis, in rows that repeat."""
    masks = [shape for shape in shapes[1:] if len(shape) != 1]  # in integers behind the table
    count = prod(shapes[0]) // shapes[0][-1]
    return all(
        len(mask) == 2 and mask[1] == shapes[0][-1] and count % mask[0] == 0 for mask in masks
    )


def rescaled(node: Node, factor: Array) -> Node:
    """``scale`` takes back the one factor of the input."""
    return node.with_attrs(scale=scale_of(node) / float(factor[0]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and that the table is that of the input's scale."""
    x, table = (qgraph.tensors[name] for name in node.inputs[:2])
    y = qgraph.tensors[node.output]
    mask = ("s8",) * (len(node.inputs) - 2)
    yield from forms.kinds(node, qgraph, "s8", "s16", *mask, "s8")
    if (y.frac, y.zero) != (OUTPUT.frac, OUTPUT.zero):
        yield f"softmax writes frac {OUTPUT.frac} and zero {OUTPUT.zero}"
    expected = exp_table(frac_of(x), scale_of(node)).astype(np.int32)
    # The last bit of exp may differ between machines, and a folder may come from another.
    if table.shape != (256,) or np.abs(qgraph.data(table.name) - expected).max() > 1:
        yield "its table is not that of its input's scale"


_SCALE = real(1e-30, 1e30)
_SCHEMA = Schema(
    Form({"scale": optional(_SCALE)}, more=1),
    Form({"scale": _SCALE}, constants=1, more=1),
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
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    along=along.but_last,
    schema=_SCHEMA,
)
