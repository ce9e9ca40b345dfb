"""lut16: a smooth function of one s16 value, linear between 513 places. In integers, u = x + 32768:

    i = u >> 7      r = u & 127      y = t[i] + (((t[i + 1] - t[i]) * r + 64) >> 7)

y lies between two entries of the table, so nothing saturates; the product is below 2**23. Between
two places h apart a function f is missed by h**2 / 8 * |f''| at most.

C: mcuq_lut_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.fixed import OfReals, between, dequantize, quantize
from mcuq.ir import Array, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Schema
from mcuq.qir import QGraph, QTensor, frac_of

BITS = 7
PLACES = (1 << (16 - BITS)) + 1


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s16, table s16[513]) -> s16."""
    place, table = inputs[0].astype(np.int32) + 32768, inputs[1].astype(np.int32)
    return between(table, place, BITS).astype(np.int16)


def tabulate(name: str, source: QTensor, output: QTensor, function: OfReals) -> IntForm:
    """The node that maps ``source`` to ``output`` = function(real value), both s16."""
    places = dequantize((np.arange(PLACES) << BITS) - 32768, frac_of(source))
    data = quantize(function(places), frac_of(output), kind="s16")
    table = QTensor(f"{output.name}.table", (PLACES,), "s16", output.frac, 0, data)
    return IntForm(Node("lut16", name, (source.name, table.name), (output.name,)), (table,))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and the number of places."""
    yield from forms.kinds(node, qgraph, "s16", "s16", "s16")
    if qgraph.tensors[node.inputs[1]].shape != (PLACES,):
        yield f"its table has not {PLACES} places"


_SCHEMA = Schema(None, Form(constants=1), faults)
OP = OpSpec("lut16", (), infer, run_int=run_int, runs_s16=True, along=along.same, schema=_SCHEMA)
