"""copy: values of the input picked by place, in any order, as often as wanted.

The output lists, for each of ``places``, the elements that nested loops of ``sizes`` and
``strides`` (innermost last, in elements) find from there. Slices, repetitions, transpositions,
mirrored and shuffled axes, nearest pixels: whatever moves data and computes nothing is one of
these.

C: mcuq_copy_s8.c (one place), mcuq_copy_s8_take.c (a table of places), and their s16 twins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.spec import Along, Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
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

    flat, places = inputs[0].reshape(len(inputs[0]), -1), torch.from_numpy(sources(node))
    return flat[:, places].reshape(len(flat), *node.ints("shape")[1:])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
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


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """A copy that takes whole rows, evenly spaced, and does the same in each."""
    source, shape = shapes[index], node.ints("shape")
    inner = prod(source[axis + 1 :])
    places = sources(node).reshape(shape)
    rows, rest = places // inner % source[axis], _without_row(places, source, axis)
    for place in range(1, len(shape)):
        lines = np.moveaxis(rows, place, 0).reshape(shape[place], -1)
        alike = np.moveaxis(rest, place, 0).reshape(shape[place], -1)
        steps = np.diff(lines[:, 0])
        even = bool((lines == lines[:, :1]).all() and (alike == alike[:1]).all())
        if not even or (len(steps) and (steps[0] < 1 or (steps != steps[0]).any())):
            continue
        if len(steps) == 0 and source[axis] > 1 and not _is_row(shape, place, rows):
            continue
        stride = int(steps[0]) if len(steps) else 1
        return _picking(node, source, axis, place, stride, int(lines[0, 0]))
    return "it moves frames to other places"


def _is_row(shape: Shape, place: int, rows: Map) -> bool:
    """Whether a single row is taken, so that an axis of one may stand for it."""
    return shape[place] == 1 and bool((rows == rows.flat[0]).all())


def _without_row(places: Map, source: Shape, axis: int) -> Map:
    """The places in the memory of a source with one row."""
    inner, rows = prod(source[axis + 1 :]), source[axis]
    return places // (inner * rows) * inner + places % inner


def _picking(node: Node, source: Shape, axis: int, place: int, stride: int, first: int) -> Along:
    shape = node.ints("shape")
    inner, own = prod(source[axis + 1 :]), sources(node).reshape(shape)
    one = np.take(_without_row(own, source, axis), [0], place)

    def made(count: int) -> Node | None:
        rows = (count - 1) * stride + 1
        lines = (np.arange(count) * stride * inner).reshape(
            [count if i == place else 1 for i in range(len(shape))]
        )
        spread = one // inner * (inner * rows) + one % inner + lines
        wanted = tuple(count if i == place else size for i, size in enumerate(shape))
        flat = spread.reshape(-1)
        if np.array_equal(flat, np.arange(prod(source) // source[axis] * rows)):
            whole = (*source[:axis], rows, *source[axis + 1 :])
            view = replace(node, op="reshape", attrs={"shape": wanted})
            return None if wanted == whole else view
        keys = dict(zip(("places", "sizes", "strides"), loops(flat), strict=True))
        return replace(node, attrs={"shape": wanted, **keys})

    return Along(place, made, stride=stride, before=-first)


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
    along=along,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
