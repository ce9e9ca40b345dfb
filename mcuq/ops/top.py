"""top_values, top_indices and hardmax: the largest values of the last axis, in order.

Of equal values the first comes first. ``top_values`` gives the ``count`` largest, falling, in the
numbers of the input; ``top_indices`` where they lie, in s32. ``hardmax`` writes ``high`` at the
first largest value and ``low`` elsewhere, which are 1 and 0 in the numbers of its output.

C: mcuq_top_values_s8.c, mcuq_top_indices_s8.c, mcuq_hardmax_s8.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.parts.windows import SIZE_MAX
from mcuq.ops.spec import (
    Form,
    Format,
    IntForm,
    OpSpec,
    Scaling,
    Schema,
    TorchTensor,
    Values,
    always,
)
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import whole

COUNT = {"count": whole(1, SIZE_MAX)}


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape with a last axis of ``count``."""
    return (*shapes[0][:-1], node.int("count"))


def _sorted(node: Node, x: TorchTensor) -> tuple[TorchTensor, TorchTensor]:
    found = x.sort(dim=-1, descending=True, stable=True)
    count = node.int("count")
    return found.values[..., :count], found.indices[..., :count]


def values_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The largest values."""
    return _sorted(node, inputs[0])[0]


def indices_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """Their places as int64."""
    return _sorted(node, inputs[0])[1]


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node: one scale for all values, so integers compare as reals do."""
    return IntForm(replace(node, attrs={"count": node.int("count")}))


def order(node: Node, x: Array) -> Array:
    """Where the largest values lie."""
    found: Array = np.argsort(-x.astype(np.int32), axis=-1, kind="stable")
    return found[..., : node.int("count")]


def values_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(..., N) s8 -> (..., count) s8."""
    found: Array = np.take_along_axis(inputs[0], order(node, inputs[0]), axis=-1)
    return found


def indices_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(..., N) s8 -> (..., count) s32."""
    return order(node, inputs[0]).astype(np.int32)


def enough(node: Node, shapes: Sequence[Shape]) -> bool:
    """TopK takes no more values than the axis has."""
    return node.int("count") <= shapes[0][-1]


def _values_faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    yield from forms.kinds(node, qgraph, "s8", "s8")
    yield from forms.keeps_numbers(node, qgraph)


def _indices_faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    yield from forms.kinds(node, qgraph, "s8", "s32")


VALUES = OpSpec(
    "top_values",
    ("TopK",),
    infer,
    values_float,
    to_int,
    values_int,
    limits=(enough,),
    values=Values.BETWEEN,
    keeps_sign=always,
    keeps_scale=True,
    scaling=Scaling.TENSOR,
    along=along.but_last,
    schema=Schema(Form(COUNT), Form(COUNT), _values_faults),
)
INDICES = OpSpec(
    "top_indices",
    ("TopK",),
    infer,
    indices_float,
    to_int,
    indices_int,
    limits=(enough,),
    classifies=True,
    output=Format("s32", 0, 0),
    scaling=Scaling.ABSORBED,
    along=along.but_last,
    schema=Schema(Form(COUNT), Form(COUNT), _indices_faults),
)


def _same_shape(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def hardmax_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """1 at the first largest value, 0 elsewhere."""
    import torch

    x = inputs[0]
    places = torch.arange(x.shape[-1], device=x.device)
    largest = x == x.amax(dim=-1, keepdim=True)
    first = places.where(largest, torch.full_like(places, x.shape[-1])).amin(-1, keepdim=True)
    return (places == first).to(x.dtype)


def hardmax_to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The node with 0 and 1 in the numbers of its output."""
    attrs = _levels(acts[node.output])
    return IntForm(Node("hardmax", node.name, node.inputs[:1], node.outputs, attrs))


def _levels(y: QTensor) -> dict[str, int]:
    low, high = quantize(np.array([0.0, 1.0], np.float32), frac_of(y), y.zero, y.kind).tolist()
    return {"low": low, "high": high}


def hardmax_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(..., N) s8 -> s8."""
    first = np.argmax(inputs[0], axis=-1)[..., None]
    largest = np.arange(inputs[0].shape[-1]) == first
    return np.where(largest, node.int("high"), node.int("low")).astype(np.int8)


def _hardmax_faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    yield from forms.kinds(node, qgraph, "s8", "s8")
    yield from forms.follows(node, _levels(qgraph.tensors[node.output]))


_LEVELS = {"low": whole(-128, 127), "high": whole(-128, 127)}
HARDMAX = OpSpec(
    "hardmax",
    ("Hardmax",),
    _same_shape,
    hardmax_float,
    hardmax_to_int,
    hardmax_int,
    bounds=lambda node: (0.0, 1.0),
    keeps_sign=always,
    classifies=True,
    scaling=Scaling.ABSORBED,
    along=along.but_last,
    note="any axis; OneHot of ArgMax, too",
    schema=Schema(Form(), Form(_LEVELS), _hardmax_faults),
)
