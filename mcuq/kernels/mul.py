"""The variants of mul: operands of equal size, and operands that broadcast."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _numbers(node: Node) -> tuple[Field, ...]:
    names = ("bias", "zero_a", "zero_b", "shift", "out_min", "out_max")
    return tuple(Field(name, node.int(name)) for name in names)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    count = Field("count", elementwise.output_size(node, qgraph))
    fields = (count, *_numbers(node))
    return (Call("mcuq_mul_s8", "mcuq_mul_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 12.0, 15.0)


def _lower_broadcast(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (elementwise.spread_field(node, qgraph), *_numbers(node))
    symbol, params = "mcuq_mul_broadcast_s8", "mcuq_mul_broadcast_params"
    return (Call(symbol, params, fields, node.inputs, node.output),)


def _cost_broadcast(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 15.0, 20.0)


VARIANTS = (
    Variant(
        "mul",
        "mcuq_mul_s8",
        _lower,
        _cost,
        accepts=elementwise.same_shape,
        gap=elementwise.gap,
    ),
    Variant(
        "mul",
        "mcuq_mul_broadcast_s8",
        _lower_broadcast,
        _cost_broadcast,
        accepts=elementwise.spreads,
        gap=elementwise.gap,
    ),
)
