"""The plain variant of dense: any shape on any core."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.ops.conv2d import window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8"


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    arrays = weighted.constants(node, qgraph)
    out_len, in_len = qgraph.tensor(node.inputs[1]).shape
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field("in_len", in_len), Field("out_len", out_len)),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params = "mcuq_dense_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per output, and per product."""
    out_len, in_len = qgraph.tensor(node.inputs[1]).shape
    rates = weighted.pick(cpu, (37.6, 4.0), (59.6, 6.9), (32.4, 4.7))
    return out_len * (rates[0] + in_len * rates[1])


def is_dense(node: Node, qgraph: QGraph) -> bool:
    """Whether a conv2d has one output pixel, which reads all inputs once."""
    win = window(node, qgraph.tensor(node.inputs[1]).shape)
    _, in_h, in_w, _ = qgraph.tensor(node.inputs[0]).shape
    whole = win.kernel == (in_h, in_w) and not any(win.pads)
    return whole and win.out_size(in_h, in_w) == (1, 1) and node.int("groups") == 1


VARIANTS = (Variant("dense", _SYMBOL, _lower, _cost),)
