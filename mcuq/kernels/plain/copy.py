"""The variants of copy: nested loops from one place, or from each place of a table."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.copy import MAX_LOOPS, TABLE_LOOPS
from mcuq.qir import QGraph

_SYMBOLS = {"s8": "mcuq_{}_s8", "s16": "mcuq_{}_s16"}


def _filled(values: tuple[int, ...], count: int, fill: int) -> tuple[int, ...]:
    """``values`` with ``fill`` in front, so that there are ``count``."""
    return (*(fill,) * (count - len(values)), *values)


def _lower_copy(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (
        Field("start", node.ints("places")[0]),
        Field("size", _filled(node.ints("sizes"), MAX_LOOPS, 1)),
        Field("stride", _filled(node.ints("strides"), MAX_LOOPS, 0)),
    )
    symbol = _SYMBOLS[qgraph.tensor(node.output).kind].format("copy")
    return (Call(symbol, "mcuq_copy_params", fields, node.inputs, node.output),)


def _lower_take(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    places = np.array(node.ints("places"))
    array = ConstArray("places", "int32_t", places.astype(np.int32), "where each row begins")
    fields = (
        Field("places", "places"),
        Field("count", len(places)),
        Field("size", _filled(node.ints("sizes"), TABLE_LOOPS, 1)),
        Field("stride", _filled(node.ints("strides"), TABLE_LOOPS, 0)),
    )
    symbol = _SYMBOLS[qgraph.tensor(node.output).kind].format("take")
    return (Call(symbol, "mcuq_take_params", fields, node.inputs, node.output, (array,)),)


def _rows(node: Node, qgraph: QGraph) -> int:
    """How often the innermost loop runs."""
    sizes = node.ints("sizes")
    return qgraph.tensor(node.output).size // (sizes[-1] if sizes else 1)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    strides = node.ints("strides")
    rows, size = _rows(node, qgraph), elementwise.output_size(node, qgraph)
    dense = bool(strides) and strides[-1] == 1
    each = elementwise.instructions(cpu, size, *((1.6, 2.6) if dense else (5.2, 8.0)))
    return each + (42.0 if dense else 16.0) * rows


def _one_place(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("places")) == 1


def _few_loops(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("sizes")) <= TABLE_LOOPS


VARIANTS = (
    Variant("copy", "mcuq_copy_s8", _lower_copy, _cost, _one_place),
    Variant("copy", "mcuq_take_s8", _lower_take, _cost, _few_loops),
    Variant("copy", "mcuq_copy_s16", _lower_copy, _cost, _one_place, kinds=S16),
    Variant("copy", "mcuq_take_s16", _lower_take, _cost, _few_loops, kinds=S16),
)
