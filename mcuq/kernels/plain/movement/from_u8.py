"""The variant of from_u8."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (Field("count", elementwise.output_size(node, qgraph)),)
    return (Call("mcuq_from_u8_s8", "mcuq_from_u8_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 4.0, 4.0)


VARIANTS = (
    Variant("from_u8", "mcuq_from_u8_s8", _lower, _cost, gap=lambda node, qgraph, index: 0),
)
