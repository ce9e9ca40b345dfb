"""The variant of lut."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table = node.inputs
    array = ConstArray("table", "int8_t", qgraph.data(table), f"{node.output} for -128..127")
    fields = (Field("table", "table"), Field("count", elementwise.output_size(node, qgraph)))
    return (Call("mcuq_lut_s8", "mcuq_lut_params", fields, (source,), node.output, (array,)),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 4.0, 5.0)


VARIANTS = (Variant("lut", "mcuq_lut_s8", _lower, _cost, gap=lambda node, qgraph, index: 0),)
