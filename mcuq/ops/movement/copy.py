"""copy: values of the input picked by place, in any order, as often as wanted.

The output lists, for each of ``places``, the elements that nested loops of ``sizes`` and
``strides`` (innermost last, in elements) find from there. Slices, repetitions, transpositions,
mirrored and shuffled axes, nearest pixels: whatever moves data and computes nothing is one of
these.

C: mcuq_copy_s8.c (one place), mcuq_take_s8.c (a table of places), and their s16 twins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensor
from mcuq.schema import several, whole

MAX_LOOPS = 5
"""What mcuq_copy_s8 nests; with a table of places there are three."""

TABLE_LOOPS = 3
MAX_RANK = 8
MAX_PLACES = 1 << 16
"""Longer tables of places are no movement that a microcontroller should make."""

Map = npt.NDArray[np.int64]


def sources(node: Node) -> Map:
    """For each element of the output its place in the input, the batch apart.

    >>> attrs = {"shape": (1, 4), "places": (5, 0), "sizes": (2,), "strides": (-1,)}
    >>> sources(Node("copy", "", (), (), attrs)).tolist()
    [5, 4, 0, -1]
    """
    found = np.array(node.ints("places"), np.int64)
    for size, stride in zip(node.ints("sizes"), node.ints("strides"), strict=True):
        found = (found[:, None] + stride * np.arange(size)).reshape(-1)
    return found


def loops(source: Map) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(places, sizes, strides) that list ``source``: as few places as the loops allow.

    >>> loops(np.array([0, 3, 1, 4, 2, 5]))
    ((0,), (3, 2), (1, 3))
    >>> loops(np.array([0, 1, 6, 7, 4, 5]))
    ((0, 6, 4), (2,), (1,))
    """
    sizes: list[int] = []
    strides: list[int] = []
    heads = source
    while len(heads) > 1:
        steps = np.diff(heads)
        broken = np.flatnonzero(steps != steps[0]) + 1
        size = int(np.gcd.reduce(np.append(broken, len(heads))))
        if size == 1:
            break
        sizes.insert(0, size)
        strides.insert(0, int(steps[0]))
        heads = heads[::size]
    kept = len(sizes) if len(heads) == 1 and len(sizes) <= MAX_LOOPS else TABLE_LOOPS
    while len(sizes) > kept:
        size, stride = sizes.pop(0), strides.pop(0)
        heads = (heads[:, None] + stride * np.arange(size)).reshape(-1)
    return tuple(heads.tolist()), tuple(sizes), tuple(strides)


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The attribute ``shape``."""
    return node.ints("shape")


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The elements at ``sources``."""
    import torch

    flat = inputs[0].reshape(len(inputs[0]), -1)
    picked = flat[:, torch.from_numpy(sources(node))]
    return picked.reshape(len(flat), *node.ints("shape")[1:])


def to_int(
    node: Node, graph: Graph, acts: Mapping[str, QTensor], weights: Mapping[str, QTensor]
) -> IntForm:
    """The same node."""
    keys = ("shape", "places", "sizes", "strides")
    return IntForm(replace(node, attrs={key: node.ints(key) for key in keys}))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The elements at ``sources``."""
    flat = inputs[0].reshape(len(inputs[0]), -1)
    return flat[:, sources(node)].reshape(len(flat), *node.ints("shape")[1:])


def within(node: Node, shapes: Sequence[Shape]) -> bool:
    """Copy picks elements that are there, at least one, behind a batch of 1."""
    sizes, shape = node.ints("sizes"), node.ints("shape")
    count = len(node.ints("places")) * prod(sizes)
    if count < 1 or prod(shape) != count or shape[0] != 1 or len(sizes) > MAX_LOOPS:
        return False
    found = sources(node)
    return int(found.min()) >= 0 and int(found.max()) < prod(shapes[0])


def is_identity(node: Node, graph: Graph) -> bool:
    """All elements in their own order."""
    found = sources(node)
    whole = prod(graph.shape(node.inputs[0])) == len(found)
    return whole and bool((found == np.arange(len(found))).all())


_INTEGER = whole()
_FORM = Form(
    {
        "shape": several(whole(1), 1, MAX_RANK),
        "places": several(whole(0), 1, MAX_PLACES),
        "sizes": several(whole(1), 0, MAX_LOOPS),
        "strides": several(_INTEGER, 0, MAX_LOOPS),
    }
)
OP = OpSpec(
    "copy",
    ("Slice", "Split", "Gather", "Expand", "Tile", "Pad", "Resize", "Upsample"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(within,),
    note="whatever moves elements; Pad by mirroring, Resize to the nearest",
    values=Values.PICKED,
    is_identity=is_identity,
    keeps_scale=True,
    runs_s16=True,
    scaling=Scaling.TENSOR,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
