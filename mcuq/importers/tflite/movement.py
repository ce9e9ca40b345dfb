"""Views, copies and selections: what moves data and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import TensorProto

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.writer import OperatorCall
from mcuq.ir import Array, shape_with

Results = list[str]


def as_result(call: OperatorCall) -> Results:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the data in the result's own shape."""
    if prod(call.shape(0)) != prod(call.result().shape):
        raise Refused("its shapes hold different numbers of elements", "Convert it again")
    return [call.reshaped(call.value(0), call.result().shape)]


def same(call: OperatorCall) -> Results:
    """QUANTIZE, DEQUANTIZE and the like: another scale, the same numbers."""
    return [call.value(0)]


def cast(call: OperatorCall) -> Results:
    """CAST: of integers what is stored, without their scale; of reals what is left of the point."""
    source, wanted = call.tensor(0), call.result()
    same = (source.type, source.scales, source.zeros) == (wanted.type, wanted.scales, wanted.zeros)
    if same or (source.data is not None and not source.is_quantized):
        return [call.value(0)]
    value = call.value(0)
    if source.is_quantized:
        value = call.node("Div", [value, _one(call, source.scales)])
        value = call.node("Add", [value, _one(call, source.zeros)])
    if source.type.startswith("float") and not wanted.type.startswith("float"):
        value = call.node("Cast", [value], to=_integer(wanted.type))
    if wanted.type.startswith("float") or source.type.startswith("float"):
        value = call.node("Cast", [value], to=TensorProto.FLOAT)
    if wanted.is_quantized:
        value = call.node("Sub", [value, _one(call, wanted.zeros)])
        value = call.node("Mul", [value, _one(call, wanted.scales)])
    return [value]


def _one(call: OperatorCall, numbers: Sequence[float]) -> str:
    """The one scale or zero point of a tensor, as a constant."""
    return call.writer.constant(np.array(numbers[0], np.float32), "number")


def _integer(kind: str) -> int:
    """What a real is cast to on its way to ``kind``."""
    if kind == "bool":
        return TensorProto.BOOL
    return TensorProto.UINT64 if kind.startswith("u") else TensorProto.INT64


def transpose(call: OperatorCall) -> Results:
    return [call.writer.transposed(call.value(0), call.ints(1), call.name)]


def pad(call: OperatorCall) -> Results:
    """PAD and PADV2: pads (rank, 2)."""
    inputs = [call.value(0), _pads(call)]
    if call.has(2):
        inputs.append(call.writer.constant(call.reals(2).reshape(()), "value"))
    return [call.node("Pad", inputs)]


def _pads(call: OperatorCall) -> str:
    """ONNX has all beginnings before all ends."""
    edges = call.ints(1)
    return call.writer.integers([*edges[0::2], *edges[1::2]])


def mirror_pad(call: OperatorCall) -> Results:
    """MIRROR_PAD: REFLECT leaves the edge out, SYMMETRIC repeats it, which ONNX has no word for."""
    if call.integer("Mode", 0) == 0:
        return [call.node("Pad", [call.value(0), _pads(call)], mode="reflect")]
    edges, value = call.ints(1), call.value(0)
    for axis, (before, after) in enumerate(zip(edges[0::2], edges[1::2], strict=True)):
        size = call.shape(0)[axis]
        if not (0 <= before <= size and 0 <= after <= size):
            raise Refused("it mirrors more than there is", "Pad with less")
        if before or after:
            own = np.arange(size)
            order = np.concatenate([own[:before][::-1], own, own[size - after :][::-1]])
            places = call.writer.constant(order, "places")
            value = call.node("Gather", [value, places], axis=axis)
    return [value]


def concatenation(call: OperatorCall) -> Results:
    """CONCATENATION, of constants, too."""
    rank = len(call.result().shape)
    return [call.activated(_joined(call, call.integer("Axis") % rank))]


