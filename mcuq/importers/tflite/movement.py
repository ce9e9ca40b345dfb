"""Views, copies and selections: what moves data and computes nothing."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.importers.builder import Refused
from mcuq.importers.tflite.writer import Call

Results = list[str]


def as_result(call: Call) -> Results:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the data in the result's own shape."""
    if prod(call.shape(0)) != prod(call.result().shape):
        raise Refused("its shapes hold different numbers of elements", "Convert it again")
    shape = call.writer.integers(call.result().shape)
    return [call.node("Reshape", [call.value(0), shape])]


def same(call: Call) -> Results:
    """QUANTIZE, DEQUANTIZE and the like: another scale, the same numbers."""
    return [call.value(0)]


def cast(call: Call) -> Results:
    """CAST between numbers that are read as reals; others truncate, which is refused."""
    source, wanted = call.tensor(0), call.result()
    if wanted.type.startswith("float") or (source.data is not None):
        return [call.value(0)]
    if source.type == wanted.type or not source.type.startswith("float"):
        return [call.value(0)]
    raise Refused(f"it truncates to {wanted.type}", "Let data stay float32")


def transpose(call: Call) -> Results:
    return [call.writer.transposed(call.value(0), call.ints(1), call.name)]


def pad(call: Call) -> Results:
    """PAD and PADV2: pads (rank, 2)."""
    edges = call.ints(1)
    pads = call.writer.integers([*edges[0::2], *edges[1::2]])
    if call.op == "MIRROR_PAD":
        mode = "reflect" if call.integer("Mode") == 0 else "symmetric"
        if mode == "symmetric":
            raise Refused("it mirrors the edge itself (SYMMETRIC)", "Use mode REFLECT")
        return [call.node("Pad", [call.value(0), pads], mode=mode)]
    inputs = [call.value(0), pads]
    if call.has(2):
        inputs.append(call.writer.constant(call.reals(2).reshape(()), "value"))
    return [call.node("Pad", inputs)]


def concatenation(call: Call) -> Results:
    values = [call.value(index) for index in range(len(call.operator.inputs))]
    return [call.activated(call.node("Concat", values, axis=call.integer("Axis")))]


def pack(call: Call) -> Results:
    """PACK: the operands along a new axis."""
    axis = call.writer.integers([call.integer("Axis")])
    count = len(call.operator.inputs)
    rows = [call.node("Unsqueeze", [call.value(i), axis]) for i in range(count)]
    return [call.node("Concat", rows, axis=call.integer("Axis"))]


def unpack(call: Call) -> Results:
    """UNPACK: the slices along an axis, without it."""
    axis = call.integer("Axis", 0) % len(call.shape(0))
    results = []
    for index in range(len(call.operator.outputs)):
        part = _slice(call, call.value(0), [index], [index + 1], [axis], [1])
        results.append(call.node("Squeeze", [part, call.writer.integers([axis])]))
    return results


def split(call: Call) -> Results:
    """SPLIT(axis, data): equal parts."""
    count = len(call.operator.outputs)
    axis = call.ints(0)[0] % len(call.shape(1))
    size = call.shape(1)[axis] // count
    return _parts(call, call.value(1), axis, [size] * count)


def split_v(call: Call) -> Results:
    """SPLIT_V(data, sizes, axis); one size may be -1, the rest."""
    sizes, axis = call.ints(1), call.ints(2)[0] % len(call.shape(0))
    rest = call.shape(0)[axis] - sum(s for s in sizes if s >= 0)
    return _parts(call, call.value(0), axis, [s if s >= 0 else rest for s in sizes])


def _parts(call: Call, value: str, axis: int, sizes: list[int]) -> Results:
    starts = np.cumsum([0, *sizes])
    return [
        _slice(call, value, [int(start)], [int(start) + size], [axis], [1])
        for start, size in zip(starts, sizes, strict=False)
    ]


def slice_(call: Call) -> Results:
    """SLICE(data, begin, size); a size of -1 is the rest."""
    begins, sizes = call.ints(1), call.ints(2)
    ends = [
        begin + size if size >= 0 else whole
        for begin, size, whole in zip(begins, sizes, call.shape(0), strict=True)
    ]
    return [_slice(call, call.value(0), begins, ends, list(range(len(begins))), [1] * len(begins))]


