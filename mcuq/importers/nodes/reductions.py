"""Means, extrema and sums over axes, softmax and argmax."""

from __future__ import annotations

import math
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand, axis_of, from_rows, rows
from mcuq.importers.nodes.elementwise import times, with_constant
from mcuq.importers.nodes.layout import Map
from mcuq.ir import Array, Shape

NO_CLIP = (-math.inf, math.inf)


def reduce_mean(call: NodeCall) -> Value:
    """ReduceMean: an average over one window."""
    return pooled(call, "avg_pool2d", call.value(), *reduced_axes(call))


def reduce_max(call: NodeCall) -> Value:
    """ReduceMax: a maximum over one window."""
    return pooled(call, "max_pool2d", call.value(), *reduced_axes(call))


def reduce_min(call: NodeCall) -> Value:
    """ReduceMin: the maximum of the negative, with its sign turned."""
    axes, keep = reduced_axes(call)
    below = times(call.part("negative"), call.value(), -1.0)
    largest = pooled(call.part("largest"), "max_pool2d", below, axes, keep)
    return times(call, largest, -1.0)


def global_average(call: NodeCall) -> Value:
    """GlobalAveragePool over all axes after the channels."""
    return pooled(call, "avg_pool2d", call.value(), spatial(call), True)


def global_max(call: NodeCall) -> Value:
    """GlobalMaxPool over all axes after the channels."""
    return pooled(call, "max_pool2d", call.value(), spatial(call), True)


def spatial(call: NodeCall) -> tuple[int, ...]:
    """The axes after the channels."""
    rank = len(call.value().shape)
    if rank < 3:
        raise Refused("a global pool without spatial axes", "Use data of shape (N, C, H, W)")
    return tuple(range(2, rank))


def reduced_axes(call: NodeCall) -> tuple[tuple[int, ...], bool]:
    """(the axes to reduce, whether they stay as 1)."""
    rank, keep = len(call.value().shape), bool(call.integer("keepdims", 1))
    axes = call.axes(1, rank)
    if not axes and call.integer("noop_with_empty_axes", 0):
        return (), True
    return tuple(sorted(axes or range(rank))), keep


def pooled(call: NodeCall, op: str, value: Value, axes: tuple[int, ...], keep: bool) -> Value:
    """The mean or the maximum over ``axes``, which stay as 1 if ``keep``."""
    builder = call.builder
    sizes = [1 if a in axes else s for a, s in enumerate(value.shape)]
    shape = tuple(s for a, s in enumerate(sizes) if keep or a not in axes)
    if prod(shape) == prod(value.shape):
        return replace(value, shape=shape)
    if value.tensor in builder.open and len(value.shape) in (3, 4) and value.shape[0] == 1:
        call.image(value)
    first, tensor, kernel = _window(call, value, axes)
    depth = builder.tensors[tensor].shape[-1]
    common = {"kernel": kernel, "strides": (1, 1), "pads": (0, 0, 0, 0)}
    if op == "avg_pool2d":
        made = call.emit(op, (tensor,), include_pad=False, clip=NO_CLIP, **common)
    else:
        made = call.emit(op, (tensor,), dilations=(1, 1), **common)
    block = kernel[0] * kernel[1] * depth
    places = first // block * depth + first % depth
    return Value(shape, made, places)


def _window(
    call: NodeCall, value: Value, axes: tuple[int, ...]
) -> tuple[Map, str, tuple[int, int]]:
    """(places of the first elements, (1, h, w, depth) tensor, kernel) of a mean over ``axes``."""
    builder, shape = call.builder, value.shape
    total = prod(shape)
    count = prod(shape[a] for a in axes)
    if value.tensor not in builder.open:
        found = layout.strided(builder.places(value), shape, axes)
        if found is not None:
            first, stride = found
            outer = total // (count * stride)
            memory = _memory(shape, axes, outer, count, stride)
            return first, builder.shaped(value.tensor, memory), _kernel(memory, outer)
    rest = [a for a in range(len(shape)) if a not in axes]
    wanted = layout.with_axes(shape, [*axes, *rest])
    depth = total // count
    memory = _memory(shape, axes, 1, count, depth)
    tensor = builder.place(value, wanted, memory)
    return layout.identity(depth), tensor, _kernel(memory, 1)


def _memory(
    shape: tuple[int, ...], axes: tuple[int, ...], outer: int, count: int, depth: int
) -> tuple[int, int, int, int]:
    if outer > 1:
        return (1, outer, count, depth)
    if len(axes) == 2:
        return (1, shape[axes[0]], shape[axes[1]], depth)
    return (1, 1, count, depth)


def _kernel(memory: tuple[int, int, int, int], outer: int) -> tuple[int, int]:
    return (1, memory[2]) if outer > 1 else (memory[1], memory[2])


