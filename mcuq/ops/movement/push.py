"""push: rows that a stream keeps, and behind them new ones, for which the first ones leave.

    y = the last rows of (kept, x) along ``axis``, as many as are kept

C: mcuq_push_s8.c, also of s16
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
from mcuq.schema import whole


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The shape of what is kept."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The last rows of both."""
    import torch

    (kept, new), axis = inputs, node.int("axis")
    return torch.cat([kept, new], axis).narrow(axis, new.shape[axis], kept.shape[axis])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node; the quantizer has brought both inputs to the output's scale."""
    return IntForm(replace(node, attrs={"axis": node.int("axis")}))


def moved(node: Node, inputs: Sequence[Array], outside: int) -> Array:
    """The last rows of both."""
    kept, new = inputs
    axis = node.int("axis")
    both = np.concatenate([kept, new], axis)
    return np.take(both, range(new.shape[axis], both.shape[axis]), axis)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The last rows of both."""
    return moved(node, inputs, 0)


def fewer_rows(node: Node, shapes: Sequence[Shape]) -> bool:
    """Push takes fewer new rows than are kept, on an axis behind the batch, of one width."""
    axis, (kept, new) = node.int("axis"), shapes
    rest = [(*s[:axis], *s[axis + 1 :]) for s in shapes]
    return 0 < axis < len(kept) == len(new) and rest[0] == rest[1] and new[axis] < kept[axis]


_FORM = Form({"axis": whole(1, 7)}, (2, 2))
OP = OpSpec(
    "push",
    (),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(fewer_rows,),
    note="what a stream keeps",
    values=Values.BETWEEN,
    keeps_scale=True,
    joins=True,
    runs_s16=True,
    scaling=Scaling.TENSOR,
    moved=moved,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
