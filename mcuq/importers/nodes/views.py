"""Reshapes, which only change how a value is indexed; and concatenation."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.importers.nodes import functions, layout, logic
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, axis_of, in_order
from mcuq.importers.nodes.elementwise import settled, with_constant
from mcuq.ir import Array, Shape

_FLOATS = (1, 10, 11, 16)
_INTEGERS = {
    2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 12: "uint32",
    13: "uint64",
}  # fmt: skip
_SIGNED = (3, 5, 6, 7)
_BOOL = 9
_NUMBERS = (*_FLOATS, *_INTEGERS, _BOOL)


def same(call: NodeCall) -> Value:
    """Identity, Dropout at inference, and Cast between numbers."""
    if call.op == "Dropout" and len(call.outputs) > 1 and call.outputs[1]:
        raise Refused("Dropout with a mask", "Export the model in eval mode")
    training = call.operand(2) if call.op == "Dropout" else None
    if training is not None:
        ratio = call.optional(1)
        if bool(call.constant(2).any()) and (ratio is None or bool(ratio.any())):
            raise Refused("Dropout in training mode", "Export the model in eval mode")
    return call.value()


def cast(call: NodeCall) -> Value:
    """Cast of a number to a float or to a type that holds it, which changes nothing.

    Reals become integers by leaving out what follows the point. The indices of ArgMax may become
    any integer, and so may an input that nothing but a lookup reads. A truth value is 1 or 0; of a
    number, whether it is not 0.
    """
    value = call.value()
    if call.builder.is_index(value.tensor):
        return value
    target = call.integer("to", 1)
    source = call.kinds.get(call.names[0])
    if source is not None and source.element == _BOOL and target in _NUMBERS:
        return value
    if target == _BOOL:
        return value if source is not None and source.element == _BOOL else logic.truth(call)
    if target in _FLOATS or (source is not None and _holds(target, source.element)):
        return value
    if target in _INTEGERS and value.tensor in call.builder.order:
        call.builder.whole.add(value.tensor)
        return value
    if target in _INTEGERS and source is not None and source.real:
        return functions.cut(call, signed=target in _SIGNED)
    raise Refused("Cast to integers that do not hold all of the old", "Let data stay float32")


def _holds(target: int, source: int) -> bool:
    """Whether the integers of one type are all in the other."""
    try:
        wide, narrow = (np.iinfo(np.dtype(_INTEGERS[kind])) for kind in (target, source))
    except KeyError:
        return False
    return bool(wide.min <= narrow.min and narrow.max <= wide.max)


def reshape(call: NodeCall) -> Value:
    """Reshape to a constant shape."""
    value = call.value()
    wanted = [int(v) for v in call.constant(1).reshape(-1)]
    if not call.integer("allowzero", 0):
        if any(v == 0 and i >= len(value.shape) for i, v in enumerate(wanted)):
            raise Refused(f"Reshape to {wanted}: 0 copies an axis that is not there")
        wanted = [value.shape[i] if v == 0 else v for i, v in enumerate(wanted)]
    known = prod(v for v in wanted if v != -1)
    if -1 in wanted and known > 0 and prod(value.shape) % known == 0:
        wanted[wanted.index(-1)] = prod(value.shape) // known
    return _viewed(value, tuple(wanted))


def flatten(call: NodeCall) -> Value:
    """Flatten to two axes."""
    value = call.value()
    axis = call.integer("axis", 1)
    place = len(value.shape) if axis == len(value.shape) else axis_of(axis, len(value.shape))
    return _viewed(value, (prod(value.shape[:place]), prod(value.shape[place:])))


def squeeze(call: NodeCall) -> Value:
    """Squeeze axes of size 1."""
    value = call.value()
    rank = len(value.shape)
    axes = call.axes(1, rank)
    if axes is None:
        axes = tuple(a for a, size in enumerate(value.shape) if size == 1)
    return _viewed(value, tuple(s for a, s in enumerate(value.shape) if a not in axes))


def unsqueeze(call: NodeCall) -> Value:
    """Insert axes of size 1."""
    value = call.value()
    given = call.attrs.get("axes")
    places = np.asarray(call.constant(1) if given is None else given).reshape(-1)
    rank = len(value.shape) + len(places)
    shape = list(value.shape)
    axes = sorted(axis_of(int(a), rank) for a in places)
    if len(set(axes)) < len(axes):
        raise Refused(f"axes {tuple(axes)} name an axis twice", "Name each axis once")
    for axis in axes:
        shape.insert(axis, 1)
    return _viewed(value, tuple(shape))


def shape_of(call: NodeCall) -> Array:
    """Shape: a constant, as all shapes are known."""
    shape = call.value().shape
    start, end = call.integer("start", 0), call.integer("end", len(shape))
    return np.array(shape[start:end], np.int64)


def size_of(call: NodeCall) -> Array:
    """Size: a constant."""
    return np.array(prod(call.value().shape), np.int64)


def concat(call: NodeCall) -> Value:
    """Concat along any axis, of computed values and constants."""
    values = [v for v in call.inputs if isinstance(v, Value)]
    rank = len(values[0].shape)
    axis = axis_of(call.integer("axis", 0), rank)
    if len(values) < len(call.inputs):
        return _with_constants(call, axis)
    return _joined(call, values, axis)


def _with_constants(call: NodeCall, axis: int) -> Value:
    """Room for the constants around the values, which a sum then fills."""
    operands = [v if isinstance(v, Value) else call.constant(i) for i, v in enumerate(call.inputs)]
    last = max(i for i, v in enumerate(operands) if isinstance(v, Value))
    shapes = {(*v.shape[:axis], *v.shape[axis + 1 :]) for v in operands}
    if len(shapes) > 1:
        raise Refused(f"Concat of shapes {', '.join(str(v.shape) for v in operands)}")
    parts: list[Value] = []
    before = 0
    after = sum(v.shape[axis] for v in operands[last + 1 :])
    for index, operand in enumerate(operands):
        if isinstance(operand, Value):
            parts.append(_padded(call, operand, axis, before, after if index == last else 0))
            before = 0
        else:
            before += operand.shape[axis]
    zeros = [np.zeros(v.shape) if isinstance(v, Value) else v for v in operands]
    added = np.concatenate(zeros, axis)
    joined = _joined(call, parts, axis)
    if not bool(added.any()):
        return joined
    return with_constant(call, "add", joined, call.builder.constant, added)


def _padded(call: NodeCall, value: Value, axis: int, before: int, after: int) -> Value:
    """``value`` with so many zeros around it along ``axis``, in the order it lies in."""
    if not before and not after:
        return value
    value = settled(call, value)
    shape = value.shape
    order = layout.axes_of(call.builder.places(value), shape) or tuple(range(len(shape)))
    place = order.index(axis)
    outer, inner = ([shape[a] for a in part] for part in (order[:place], order[place + 1 :]))
    memory = (1, prod(outer), shape[axis], prod(inner))
    tensor = call.builder.place(value, layout.with_axes(shape, order), memory)
    pads = ((0, 0), (0, 0), (before, after), (0, 0))
    made = call.emit("pad", (tensor,), pads=pads, value=(0.0,))
    grown = tuple(s + (before + after) * (a == axis) for a, s in enumerate(shape))
    return Value(grown, made, layout.with_axes(grown, order))


def _joined(call: NodeCall, values: list[Value], axis: int) -> Value:
    """Computed values, one after the other along ``axis``."""
    rank = len(values[0].shape)
    rest = {(*v.shape[:axis], *v.shape[axis + 1 :]) for v in values}
    if len(rest) > 1:
        raise Refused(f"Concat of shapes {', '.join(str(v.shape) for v in values)}")
    if len(values) == 1:
        return values[0]
    outer = prod(values[0].shape[:axis])
    if outer == 1 and (rank in (1, 2) or rank > 4 or axis == 0):
        return _flat_concat(call, values, axis)
    images = rank == 4 or (rank == 3 and any(_is_image(call, v) for v in values))
    if images and values[0].shape[0] == 1:
        tensors = [call.image(v) for v in values]
        place = 3 if axis == 1 else axis - 1 + (4 - rank)
        return call.image_value(call.emit("concat", tensors, axis=place), rank)
    inner = prod(values[0].shape[axis + 1 :])
    tensors = [in_order(call, v, (1, outer, v.shape[axis], inner)) for v in values]
    made = call.emit("concat", tensors, axis=2)
    shape = list(values[0].shape)
    shape[axis] = sum(v.shape[axis] for v in values)
    return Value(tuple(shape), made, layout.identity(prod(shape)))


def _is_image(call: NodeCall, value: Value) -> bool:
    """Whether the 3-dimensional value lies with its channels last."""
    if value.tensor in call.builder.open:
        return False
    wanted = layout.channels_last(value.shape)
    return np.array_equal(call.builder.places(value), wanted)


def _flat_concat(call: NodeCall, values: list[Value], axis: int) -> Value:
    """One after the other in memory, each in its own order."""
    builder = call.builder
    tensors, views, start = [], [], 0
    for value in values:
        count = prod(value.shape)
        if value.tensor in builder.open:
            builder.settle(value, layout.identity(count), (1, count))
        tensors.append(builder.shaped(value.tensor, (1, count)))
        views.append(builder.places(value) + start)
        start += count
    made = call.emit("concat", tensors, axis=1)
    shape = list(values[0].shape)
    shape[axis] = sum(v.shape[axis] for v in values)
    return Value(tuple(shape), made, np.concatenate(views))


def _viewed(value: Value, shape: Shape) -> Value:
    if prod(shape) != prod(value.shape) or min(shape, default=1) < 1:
        raise Refused(
            f"a view of {value.shape} as {shape}",
            "Export the model with batch size 1, or write the batch as -1 in reshapes",
        )
    return Value(shape, value.tensor, value.view)
