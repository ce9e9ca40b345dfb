"""requant: the same value in another number format, between s8 and s16 or within s16:

    y = clamp((x * mul + bias) >> shift, out_min, out_max)

rounded half up. One of ``mul`` = 2**k and ``shift`` only moves the scale; ``bias`` holds both zeros
and the rounding constant. From s8 to s8 a table does the same (``lut``).

C: mcuq_requant_s8_s16.c, mcuq_requant_s16_s8.c, mcuq_requant_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.fixed import DTYPES, half
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.spec import Form, IntForm, OpSpec, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import whole

# From these on the result no longer changes: 1 << 15 saturates, and 2**16 >> 17 rounds to 0.
# |x * mul + bias| <= 2**30 + 2**23 + 2**24 < 2**31.
MAX_LEFT = 15
MAX_SHIFT = 17


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x``."""
    return inputs[0]


def form(
    name: str, source: QTensor, output: QTensor, limits: tuple[int, int] | None = None
) -> IntForm:
    """The node that brings ``source`` to the format of ``output``, within ``limits``.

    >>> x, y = QTensor("x", (1, 2), "s16", 12), QTensor("y", (1, 2), "s8", 4)
    >>> dict(form("narrow", x, y).node.attrs)
    {'mul': 1, 'bias': 128, 'shift': 8, 'out_min': -128, 'out_max': 127}
    """
    finer = frac_of(output) - frac_of(source)
    shift = min(max(-finer, 0), MAX_SHIFT)
    mul = 1 << min(max(finer, 0), MAX_LEFT)
    low, high = limits or output.range
    attrs = {
        "mul": mul,
        "bias": half(shift) + (output.zero << shift) - source.zero * mul,
        "shift": shift,
        "out_min": low,
        "out_max": high,
    }
    return IntForm(Node("requant", name, (source.name,), (output.name,), attrs))


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer node."""
    return form(node.name, acts[node.inputs[0]], acts[node.output])


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x) -> the kind of the output."""
    acc = inputs[0].astype(np.int32) * node.int("mul") + node.int("bias")
    acc >>= node.int("shift")
    return limited(acc, node, DTYPES[qgraph.tensor(node.output).kind])


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors."""
    x, y = qgraph.tensors[node.inputs[0]], qgraph.tensors[node.output]
    if (x.kind, y.kind) not in (("s8", "s16"), ("s16", "s8"), ("s16", "s16")):
        yield f"its data is {x.kind} and {y.kind}"
    else:
        yield from forms.in_range(node, qgraph)
        limits = (node.int("out_min"), node.int("out_max"))
        yield from forms.follows(node, form(node.name, x, y, limits).node.attrs)


_NUMBERS = {key: whole() for key in ("mul", "bias", "shift")}
OP = OpSpec(
    "requant",
    (),
    infer,
    run_float,
    to_int,
    run_int,
    note="between 8 and 16 bits; made by mcuq",
    values=Values.SAME,
    along=along.same,
    schema=Schema(None, Form({**_NUMBERS, **forms.RANGE}), faults),
)
