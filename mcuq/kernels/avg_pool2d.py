"""The variant of avg_pool2d."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels import pool2d
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.kernels.weighted import pick
from mcuq.qir import QGraph

_SYMBOL = "mcuq_avg_pool2d_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    names = ("include_pad", "left", "right", "zero_x", "zero_y", "out_min", "out_max")
    fields = (
        *pool2d.geometry(node, qgraph),
        *(Field(name, node.int(name)) for name in names),
    )
    return (Call(_SYMBOL, "mcuq_avg_pool2d_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per output, and per element read."""
    outputs = qgraph.tensor(node.output).size
    rates = pick(cpu, (42.5, 7.0), (121.1, 7.7), (28.7, 6.2))
    return rates[0] * outputs + rates[1] * pool2d.reads(node, qgraph)


VARIANTS = (Variant("avg_pool2d", _SYMBOL, _lower, _cost, gap=pool2d.gap),)
