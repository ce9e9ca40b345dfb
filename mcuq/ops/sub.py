"""sub: y = clip(a - b). In integers it becomes an ``add`` whose ``mul_b`` is negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import add, clip
from mcuq.ops.add import FLOAT_FORM
from mcuq.ops.parts import along, broadcast, operand
from mcuq.ops.spec import Flow, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QTensors


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a - b)``."""
    return clip.clamp(inputs[0] - inputs[1], node.attrs["clip"])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer add with a negative ``mul_b``; a table if an operand is a scalar constant."""
    return add.integer_sum(node, graph, acts, run_float, -1)


def affine(index: int, constant: Array) -> tuple[Array, Array]:
    """``x - constant``, or ``constant - x``."""
    sign = -1.0 if index == 0 else 1.0
    return np.full(len(constant), sign), -sign * constant


OP = OpSpec(
    "sub",
    ("Sub", "Not", "Xor"),
    broadcast.infer,
    run_float,
    to_int,
    limits=(broadcast.spreads,),
    flow=Flow.POINTWISE,
    fuse_clip=clip.fuse,
    is_identity=operand.neutral(0.0),
    affine=affine,
    runs_s16=True,
    frac_limits=add.frac_limits,
    scaling=Scaling.CHANNELS,
    offsets=(1, -1),
    along=along.same,
    schema=Schema(FLOAT_FORM),
)
