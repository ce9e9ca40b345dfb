"""lookup: rows of a constant table by computed indices; an embedding.

    out[i] = table[min(max(index[i], 0), rows - 1)]

The indices are integers as they are: an s16 input of the network, or the s32 that argmax writes.
The table holds integers of the output's format, so nothing is computed.

C: mcuq_lookup_s8.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.spec import Along, Form, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of

INDICES = ("s16", "s32")


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(..., N) indices and a table (rows, D) -> (..., N, D)."""
    return (*shapes[0], shapes[1][1])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The rows of the table; an index outside takes the first or the last."""
    index, table = inputs
    found: TorchTensor = table[index.long().clamp(0, len(table) - 1)]
    return found


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node with a table in the output's numbers."""
    source, y = acts[node.inputs[0]], acts[node.output]
    data = quantize(graph.data(node.inputs[1]), frac_of(y), y.zero, y.kind)
    table = QTensor(f"{node.output}.table", data.shape, y.kind, y.frac, y.zero, data)
    return IntForm(Node("lookup", node.name, (source.name, table.name), node.outputs), (table,))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(indices s16 or s32, table s8 (rows, D)) -> s8."""
    index, table = inputs
    found: Array = table[np.clip(index.astype(np.int64), 0, len(table) - 1)]
    return found


def rows_of_a_table(node: Node, shapes: Sequence[Shape]) -> bool:
    """A lookup reads rows of a table of two axes."""
    return len(shapes[1]) == 2


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Each index has its own row."""
    return Along(axis, lambda count: node)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Its indices are whole numbers, its table has the numbers of its output."""
    index, table = (qgraph.tensors[name] for name in node.inputs)
    yield from forms.kinds(node, qgraph, index.kind, "s8", "s8")
    if index.kind not in INDICES or (index.frac, index.zero) != (0, 0):
        yield "its indices are no whole numbers of 16 or 32 bits"
    y = qgraph.tensors[node.output]
    if (table.frac, table.zero) != (y.frac, y.zero):
        yield "its table has other numbers than its output"


OP = OpSpec(
    "lookup",
    ("Gather",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(rows_of_a_table,),
    note="rows of a constant by an integer input, or by what ArgMax gives",
    along=along,
    reads_indices=True,
    schema=Schema(Form(constants=1), Form(constants=1), faults),
)
