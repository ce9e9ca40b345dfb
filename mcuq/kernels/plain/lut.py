"""The variant of lut."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_CALL, _FOUR, _LEFT = Rate(22, 23, 25, 20), Rate(20, 16, 16, 19), Rate(6, 5, 5, 8)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table = node.inputs
    array = ConstArray("table", "int8_t", qgraph.data(table), f"{node.output} for -128..127")
    fields = (Field("table", "table"), Field("count", elementwise.output_size(node, qgraph)))
    return (Call("mcuq_lut_s8", "mcuq_lut_params", fields, (source,), node.output, (array,)),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    fours, left = divmod(elementwise.output_size(node, qgraph), 4)
    return _CALL.on(cpu) + _FOUR.on(cpu) * fours + _LEFT.on(cpu) * left


VARIANTS = (Variant("lut", "mcuq_lut_s8", _lower, _cost, gap=lambda node, qgraph, index: 0),)