def pack(call: OperatorCall) -> Results:
    """PACK: the operands along a new axis."""
    return [_joined(call, call.integer("Axis", 0) % len(call.result().shape), new=True)]


def _joined(call: OperatorCall, axis: int, new: bool = False) -> str:
    """The operands along ``axis``. Constants are added to what data is padded with there."""
    count = len(call.operator.inputs)
    fixed = [call.is_constant(index) for index in range(count)]
    if all(fixed) or not any(fixed):
        values = [call.value(index) for index in range(count)]
        return call.node("Concat", _with_axis(call, values, axis) if new else values, axis=axis)
    sizes = [1 if new else call.shape(index)[axis] for index in range(count)]
    values, before = [], 0
    for index in range(count):
        if fixed[index]:
            before += sizes[index] if not values else 0
            continue
        after = 0
        for later in range(index + 1, count):
            if not fixed[later]:
                break
            after += sizes[later]
        (value,) = _with_axis(call, [call.value(index)], axis) if new else [call.value(index)]
        values.append(_widened(call, value, axis, before, after))
        before = 0
    joined = values[0] if len(values) == 1 else call.node("Concat", values, axis=axis)
    parts = [
        _real(call, index, axis, new)
        if fixed[index]
        else np.zeros(shape_with(call.result().shape, axis, sizes[index]))
        for index in range(count)
    ]
    whole = np.concatenate(parts, axis).astype(np.float32)
    return call.node("Add", [joined, call.writer.constant(whole, "constants")])


def _with_axis(call: OperatorCall, values: list[str], axis: int) -> list[str]:
    axes = call.writer.integers([axis])
    return [call.node("Unsqueeze", [value, axes]) for value in values]


def _widened(call: OperatorCall, value: str, axis: int, before: int, after: int) -> str:
    """``value`` with zeros around it along ``axis``."""
    if not before and not after:
        return value
    begins, ends = ([0] * len(call.result().shape) for _ in range(2))
    begins[axis], ends[axis] = before, after
    return call.node("Pad", [value, call.writer.integers([*begins, *ends])])


def _real(call: OperatorCall, index: int, axis: int, new: bool) -> Array:
    data = call.reals(index)
    return np.expand_dims(data, axis) if new else data


def unpack(call: OperatorCall) -> Results:
    """UNPACK: the slices along an axis, without it."""
    axis, count = call.integer("Axis", 0) % len(call.shape(0)), len(call.operator.outputs)
    parts = [_slice(call, call.value(0), [i], [i + 1], [axis], [1]) for i in range(count)]
    return [call.node("Squeeze", [part, call.writer.integers([axis])]) for part in parts]


def split(call: OperatorCall) -> Results:
    """SPLIT(axis, data): equal parts."""
    count = len(call.operator.outputs)
    axis = call.ints(0)[0] % len(call.shape(1))
    size = call.shape(1)[axis] // count
    return _parts(call, call.value(1), axis, [size] * count)


def split_v(call: OperatorCall) -> Results:
    """SPLIT_V(data, sizes, axis); one size may be -1, the rest."""
    sizes, axis = call.ints(1), call.ints(2)[0] % len(call.shape(0))
    rest = call.shape(0)[axis] - sum(s for s in sizes if s >= 0)
    return _parts(call, call.value(0), axis, [s if s >= 0 else rest for s in sizes])


def _parts(call: OperatorCall, value: str, axis: int, sizes: list[int]) -> Results:
    starts = np.cumsum([0, *sizes])
    return [
        _slice(call, value, [int(start)], [int(start) + size], [axis], [1])
        for start, size in zip(starts, sizes, strict=False)
    ]


def slice_(call: OperatorCall) -> Results:
    """SLICE(data, begin, size); a size of -1 is the rest."""
    begins = call.ints(1)
    operands = zip(begins, call.ints(2), call.shape(0), strict=True)
    ends = [begin + size if size >= 0 else whole for begin, size, whole in operands]
    return [_slice(call, call.value(0), begins, ends, list(range(len(begins))), [1] * len(begins))]


