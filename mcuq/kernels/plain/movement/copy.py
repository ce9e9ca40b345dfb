"""The variants of copy: nested loops from one place, or from each place of a table."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.movement.copy import MAX_LOOPS, TABLE_LOOPS
from mcuq.qir import QGraph

_SYMBOLS = {"s8": "mcuq_copy_s8", "s16": "mcuq_copy_s16"}


def _filled(values: tuple[int, ...], count: int, fill: int) -> tuple[int, ...]:
    """``values`` with ``fill`` in front, so that there are ``count``."""
    return (*(fill,) * (count - len(values)), *values)


def loop_fields(start: int, sizes: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Field, ...]:
    """The members of mcuq_copy_params."""
    return (
        Field("start", start),
        Field("size", _filled(sizes, MAX_LOOPS, 1)),
        Field("stride", _filled(strides, MAX_LOOPS, 0)),
    )


def _lower_copy(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = loop_fields(node.ints("places")[0], node.ints("sizes"), node.ints("strides"))
    symbol = _SYMBOLS[qgraph.tensor(node.output).kind]
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
    symbol = _SYMBOLS[qgraph.tensor(node.output).kind] + "_take"
    return (Call(symbol, "mcuq_take_params", fields, node.inputs, node.output, (array,)),)


def cost(sizes: tuple[int, ...], strides: tuple[int, ...], count: int, cpu: Cpu) -> float:
    """Instructions of ``count`` elements: pairs, runs of words, or bytes apart."""
    length, apart = (sizes[-1], strides[-1]) if sizes else (1, 0)
    rows = count // length
    if apart == 1:
        return (
            elementwise.instructions(cpu, count, 0.9, 1.4) + (40.0 if length > 64 else 9.0) * rows
        )
    return elementwise.instructions(cpu, count, 4.2, 7.0) + 14.0 * rows


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    size = elementwise.output_size(node, qgraph)
    return cost(node.ints("sizes"), node.ints("strides"), size, cpu)


def _one_place(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("places")) == 1


def _few_loops(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("sizes")) <= TABLE_LOOPS


VARIANTS = (
    Variant("copy", "mcuq_copy_s8", _lower_copy, _cost, _one_place),
    Variant("copy", "mcuq_copy_s8_take", _lower_take, _cost, _few_loops),
    Variant("copy", "mcuq_copy_s16", _lower_copy, _cost, _one_place, kinds=S16),
    Variant("copy", "mcuq_copy_s16_take", _lower_take, _cost, _few_loops, kinds=S16),
)
