"""Weights that are stored sparse, as pruned models have them: what is left out is 0.

A tensor's axes are visited in ``TraversalOrder``, first those of the tensor, then those of the
blocks into which some are cut. An axis is dense, of a size, or lists the places that are stored
(``ArraySegments`` and ``ArrayIndices``, as in a compressed sparse row).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite

from mcuq.ir import Array, Shape


@dataclass(frozen=True, eq=False)
class _Axis:
    """One visited axis: ``size`` places, or those that ``indices`` lists."""

    size: int
    segments: Array | None = None
    indices: Array | None = None


def dense(raw: Any, values: Array, shape: Shape) -> Array:
    """The tensor of ``shape`` of which ``values`` are stored; ValueError if they do not fit."""
    order = _ints(raw.TraversalOrderAsNumpy())
    blocks = _ints(raw.BlockMapAsNumpy()) if raw.BlockMapLength() else []
    rank = len(shape)
    if sorted(order) != list(range(rank + len(blocks))) or len(order) != raw.DimMetadataLength():
        raise ValueError("a sparse tensor's axes do not fit its shape")
    if any(not 0 <= axis < rank for axis in blocks) or len(set(blocks)) != len(blocks):
        raise ValueError("a sparse tensor's blocks do not fit its shape")
    sizes = _sizes(raw, order, blocks, shape)
    axes = [_axis(raw.DimMetadata(i), sizes[axis]) for i, axis in enumerate(order)]
    places = _places(axes, len(values))
    if places.shape[1] != len(values):
        raise ValueError("a sparse tensor holds another number of values")
    index = [np.zeros(len(values), np.int64)] * len(order)
    for row, axis in zip(places, order, strict=True):
        index[axis] = row
    whole = list(index[:rank])
    for number, axis in enumerate(blocks):
        whole[axis] = whole[axis] * sizes[rank + number] + index[rank + number]
    found = np.zeros(shape, values.dtype)
    found[tuple(whole)] = values  # places outside are an IndexError
    return found


def _sizes(raw: Any, order: Sequence[int], blocks: Sequence[int], shape: Shape) -> list[int]:
    """The size of every axis, the tensor's counted in blocks; blocks are dense."""
    sizes = list(shape)
    for number, axis in enumerate(blocks):
        meta = raw.DimMetadata(order.index(len(shape) + number))
        size = int(meta.DenseSize())
        if size < 1 or sizes[axis] % size:
            raise ValueError("a sparse tensor's blocks do not divide it")
        sizes[axis] //= size
        sizes.append(size)
    return sizes


def _axis(meta: Any, size: int) -> _Axis:
    if meta.Format() == tflite.DimensionType.DENSE:
        if int(meta.DenseSize()) != size:
            raise ValueError("a sparse tensor's dense axis has another size")
        return _Axis(size)
    segments = _vector(meta.ArraySegmentsType(), meta.ArraySegments())
    indices = _vector(meta.ArrayIndicesType(), meta.ArrayIndices())
    rises = bool((np.diff(segments) >= 0).all()) and segments[0] == 0
    inside = bool(((indices >= 0) & (indices < size)).all())
    if not (rises and inside and segments[-1] == len(indices)):
        raise ValueError("a sparse tensor's places lie outside it")
    return _Axis(size, segments, indices)


def _vector(kind: int, table: Any) -> Array:
    kinds = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}
    vector = kinds[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64).reshape(-1)


def _places(axes: Sequence[_Axis], count: int) -> Array:
    """(axes, values): where each stored value lies; never more than ``count`` of them."""
    places = np.zeros((0, 1), np.int64)
    for axis in axes:
        before = places.shape[1]
        made = before * axis.size if axis.indices is None else len(axis.indices)
        if made > count:
            raise ValueError("a sparse tensor names more places than it stores values")
        parents, own = _children(axis, before)
        places = np.concatenate([places[:, parents], own[None]])
    return places


def _children(axis: _Axis, before: int) -> tuple[Array, Array]:
    """Of the places one axis further: which of ``before`` each belongs to, and its own index."""
    if axis.indices is None or axis.segments is None:
        return np.repeat(np.arange(before), axis.size), np.tile(np.arange(axis.size), before)
    if len(axis.segments) != before + 1:
        raise ValueError("a sparse tensor's segments do not fit")
    return np.repeat(np.arange(before), np.diff(axis.segments)), axis.indices


def _ints(values: Any) -> list[int]:
    return [int(value) for value in values]
