"""softmax over the last axis."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node, Shape
from mcuq.ops.spec import OpSpec, TorchTensor


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """exp(x) / sum(exp(x)) over the last axis."""
    return inputs[0].softmax(dim=-1)


OP = OpSpec("softmax", ("Softmax",), infer, run_float)
