"""sub: y = clip(a - b). In integers it becomes an ``add`` whose ``mul_b`` is negative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcuq.ir import Graph, Node
from mcuq.ops import broadcast
from mcuq.ops.add import FLOAT_FORM, integer_sum
from mcuq.ops.clip import clamp
from mcuq.ops.spec import IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QTensor


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a - b)``."""
    return clamp(inputs[0] - inputs[1], node.attrs["clip"])


def to_int(
    node: Node, graph: Graph, acts: Mapping[str, QTensor], weights: Mapping[str, QTensor]
) -> IntForm:
    """The integer add with a negative ``mul_b``; a table if an operand is a scalar constant."""
    return integer_sum(node, graph, acts, run_float, -1)


OP = OpSpec(
    "sub",
    ("Sub",),
    broadcast.infer,
    run_float,
    to_int,
    limits=(broadcast.spreads,),
    schema=Schema(FLOAT_FORM),
)