def softmax(call: NodeCall) -> Value:
    """Softmax and LogSoftmax over one axis; of a part, by attributes that ``masks`` gives."""
    value, mask, added = call.value(), call.attrs.get("mask"), call.attrs.get("added")
    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[call.op]
    axis = axis_of(call.integer("axis", -1), len(value.shape))
    if mask is not None:
        shape = np.broadcast_shapes(value.shape, mask.shape)
        if shape != value.shape:
            raise Refused(f"a mask of {mask.shape} for data of {value.shape}", "Expand the data")
    if added is not None:
        value = with_constant(call, "add", value, call.builder.constant, added)
    width, builder = value.shape[axis], call.builder
    if mask is None and prod(value.shape) == width and value.tensor not in builder.open:
        places = builder.places(value)  # any order will do for a single row
        flat = builder.shaped(value.tensor, (1, width))
        return Value(value.shape, call.emit(op, (flat,)), places)
    tensor, row, _ = rows(call, value, axis)
    masks = () if mask is None else (_mask_of(call, mask, value.shape, axis, row),)
    return from_rows(value.shape, axis, call.emit(op, (tensor, *masks)), row)


def _mask_of(call: NodeCall, mask: Array, shape: Shape, axis: int, row: Map) -> str:
    """The mask as a constant of as few rows as repeat, in the order of memory."""
    wide = np.moveaxis(np.broadcast_to(mask, shape), axis, -1).reshape(len(row), shape[axis])
    if not bool(wide.any(axis=1).all()):
        raise Refused("a mask that leaves nothing of a row", "Leave at least one value of each row")
    lying = np.empty(wide.shape, np.float64)
    lying[row] = wide
    counts = (n for n in range(1, len(row) + 1) if len(row) % n == 0)
    count = next(n for n in counts if np.array_equal(lying, np.resize(lying[:n], lying.shape)))
    return call.builder.constant(f"{call.outputs[0]}.mask", lying[:count])


def argmax(call: NodeCall) -> Value:
    """ArgMax over one axis, the first of equal values or the last."""
    return _index(call, call.value(), call.integer("axis", 0), bool(call.integer("keepdims", 1)))


def argmin(call: NodeCall) -> Value:
    """ArgMin over one axis: the index of the largest negative."""
    below = times(call.part("negative"), call.value(), -1.0)
    return _index(call, below, call.integer("axis", 0), bool(call.integer("keepdims", 1)))


def _index(call: NodeCall, value: Value, given: int, keep: bool) -> Value:
    axis = axis_of(given, len(value.shape))
    tensor, row, _ = rows(call, value, axis)
    last = {"last": True} if call.integer("select_last_index", 0) else {}
    made = call.emit("argmax", (tensor,), **last)
    sizes = [1 if a == axis else s for a, s in enumerate(value.shape)]
    shape = tuple(s for a, s in enumerate(sizes) if keep or a != axis)
    return Value(shape, made, np.asarray(row, np.int64))


def hardmax(call: NodeCall) -> Value:
    """Hardmax over one axis: 1 at the first largest value."""
    value = call.value()
    axis = axis_of(call.integer("axis", -1), len(value.shape))
    tensor, row, _ = rows(call, value, axis)
    return from_rows(value.shape, axis, call.emit("hardmax", (tensor,)), row)


def top(call: NodeCall) -> list[Operand]:
    """TopK: the largest (or smallest) values of an axis in order, and their indices."""
    given = call.attrs.get("k")
    count = int(call.constant(1).reshape(-1)[0]) if given is None else int(given)
    return _first(call) if count == 1 else _several(call, count)


def _several(call: NodeCall, count: int) -> list[Operand]:
    """The largest values in falling order, the smallest in rising order."""
    value, largest = call.value(), bool(call.integer("largest", 1))
    axis = axis_of(call.integer("axis", -1), len(value.shape))
    if not 0 < count <= value.shape[axis]:
        raise Refused(
            f"TopK of {count} among {value.shape[axis]}", "Take at least one, at most all"
        )
    signed = value if largest else times(call.part("negative"), value, -1.0)
    tensor, row, _ = rows(call, signed, axis)
    shape = (*value.shape[:axis], count, *value.shape[axis + 1 :])
    found: list[Operand] = []
    for index, name in enumerate(call.outputs):
        if name and index == 0:
            own = call if largest else call.part("largest")
            made = own.emit("top_values", (tensor,), count=count)
            extreme = from_rows(shape, axis, made, row)
            found.append(extreme if largest else times(call, extreme, -1.0))
        elif name:
            own = replace(call, name=f"{call.name}.index", outputs=(name,))
            made = own.emit("top_indices", (tensor,), count=count)
            found.append(from_rows(shape, axis, made, row))
    return found


def _first(call: NodeCall) -> list[Operand]:
    """TopK of one."""
    value, largest = call.value(), bool(call.integer("largest", 1))
    axis = axis_of(call.integer("axis", -1), len(value.shape))
    signed = value if largest else times(call.part("negative"), value, -1.0)
    found: list[Operand] = []
    for index, name in enumerate(call.outputs):
        if name and index == 0:
            own = call if largest else call.part("largest")
            extreme = pooled(own, "max_pool2d", signed, (axis,), True)
            found.append(extreme if largest else times(call, extreme, -1.0))
        elif name:
            indices = replace(call, name=f"{call.name}.index", outputs=(name,), attrs={})
            found.append(_index(indices, signed, axis, True))
    return found