def strided_slice(call: Call) -> Results:
    """STRIDED_SLICE(data, begin, end, strides) with its five masks, as Python slices."""
    shape = call.shape(0)
    begins, ends, steps = call.ints(1), call.ints(2), call.ints(3)
    masks = ("BeginMask", "EndMask", "ShrinkAxisMask")
    first, final, shrunk = (call.integer(name, 0) for name in masks)
    if call.integer("EllipsisMask", 0) or call.integer("NewAxisMask", 0):
        raise Refused("it uses '...' or adds axes", "Slice with explicit bounds")
    if call.operator.options.get("Offset"):
        ends = [begin + end for begin, end in zip(begins, ends, strict=True)]
    bounds: list[tuple[int, int, int]] = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if step == 0:
            raise Refused("it has a stride of 0", "Convert the model again")
        if shrunk >> axis & 1:
            place = begin % shape[axis]
            bounds.append((place, place + 1, 1))
            continue
        window = slice(
            None if first >> axis & 1 else begin, None if final >> axis & 1 else end, step
        )
        start, stop, stride = window.indices(shape[axis])
        bounds.append((start, stop if stop >= 0 else -shape[axis] - 1, stride))
    starts, stops, strides = (list(column) for column in zip(*bounds, strict=True))
    made = _slice(call, call.value(0), starts, stops, list(range(len(starts))), strides)
    gone = [axis for axis in range(len(starts)) if shrunk >> axis & 1]
    return [call.node("Squeeze", [made, call.writer.integers(gone)]) if gone else made]


def _slice(
    call: Call, value: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int]
) -> str:
    bounds = [call.writer.integers(values) for values in (starts, ends, axes, steps)]
    return call.node("Slice", [value, *bounds])


def gather(call: Call) -> Results:
    """GATHER with constant places."""
    if call.integer("BatchDims", 0):
        raise Refused("it gathers by batch", "Use BatchDims 0")
    places = call.writer.constant(call.array(1).astype(np.int64), "places")
    return [call.node("Gather", [call.value(0), places], axis=call.integer("Axis", 0))]


def tile(call: Call) -> Results:
    return [call.node("Tile", [call.value(0), call.writer.integers(call.ints(1))])]


def broadcast_to(call: Call) -> Results:
    shape = call.writer.integers(call.result().shape)
    return [call.node("Expand", [call.value(0), shape])]


def reverse(call: Call) -> Results:
    axes = [axis % len(call.shape(0)) for axis in call.ints(1)]
    starts, ends = [-1] * len(axes), [-(1 << 31)] * len(axes)
    return [_slice(call, call.value(0), starts, ends, axes, [-1] * len(axes))]


def space_to_depth(call: Call) -> Results:
    """(N, H, W, C) -> (N, H/b, W/b, b * b * C), as two views and a transposition."""
    n, h, w, c = call.shape(0)
    b = _block(call)
    wide = call.writer.integers([n, h // b, b, w // b, b, c])
    value = call.node("Reshape", [call.value(0), wide])
    return _depth(call, value)


def depth_to_space(call: Call) -> Results:
    """(N, H, W, b * b * C) -> (N, H * b, W * b, C), as two views and a transposition."""
    n, h, w, c = call.shape(0)
    b = _block(call)
    wide = call.writer.integers([n, h, w, b, b, c // (b * b)])
    return _depth(call, call.node("Reshape", [call.value(0), wide]))


def _depth(call: Call, value: str) -> Results:
    moved = call.writer.transposed(value, (0, 1, 3, 2, 4, 5), call.name)
    return [call.node("Reshape", [moved, call.writer.integers(call.result().shape)])]


def _block(call: Call) -> int:
    block = call.integer("BlockSize")
    if block < 1:
        raise Refused("its block is below 1", "Convert the model again")
    return block


def shape(call: Call) -> Results:
    """SHAPE: known before anything runs."""
    return [call.writer.integers(call.shape(0))]


def fill(call: Call) -> Results:
    """FILL(shape, value) with a constant value."""
    return [call.writer.constant(np.full(call.result().shape, call.reals(1).reshape(())), "fill")]
