"""The variants of transpose: three loops, and those of copy."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.plain.movement import copy
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.ops.movement.copy import loops
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


def _loops(node: Node, qgraph: QGraph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(sizes, strides) of the output's loops; axes that stay together are one."""
    shape = qgraph.tensor(node.inputs[0]).shape
    order = np.arange(prod(shape)).reshape(shape).transpose(node.ints("perm"))
    _, sizes, strides = loops(order.reshape(-1))
    return sizes, strides


def _lower_copy(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = copy.loop_fields(0, *_loops(node, qgraph))
    return (Call("mcuq_copy_s8", "mcuq_copy_params", fields, node.inputs, node.output),)


def _copy_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return copy.cost(cpu, *_loops(node, qgraph))


VARIANTS = (
    Variant("transpose", "mcuq_transpose_s8", _lower, _cost),
    Variant("transpose", "mcuq_copy_s8", _lower_copy, _copy_cost),
)
