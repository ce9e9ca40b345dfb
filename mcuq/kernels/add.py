"""The variants of add: operands of equal size, and operands that broadcast."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _numbers(node: Node) -> tuple[Field, ...]:
    names = ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max")
    return tuple(Field(name, node.int(name)) for name in names)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    count = Field("count", elementwise.output_size(node, qgraph))
    fields = (count, *_numbers(node))
    return (Call("mcuq_add_s8", "mcuq_add_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 12.0, 15.0)


def _lower_broadcast(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (elementwise.spread_field(node, qgraph), *_numbers(node))
    symbol, params = "mcuq_add_broadcast_s8", "mcuq_add_broadcast_params"
    return (Call(symbol, params, fields, node.inputs, node.output),)


def _cost_broadcast(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 15.0, 20.0)


VARIANTS = (
    Variant(
        "add",
        "mcuq_add_s8",
        _lower,
        _cost,
        accepts=elementwise.same_shape,
        gap=elementwise.gap,
    ),
    Variant(
        "add",
        "mcuq_add_broadcast_s8",
        _lower_broadcast,
        _cost_broadcast,
        accepts=elementwise.spreads,
        gap=elementwise.gap,
    ),
)
