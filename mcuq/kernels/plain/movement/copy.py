"""The variants of copy: nested loops from one place, or from each place of a table."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.plain.movement import runs
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.movement.copy import MAX_LOOPS, TABLE_LOOPS
from mcuq.qir import QGraph

_COPY, _TAKE = Rate(53.2, 49.2, 44.6, 68.6), Rate(54, 45.9, 60.7, 62.8)
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


def cost(cpu: Cpu, sizes: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> float:
    """Instructions of mcuq_copy_s8."""
    found, steps = _filled(sizes, MAX_LOOPS, 1), _filled(strides, MAX_LOOPS, 0)
    starts = [start + a * steps[0] + b * steps[1] for a in range(found[0]) for b in range(found[1])]
    return _COPY.on(cpu) + runs.cost(cpu, found[2:], steps[2:], starts)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return cost(cpu, node.ints("sizes"), node.ints("strides"), node.ints("places")[0])


def _take_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    sizes = _filled(node.ints("sizes"), TABLE_LOOPS, 1)
    strides = _filled(node.ints("strides"), TABLE_LOOPS, 0)
    return _TAKE.on(cpu) + runs.cost(cpu, sizes, strides, node.ints("places"))


def _wide_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Of 16 bits: values apart, or a memcpy for each run."""
    size = elementwise.output_size(node, qgraph)
    sizes, strides = node.ints("sizes"), node.ints("strides")
    length, apart = (sizes[-1], strides[-1]) if sizes else (1, 0)
    rows = size // length
    if apart == 1:
        calls = (40.0 if runs.is_long(cpu, length) else 9.0) * rows
        return elementwise.instructions(cpu, size, 0.9, 1.4) + calls
    return elementwise.instructions(cpu, size, 4.2, 7.0) + 14.0 * rows


def _one_place(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("places")) == 1


def _few_loops(node: Node, qgraph: QGraph) -> bool:
    return len(node.ints("sizes")) <= TABLE_LOOPS


VARIANTS = (
    Variant("copy", "mcuq_copy_s8", _lower_copy, _cost, _one_place),
    Variant("copy", "mcuq_copy_s8_take", _lower_take, _take_cost, _few_loops),
    Variant("copy", "mcuq_copy_s16", _lower_copy, _wide_cost, _one_place, kinds=S16),
    Variant("copy", "mcuq_copy_s16_take", _lower_take, _wide_cost, _few_loops, kinds=S16),
)
