"""argmax: the index of the largest value of the last axis, the first of equal ones; s32.

With the attribute ``last`` the last of equal ones.

C: mcuq_argmax_s8.c, mcuq_argmax_s8_last.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, Format, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensors
from mcuq.schema import Fields, flag, optional


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape with a last axis of 1."""
    return (*shapes[0][:-1], 1)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The index as int64 (torch.argmax does not promise which of equal values it takes)."""
    import torch

    values = inputs[0]
    length = values.shape[-1]
    places = torch.arange(length, device=values.device).expand_as(values)
    is_largest = values == values.amax(dim=-1, keepdim=True)
    if takes_last(node):
        return places.where(is_largest, torch.full_like(places, -1)).amax(dim=-1, keepdim=True)
    return places.where(is_largest, torch.full_like(places, length)).amin(dim=-1, keepdim=True)


def takes_last(node: Node) -> bool:
    """Whether it gives the last of equal values."""
    return bool(node.attrs.get("last"))


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node: one scale for all values, so integers compare as reals do."""
    return IntForm(replace(node, attrs={"last": True} if takes_last(node) else {}))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(..., C) s8 -> (..., 1) s32."""
    values = inputs[0][..., ::-1] if takes_last(node) else inputs[0]
    index: Array = np.argmax(values, axis=-1, keepdims=True).astype(np.int32)
    return values.shape[-1] - 1 - index if takes_last(node) else index


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """It reads s8 and writes s32."""
    yield from forms.kinds(node, qgraph, "s8", "s32")


_LAST: Fields = {"last": optional(flag)}
OP = OpSpec(
    "argmax",
    ("ArgMax", "ArgMin", "TopK"),
    infer,
    run_float,
    to_int,
    run_int,
    classifies=True,
    output=Format("s32", 0, 0),
    scaling=Scaling.ABSORBED,
    along=along.but_last,
    schema=Schema(Form(_LAST), Form(_LAST), faults),
)
