"""The plain variant of conv2d: any shape on any core."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels import weighted
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.ops.conv2d import window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    win = window(node, qgraph.tensor(node.inputs[1]).shape)
    return weighted.convolution(_SYMBOL, node, qgraph, win, node.int("groups"))


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Measured: per product, per tap and per output."""
    outputs = qgraph.tensor(node.output).size
    _, kh, kw, depth = qgraph.tensor(node.inputs[1]).shape
    per_product = weighted.pick(cpu, 3.9, 5.0, 4.5)
    per_tap = weighted.pick(cpu, 16.0, 20.0, 18.0)
    return outputs * (30.0 + kh * kw * (per_tap + per_product * depth))


VARIANTS = (Variant("conv2d", _SYMBOL, _lower, _cost),)
