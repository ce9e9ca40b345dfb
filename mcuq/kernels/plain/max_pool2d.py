"""The variant of max_pool2d."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import pool2d
from mcuq.kernels.plain.weighted import pick
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_max_pool2d_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    dilation_h, dilation_w = pool2d.pool_window(node).dilations
    fields = (
        *pool2d.geometry(node, qgraph),
        Field("dilation_h", dilation_h),
        Field("dilation_w", dilation_w),
    )
    return (Call(_SYMBOL, "mcuq_max_pool2d_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per pixel of the output, per output, and per element read."""
    return pool2d.cost(
        node, qgraph, pick(cpu, (75.3, 4.9, 5.1), (104.1, 12.6, 5.8), (60.0, 7.3, 3.2))
    )


VARIANTS = (Variant("max_pool2d", _SYMBOL, _lower, _cost, gap=pool2d.gap),)
