"""concat along any axis but the batch; all inputs have the output's frac and zero.

C: mcuq_concat_s8.c, once per input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
from mcuq.schema import MANY, whole


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The first input's shape, with the sizes along ``axis`` added."""
    axis = node.int("axis")
    first = shapes[0]
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The inputs one after the other along ``axis``."""
    import torch

    return torch.cat(list(inputs), dim=node.int("axis"))


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node; the quantizer has brought all inputs to the output's scale."""
    return IntForm(replace(node, attrs={"axis": node.int("axis")}))


def moved(node: Node, inputs: Sequence[Array], outside: int) -> Array:
    """The inputs one after the other along ``axis``."""
    return np.concatenate(list(inputs), axis=node.int("axis"))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The inputs one after the other along ``axis``."""
    return moved(node, inputs, 0)


def along_inner_axis(node: Node, shapes: Sequence[Shape]) -> bool:
    """Concat joins along any axis but the batch, and the other axes have equal sizes."""
    axis, rank = node.int("axis"), len(shapes[0])
    rest = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    return 0 < axis < rank and all(len(s) == rank for s in shapes) and len(rest) == 1


_FORM = Form({"axis": whole(1, 3)}, (1, MANY), either=True)
OP = OpSpec(
    "concat",
    ("Concat",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(along_inner_axis,),
    values=Values.BETWEEN,
    is_identity=lambda node, graph: len(node.inputs) == 1,
    keeps_scale=True,
    joins=True,
    runs_s16=True,
    scaling=Scaling.TENSOR,
    moved=moved,
    along=along.joined,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
