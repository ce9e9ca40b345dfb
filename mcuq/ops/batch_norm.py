"""batch_norm: y = x * scale + shift per channel, statistics already folded in by the importer.

It has no integer form: a pass folds it into a neighbour, or makes it a 1x1 depthwise_conv2d.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node, Shape
from mcuq.ops.parts import along
from mcuq.ops.spec import Flow, Form, OpSpec, Schema, TorchTensor


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x * scale + shift`` over the last axis."""
    x, scale, shift = inputs
    return x * scale + shift


def per_channel(node: Node, shapes: Sequence[Shape]) -> bool:
    """A batch normalization has one scale and one shift per channel."""
    channels = (shapes[0][-1],)
    return tuple(shapes[1]) == channels and tuple(shapes[2]) == channels


OP = OpSpec(
    "batch_norm",
    ("BatchNormalization",),
    infer,
    run_float,
    limits=(per_channel,),
    note="folded away",
    per_channel=(1, 2),
    flow=Flow.EACH,
    along=along.but_last,
    schema=Schema(Form(constants=2)),
)
