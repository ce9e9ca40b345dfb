"""reshape: the same elements in the same order; no code runs, the planner shares the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
from mcuq.schema import several, whole


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The attribute ``shape``."""
    return node.ints("shape")


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x`` in the new shape, batch kept."""
    return inputs[0].reshape(inputs[0].shape[0], *node.ints("shape")[1:])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node."""
    return IntForm(replace(node, attrs={"shape": node.ints("shape")}))


def moved(node: Node, inputs: Sequence[Array], outside: int) -> Array:
    """``x`` in the new shape, batch kept."""
    return inputs[0].reshape(len(inputs[0]), *node.ints("shape")[1:])


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """``x`` in the new shape, batch kept."""
    return moved(node, inputs, 0)


def keeps_size(node: Node, shapes: Sequence[Shape]) -> bool:
    """Reshape keeps the number of elements and the batch."""
    shape = node.ints("shape")
    return prod(shape) == prod(shapes[0]) and shape[:1] == shapes[0][:1]


_FORM = Form({"shape": several(whole(1, 1 << 26), 1, 8)})
OP = OpSpec(
    "reshape",
    ("Reshape", "Flatten", "Squeeze", "Unsqueeze"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(keeps_size,),
    values=Values.VIEW,
    is_identity=lambda node, graph: True,
    keeps_scale=True,
    runs_s16=True,
    scaling=Scaling.CHANNELS,
    offsets=(1,),
    moved=moved,
    cut=lambda node, shape, inputs, outputs: node.with_attrs(shape=shape),
    along=along.seen_otherwise,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
