"""pad with a constant: one value, or one per channel of the output's last axis.

C: mcuq_pad_s8.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.parts.weights import cut_values
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensors, frac_of
from mcuq.schema import several, whole


def pairs(node: Node) -> tuple[tuple[int, int], ...]:
    """(begin, end) for each axis."""
    return tuple((int(begin), int(end)) for begin, end in node.attrs["pads"])


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """Every size plus its begin and end."""
    return tuple(begin + s + end for s, (begin, end) in zip(shapes[0], pairs(node), strict=True))


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x`` in the middle of ``value``."""
    values = inputs[0].new_tensor([float(v) for v in node.attrs["value"]])
    padded = values.expand(infer(node, [tuple(inputs[0].shape)])).clone()
    padded[_middle(node, inputs[0].shape)] = inputs[0]
    return padded


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node with integer values in the input's scale."""
    source = acts[node.inputs[0]]
    real = np.array(node.attrs["value"], np.float64)
    values = quantize(real, frac_of(source), source.zero, source.kind).tolist()
    return IntForm(replace(node, attrs={"pads": pairs(node), "value": tuple(values)}))


def moved(node: Node, inputs: Sequence[Array], outside: int) -> Array:
    """``x`` in the middle of ``outside``."""
    return _around(node, inputs[0], np.array(outside, inputs[0].dtype))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """``x`` in the middle of ``value``."""
    return _around(node, inputs[0], np.array(node.ints("value"), inputs[0].dtype))


def _around(node: Node, x: Array, values: Array) -> Array:
    padded = np.broadcast_to(values, infer(node, [x.shape])).copy()
    padded[_middle(node, x.shape)] = x
    return padded


def _middle(node: Node, shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(
        slice(begin, begin + size) for size, (begin, _) in zip(shape, pairs(node), strict=True)
    )


def grows(node: Node, shapes: Sequence[Shape]) -> bool:
    """Pad adds (never removes) elements, not along the batch, to at most 4 dimensions."""
    edges = pairs(node)
    return len(shapes[0]) <= 4 and edges[0] == (0, 0) and min(min(edges)) >= 0


def rescaled(node: Node, factor: Array) -> Node:
    """Its value in the new scale: one where all channels have the same."""
    value = np.array(node.attrs["value"], np.float64) * factor
    same = bool((value == value[0]).all())
    return node.with_attrs(value=tuple(float(v) for v in (value[:1] if same else value)))


def cut(node: Node, shape: Shape, inputs: Array | None, outputs: Array | None) -> Node:
    """The values of the channels that are kept."""
    return cut_values(node, "value", outputs)


def one_for_each(node: Node, shapes: Sequence[Shape]) -> bool:
    """Pad has one pair of sizes per axis, and one value or one per channel of the output."""
    edges, values = pairs(node), node.attrs["value"]
    fits = len(edges) == len(shapes[0])
    return fits and len(values) in (1, shapes[0][-1] + sum(edges[-1]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and that the values are some of the output."""
    yield from forms.keeps_numbers(node, qgraph)
    low, high = qgraph.tensors[node.output].range
    if not low <= min(node.ints("value")) <= max(node.ints("value")) <= high:
        yield f"its value is not in {low}..{high}"


_EDGES = {"pads": several(several(whole(0, 65535), 2, 2), 1, 4)}
_SCHEMA = Schema(
    Form({**_EDGES, "value": forms.VALUES}),
    Form({**_EDGES, "value": several(whole(), 1, 65535)}),
    faults,
)
OP = OpSpec(
    "pad",
    ("Pad",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(grows, one_for_each),
    keeps_sign=lambda node: min(node.attrs["value"]) >= 0,
    is_identity=lambda node, graph: True,
    keeps_scale=True,
    runs_s16=True,
    scaling=Scaling.CHANNELS,
    rescaled=rescaled,
    moved=moved,
    cut=cut,
    along=along.edges,
    schema=_SCHEMA,
)