def strided_slice(call: OperatorCall) -> Results:
    """STRIDED_SLICE(data, begin, end, strides) with its five masks, as Python slices."""
    bounds: list[tuple[int, int, int]] = []
    shape: list[int] = []
    for what in _subscripts(call):
        if what is None:
            shape.append(1)
            continue
        size = call.shape(0)[len(bounds)]
        if isinstance(what, int):
            if not -size <= what < size:
                raise Refused(f"its place {what} lies outside", "Convert the model again")
            bounds.append((what % size, what % size + 1, 1))
            continue
        start, stop, step = what.indices(size)
        shape.append(len(range(start, stop, step)))
        bounds.append((start, stop if stop >= 0 else -size - 1, step))
    starts, stops, strides = (list(column) for column in zip(*bounds, strict=True))
    value = _slice(call, call.value(0), starts, stops, list(range(len(starts))), strides)
    if len(shape) == len(bounds) and not any(isinstance(w, int) for w in _subscripts(call)):
        return [value]
    return [call.reshaped(value, shape)]


def _subscripts(call: OperatorCall) -> list[slice | int | None]:
    """What stands between the brackets, '...' and left-out axes as slices of everything."""
    begins, ends, steps = call.ints(1), call.ints(2), call.ints(3)
    masks = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")
    first, final, dots, added, shrunk = (call.integer(name, 0) for name in masks)
    if call.operator.options.get("Offset"):
        ends = [begin + end for begin, end in zip(begins, ends, strict=True)]
    found: list[slice | int | None] = []
    count = len(begins)
    own = sum(1 for i in range(count) if not (dots >> i | added >> i) & 1)
    rest = [slice(None)] * (len(call.shape(0)) - own)
    for place, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if dots >> place & 1:
            found += rest
            rest = []
        elif added >> place & 1:
            found.append(None)
        elif shrunk >> place & 1:
            found.append(begin)
        elif step == 0:
            raise Refused("it has a stride of 0", "Convert the model again")
        else:
            low = None if first >> place & 1 else begin
            found.append(slice(low, None if final >> place & 1 else end, step))
    return [*found, *rest]


def _slice(
    call: OperatorCall,
    value: str,
    starts: list[int],
    ends: list[int],
    axes: list[int],
    steps: list[int],
) -> str:
    bounds = [call.writer.integers(values) for values in (starts, ends, axes, steps)]
    return call.node("Slice", [value, *bounds])


def gather(call: OperatorCall) -> Results:
    """GATHER: rows of the data, or of a constant table."""
    if call.integer("BatchDims", 0):
        raise Refused("it gathers by batch", "Use BatchDims 0")
    return [_gathered(call, 0, 1, call.integer("Axis", 0))]


def embedding_lookup(call: OperatorCall) -> Results:
    """EMBEDDING_LOOKUP(places, table)."""
    return [_gathered(call, 1, 0, 0)]


def _gathered(call: OperatorCall, data: int, places: int, axis: int) -> str:
    index = call.places(places) if call.is_constant(places) else call.value(places)
    return call.node("Gather", [call.value(data), index], axis=axis)


def gather_nd(call: OperatorCall) -> Results:
    """GATHER_ND with constant places."""
    return [call.node("GatherND", [call.value(0), call.places(1)])]


def scatter_nd(call: OperatorCall) -> Results:
    """SCATTER_ND(places, updates, shape): what lands on one place is added up."""
    nothing = call.writer.constant(np.zeros(call.result().shape, np.float32), "nothing")
    return [call.node("ScatterND", [nothing, call.places(0), call.value(1)], reduction="add")]


