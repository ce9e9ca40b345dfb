"""Index maps: where each element of a value lies in memory. Pure functions on integer arrays.

A map ``m`` has one entry per element of a value: ``m[i]`` is the place in memory of the value's
i-th element in the row-major order of its own (logical) shape. The batch counts as 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from mcuq.ir import Shape

Map = npt.NDArray[np.int64]
MAX_AXES = 6


def identity(count: int) -> Map:
    """The map of a value that lies in its own order."""
    return np.arange(count, dtype=np.int64)


def inverse(places: Map) -> Map:
    """For each place in memory the element that lies there.

    >>> inverse(np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    found = np.empty_like(places)
    found[places] = identity(len(places))
    return found


def channels_last(shape: Shape) -> Map:
    """The map of a (1, C, spatial...) value that lies as (1, spatial..., C).

    >>> channels_last((1, 2, 3)).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    return with_axes(shape, (0, *range(2, len(shape)), 1))


def with_axes(shape: Shape, axes: Sequence[int]) -> Map:
    """The map of a ``shape`` value that lies with its axes in the order ``axes``."""
    places = identity(prod(shape)).reshape([shape[a] for a in axes])
    return places.transpose(np.argsort(axes)).reshape(-1)


def axes_of(places: Map, shape: Shape) -> tuple[int, ...] | None:
    """The order in which the axes of a value lie in memory, if they lie whole.

    >>> axes_of(channels_last((1, 2, 3)), (1, 2, 3))
    (0, 2, 1)
    """
    cube = places.reshape(shape)
    steps = dict.fromkeys(range(len(shape)), 0)
    following = 1 << 62
    for axis, size in enumerate(shape):
        if size > 1:
            second = tuple(int(a == axis) for a in range(len(shape)))
            following = int(cube[second]) - int(cube.flat[0])
        steps[axis] = following
    axes = tuple(sorted(steps, key=lambda axis: (-steps[axis], axis)))
    return axes if np.array_equal(places, with_axes(shape, axes)) else None


def image_shape(shape: Shape) -> Shape:
    """(1, C, H, W) -> (1, H, W, C) and (1, C, L) -> (1, 1, L, C)."""
    return (1, *(1,) * (4 - len(shape)), *shape[2:], shape[1])


def plain_shape(shape: Shape) -> Shape:
    """The memory shape of a value that lies in its own order: at most 4 axes, batch first."""
    if shape and shape[0] == 1 and len(shape) in (2, 4):
        return shape
    if len(shape) == 3 and shape[0] == 1:
        return (1, 1, *shape[1:])
    return (1, prod(shape))


def moved_last(places: Map, shape: Shape, axes: Sequence[int]) -> Map:
    """(rest, chosen) places of a ``shape`` value: ``axes`` run along the second axis."""
    rest = [a for a in range(len(shape)) if a not in axes]
    chosen = prod(shape[a] for a in axes)
    return places.reshape(shape).transpose([*rest, *axes]).reshape(-1, chosen)


def innermost(places: Map, shape: Shape, axis: int) -> Map | None:
    """The memory row of each combination of the other axes, if ``axis`` is innermost in memory."""
    rows = moved_last(places, shape, (axis,))
    width = shape[axis]
    first = rows[:, 0]
    if (first % width).any() or not np.array_equal(rows, first[:, None] + np.arange(width)):
        return None
    return first // width


def strided(places: Map, shape: Shape, axes: Sequence[int]) -> tuple[Map, int] | None:
    """(place of the first element per row, stride) if ``axes`` run evenly and as one block.

    The memory is then (outer, chosen, stride), chosen being the product of the sizes of ``axes``.
    """
    rows = moved_last(places, shape, axes)
    count = rows.shape[1]
    stride = int(rows[0, 1] - rows[0, 0]) if count > 1 else len(rows)
    first = rows[:, 0]
    if stride < 1 or not np.array_equal(rows, first[:, None] + stride * np.arange(count)):
        return None
    if ((first // stride) % count).any():
        return None
    return first, stride


def strides(places: Map, shape: Shape) -> tuple[int, ...] | None:
    """The stride of each axis, if the element ``(i, j, ...)`` lies at ``i * s + j * t + ...``.

    >>> strides(channels_last((1, 2, 3)), (1, 2, 3)), strides(channels_last((1, 2, 3)), (1, 6))
    ((0, 1, 2), None)
    """
    steps = [
        int(np.take(places.reshape(shape), 1, axis).flat[0]) if size > 1 else 0
        for axis, size in enumerate(shape)
    ]
    made = np.zeros(shape, np.int64)
    for axis, (step, size) in enumerate(zip(steps, shape, strict=True)):
        made += step * np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return tuple(steps) if np.array_equal(made.reshape(-1), places) else None


def permutation(source: Map) -> tuple[Shape, tuple[int, ...]] | None:
    """(shape, perm): ``new.flat[i] = old.flat[source[i]]`` as a transpose of ``old`` in ``shape``.

    None where no transpose of at most MAX_AXES axes does it.

    >>> permutation(np.array([0, 2, 4, 1, 3, 5]))
    ((3, 2), (1, 0))
    """
    loops = runs(source)
    order = sorted(range(len(loops)), key=lambda i: (-loops[i][1], i))
    shape = tuple(loops[i][0] for i in order)
    perm = tuple(order.index(i) for i in range(len(loops)))
    if prod(shape) != source.size or len(shape) > MAX_AXES:
        return None
    made = identity(source.size).reshape(shape).transpose(perm).reshape(-1)
    return (shape, perm) if np.array_equal(made, source) else None


def runs(source: Map) -> list[tuple[int, int]]:
    """(length, stride) of each nested loop, outermost first; what is no loop is left out."""
    found: list[tuple[int, int]] = []
    heads = source
    while len(heads) > 1:
        steps = np.diff(heads)
        stride = int(steps[0])
        other = np.flatnonzero(steps != stride)
        length = int(other[0]) + 1 if len(other) else len(heads)
        if len(heads) % length or length == 1:
            break
        found.insert(0, (length, stride))
        heads = heads[::length]
    return found
