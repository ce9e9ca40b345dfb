"""The plain variant of conv2d: any shape on any core."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.ops.conv2d import window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    win = window(node, qgraph.tensor(node.inputs[1]).shape)
    return weighted.convolution(_SYMBOL, node, qgraph, win, node.int("groups"))


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per output, per tap, and per product."""
    outputs = qgraph.tensor(node.output).size
    _, kh, kw, depth = qgraph.tensor(node.inputs[1]).shape
    rates = weighted.pick(cpu, (78.9, 26.9, 4.1), (120.7, 37.6, 10.8), (80.2, 27.1, 5.1))
    return outputs * (rates[0] + kh * kw * (rates[1] + rates[2] * depth))


VARIANTS = (Variant("conv2d", _SYMBOL, _lower, _cost, multiplies=weighted.with_rows),)