def update_slice(call: OperatorCall) -> Results:
    """DYNAMIC_UPDATE_SLICE(data, update, first place), the place a constant."""
    data, update = call.shape(0), call.shape(1)
    first = [
        min(max(place, 0), whole - part)
        for place, whole, part in zip(call.ints(2), data, update, strict=True)
    ]
    places = np.moveaxis(np.indices(update), 0, -1) + np.array(first)
    index = call.writer.constant(places.astype(np.int64), "places")
    return [call.node("ScatterND", [call.value(0), index, call.value(1)])]


def reverse_sequence(call: OperatorCall) -> Results:
    """REVERSE_SEQUENCE with constant lengths."""
    inputs = [call.value(0), call.writer.integers(call.ints(1))]
    batch, time = call.integer("BatchDim"), call.integer("SeqDim")
    return [call.node("ReverseSequence", inputs, batch_axis=batch, time_axis=time)]


def one_hot(call: OperatorCall) -> Results:
    """ONE_HOT(places, depth, on, off) of constant places."""
    places, depth = call.array(0), call.ints(1)[0]
    axis = call.integer("Axis", -1) % (places.ndim + 1)
    row = [1] * (places.ndim + 1)
    row[axis] = -1
    chosen = np.expand_dims(places, axis) == np.arange(depth).reshape(row)
    high, low = (call.reals(index).reshape(()) for index in (2, 3))
    return [call.writer.constant(np.where(chosen, high, low).astype(np.float32), "one hot")]


def top_k(call: OperatorCall) -> Results:
    """TOPK_V2 along the last axis, the largest first."""
    count = call.writer.integers(call.ints(1))
    name = call.node("TopK", [call.value(0), count])
    return [name, call.writer.further(name)]


def tile(call: OperatorCall) -> Results:
    return [call.node("Tile", [call.value(0), call.writer.integers(call.ints(1))])]


def broadcast_to(call: OperatorCall) -> Results:
    shape = call.writer.integers(call.result().shape)
    return [call.node("Expand", [call.value(0), shape])]


def reverse(call: OperatorCall) -> Results:
    axes = [axis % len(call.shape(0)) for axis in call.ints(1)]
    starts, ends = [-1] * len(axes), [-(1 << 31)] * len(axes)
    return [_slice(call, call.value(0), starts, ends, axes, [-1] * len(axes))]


def space_to_depth(call: OperatorCall) -> Results:
    """(N, H, W, C) -> (N, H/b, W/b, b * b * C), as two views and a transposition."""
    (n, h, w, c), b = call.shape(0), _block(call)
    return _depth(call, [n, h // b, b, w // b, b, c])


def depth_to_space(call: OperatorCall) -> Results:
    """(N, H, W, b * b * C) -> (N, H * b, W * b, C), as two views and a transposition."""
    (n, h, w, c), b = call.shape(0), _block(call)
    return _depth(call, [n, h, w, b, b, c // (b * b)])


def _depth(call: OperatorCall, wide: list[int]) -> Results:
    value = call.reshaped(call.value(0), wide)
    moved = call.writer.transposed(value, (0, 1, 3, 2, 4, 5), call.name)
    return [call.reshaped(moved, call.result().shape)]


def _block(call: OperatorCall) -> int:
    block = call.integer("BlockSize")
    if block < 1:
        raise Refused("its block is below 1", "Convert the model again")
    return block


def shape(call: OperatorCall) -> Results:
    """SHAPE: known before anything runs."""
    return [call.writer.integers(call.shape(0))]


def rank(call: OperatorCall) -> Results:
    """RANK: the number of axes."""
    return [call.writer.constant(np.array(len(call.shape(0)), np.int64), "rank")]


def zeros_like(call: OperatorCall) -> Results:
    return [call.writer.constant(np.zeros(call.shape(0), np.float32), "zeros")]


def fill(call: OperatorCall) -> Results:
    """FILL(shape, value) with a constant value."""
    return [call.writer.constant(np.full(call.result().shape, call.reals(1).reshape(())), "fill")]
