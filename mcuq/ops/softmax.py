"""softmax over the last axis of ``scale`` times the input. In integers, with
table[d] = round(32767 * exp(-d * scale * 2**-frac_x)):

    e_i = table[max(q) - q_i]      S = sum e_i      y_i = min(127, (256 * e_i + S // 2) // S - 128)

The output has frac 8 and zero -128. 256 * e + S / 2 < 2**31 up to 65535 values.

C: mcuq_softmax_s8.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.fixed import FloatArray, IntArray, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import forms
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
    return (inputs[0] if scale == 1.0 else inputs[0] * scale).softmax(dim=-1)


def scale_of(node: Node) -> float:
    """How many times its input a softmax means: the quantizer's free factor, taken back."""
    return float(node.attrs.get("scale", 1.0))


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
    form = Node(
        "softmax", node.name, (source.name, table.name), node.outputs, {"scale": scale_of(node)}
    )
    return IntForm(form, (table,))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s8, table s16[256]) -> s8."""
    x, table = inputs[0].astype(np.int16), inputs[1].astype(np.int64)
    e = table[x.max(axis=-1, keepdims=True) - x]
    total = e.sum(axis=-1, keepdims=True)
    y: Array = np.minimum(127, (256 * e + total // 2) // total - 128).astype(np.int8)
    return y


def short_axis(node: Node, shapes: Sequence[Shape]) -> bool:
    """Softmax takes at most 65535 values, over the last axis."""
    return shapes[0][-1] <= 65535


def rescaled(node: Node, factor: Array) -> Node:
    """``scale`` takes back the one factor of the input."""
    return node.with_attrs(scale=scale_of(node) / float(factor[0]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and that the table is that of the input's scale."""
    x, table, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    yield from forms.kinds(node, qgraph, "s8", "s16", "s8")
    if (y.frac, y.zero) != (OUTPUT.frac, OUTPUT.zero):
        yield f"softmax writes frac {OUTPUT.frac} and zero {OUTPUT.zero}"
    expected = exp_table(frac_of(x), scale_of(node)).astype(np.int32)
    # The last bit of exp may differ between machines, and a folder may come from another.
    if table.shape != (256,) or np.abs(qgraph.data(table.name) - expected).max() > 1:
        yield "its table is not that of its input's scale"


_SCALE = real(1e-30, 1e30)
_SCHEMA = Schema(Form({"scale": optional(_SCALE)}), Form({"scale": _SCALE}, constants=1), faults)
OP = OpSpec(
    "softmax",
    ("Softmax",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(short_axis,),
    note="last axis",
    bounds=lambda node: (0.0, 1.0),
    classifies=True,
    output=OUTPUT,
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    schema=_SCHEMA,
)
