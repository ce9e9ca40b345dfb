"""The variant of transpose."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """Three loops behind the batch; fewer dimensions get sizes of 1 in front."""
    shape = qgraph.tensor(node.inputs[0]).shape
    missing = 4 - len(shape)
    axes = node.ints("perm")[1:]
    sizes = (*(1,) * missing, *(shape[axis] for axis in axes))
    strides = (*(0,) * missing, *(prod(shape[axis + 1 :]) for axis in axes))
    fields = (Field("out_size", sizes), Field("in_stride", strides))
    return (Call("mcuq_transpose_s8", "mcuq_transpose_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return elementwise.instructions(cpu, elementwise.output_size(node, qgraph), 7.7, 10.0)


VARIANTS = (Variant("transpose", "mcuq_transpose_s8", _lower, _cost),)
