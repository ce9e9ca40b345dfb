"""The plain variant of depthwise_conv2d: any shape on any core."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.ops.depthwise_conv2d import window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_depthwise_conv2d_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    win = window(node, qgraph.tensor(node.inputs[1]).shape)
    groups = qgraph.tensor(node.inputs[0]).shape[3]
    return weighted.convolution(_SYMBOL, node, qgraph, win, groups)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per output, and per kernel row and product of it."""
    outputs = qgraph.tensor(node.output).size
    kh, kw, _ = qgraph.tensor(node.inputs[1]).shape
    rates = weighted.pick(cpu, (60.2, 19.6, 13.1), (82.1, 35.5, 16.4), (46.9, 10.3, 11.7))
    return outputs * (rates[0] + kh * (rates[1] + kw * rates[2]))


VARIANTS = (Variant("depthwise_conv2d", _SYMBOL, _lower, _cost, multiplies=weighted.with_rows),)
