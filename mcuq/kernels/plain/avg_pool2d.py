"""The variant of avg_pool2d."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import pool2d
from mcuq.kernels.plain.weighted import pick
from mcuq.kernels.variant import Call, Cpu, Field, Variant
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
    """So many per pixel of the output, per output, and per element read."""
    return pool2d.cost(
        node, qgraph, pick(cpu, (67.0, 19.8, 3.0), (101.6, 84.4, 4.3), (60.0, 17.3, 3.1))
    )


VARIANTS = (Variant("avg_pool2d", _SYMBOL, _lower, _cost, gap=pool2d.gap),)
