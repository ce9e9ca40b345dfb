"""Nodes that work element by element: any layout will do, as long as the operands agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, in_order
from mcuq.importers.nodes.layout import plain_shape
from mcuq.importers.nodes.movement import taken
from mcuq.ir import Array, Shape, Tensor
from mcuq.ops.parts import broadcast

NO_CLIP = (-math.inf, math.inf)
Attributes = Callable[[NodeCall], dict[str, Any]]


def unary(op: str, attributes: Attributes = lambda call: {}) -> Callable[[NodeCall], Value]:
    """A handler for a function of one value."""

    def handler(call: NodeCall) -> Value:
        value = settled(call, call.value())
        tensor = call.emit(op, (value.tensor,), **attributes(call))
        return Value(value.shape, tensor, call.builder.places(value))

    return handler


def settled(call: NodeCall, value: Value) -> Value:
    """``value``; an input whose layout is still open gets the usual one, channels last."""
    builder = call.builder
    if value.tensor in builder.open:
        if len(value.shape) == 4 and value.shape[0] == 1:
            call.image(value)
        else:
            in_order(call, value, plain_shape(value.shape))
    return value


def clip(call: NodeCall) -> Value:
    """Clip, its limits attributes or constant inputs."""
    low, high = call.attrs.get("min"), call.attrs.get("max")
    limits = [low, high]
    for index in (1, 2):
        given = call.optional(index)
        if given is not None:
            limits[index - 1] = float(given.reshape(-1)[0]) if given.size else None
    bounds = (
        -math.inf if limits[0] is None else float(limits[0]),
        math.inf if limits[1] is None else float(limits[1]),
    )
    if any(math.isnan(bound) for bound in bounds):
        raise Refused(f"Clip from {bounds[0]} to {bounds[1]}", "Repair its limits")
    return clip_to(min(bounds), bounds[1])(call)


def extremum(largest: bool) -> Callable[[NodeCall], Value]:
    """A handler for Max (``largest``) and Min: one number among the operands is a limit."""
    op, join = ("maximum", np.maximum) if largest else ("minimum", np.minimum)

    def handler(call: NodeCall) -> Value:
        values, constant = _operands(call, join)
        if constant is None:
            return _chain(call, op, values)
        single = constant.size and bool((constant == constant.flat[0]).all())
        found = _chain(call.part("of_values"), op, values)
        if not single:
            return with_constant(call, op, found, call.builder.constant, constant)
        seen = settled(call, reshaped(found, constant.shape))
        limit = float(constant.flat[0])
        span = (limit, math.inf) if largest else (-math.inf, limit)
        tensor = call.emit("clip", (seen.tensor,), low=span[0], high=span[1])
        return Value(seen.shape, tensor, call.builder.places(seen))

    return handler


def _operands(
    call: NodeCall, join: Callable[[Array, Array], Array]
) -> tuple[list[Value], Array | None]:
    """The computed operands of any number, and what ``join`` makes of the constants."""
    numbers = [i for i in call.inputs if isinstance(i, np.ndarray)]
    values = [i for i in call.inputs if isinstance(i, Value)]
    return values, reduce(join, numbers) if numbers else None


def _chain(call: NodeCall, op: str, values: Sequence[Value]) -> Value:
    """``op`` of the first two, of the result and the third, and so on."""
    found = values[0]
    for index, value in enumerate(values[1:], 2):
        last = index == len(values)
        found = combined(call if last else call.part(f"of_{index}"), op, found, value)
    return found


def total(call: NodeCall) -> Value:
    """Sum of any number of operands."""
    values, constant = _operands(call, np.add)
    if constant is None:
        return _chain(call, "add", values)
    found = _chain(call.part("of_values"), "add", values)
    return with_constant(call, "add", found, call.builder.constant, constant)


def mean(call: NodeCall) -> Value:
    """Mean of any number of operands."""
    if len(call.inputs) == 1:
        return call.value()
    whole = total(call.part("sum", *call.inputs))
    return times(call, whole, 1.0 / len(call.inputs))


def times(call: NodeCall, value: Value, factor: float) -> Value:
    """``value`` times one number."""
    return with_constant(call, "mul", value, call.builder.constant, np.array(factor))


def reshaped(value: Value, beside: Shape) -> Value:
    """``value`` in the shape that it has beside a constant, which may have more axes of 1."""
    shape = tuple(int(size) for size in np.broadcast_shapes(value.shape, beside))
    if prod(shape) != prod(value.shape):
        raise Refused("a constant that is larger than the data", "Let the data be the larger")
    return Value(shape, value.tensor, value.view)


def clip_to(low: float, high: float) -> Callable[[NodeCall], Value]:
    """A handler that limits its input to [low, high]."""
    return unary("clip", lambda call: {"low": low, "high": high})


def elu(call: NodeCall) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 1.0)}


def leaky(call: NodeCall) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 0.01)}


def hard_sigmoid(call: NodeCall) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 0.2), "beta": call.real("beta", 0.5)}


def gelu(call: NodeCall) -> dict[str, Any]:
    return {"approximate": call.text("approximate", "none")}


def swish(call: NodeCall) -> dict[str, Any]:
    alpha = call.real("alpha", 1.0)
    return {} if alpha == 1.0 else {"rate": alpha}


def negative(call: NodeCall) -> Value:
    """Neg: a product with -1."""
    return named_constant(call, "mul", call.value(), np.array(-1.0), False)


def binary(op: str) -> Callable[[NodeCall], Value]:
    """A handler for add, sub and mul; one operand may be a constant."""

    def handler(call: NodeCall) -> Value:
        a, b = call.operand(0), call.operand(1)
        if isinstance(a, Value) and isinstance(b, Value):
            return combined(call, op, a, b)
        if isinstance(a, Value):
            return named_constant(call, op, a, call.constant(1), False)
        return named_constant(call, op, call.value(1), call.constant(0), True)

    return handler


def applied(call: NodeCall, op: str, value: Value, **attrs: Any) -> Value:
    """A function of one value."""
    return unary(op, lambda _: attrs)(replace(call, inputs=(value,)))


def named_constant(call: NodeCall, op: str, value: Value, constant: Array, first: bool) -> Value:
    """``value`` and a constant, which is named as in the file."""
    index = 0 if first else 1

    def store(_: str, data: Array) -> str:
        return call.weights(index, data)

    return with_constant(call, op, value, store, constant, first)


def with_constant(
    call: NodeCall,
    op: str,
    value: Value,
    store: Callable[[str, Array], str],
    constant: Array,
    first: bool = False,
) -> Value:
    """``value`` and a constant, which ``store`` adds to the network; ``first``: it comes first."""
    shape = tuple(int(size) for size in np.broadcast_shapes(value.shape, constant.shape))
    name = f"{call.outputs[0]}.constant"
    if prod(shape) != prod(value.shape):
        return _spread_constant(call, op, value, constant, first)
    seen = settled(call, Value(shape, value.tensor, value.view))
    builder = call.builder
    if constant.size == 1:
        data = constant.reshape((1,))
    else:
        lying = np.empty(prod(shape), np.float64)
        lying[builder.places(seen)] = np.broadcast_to(constant, shape).reshape(-1)
        data = _shrunk(lying.reshape(builder.memory(seen)))
    stored = store(name, data)
    operands = (stored, seen.tensor) if first else (seen.tensor, stored)
    tensor = call.emit(op, operands, clip=NO_CLIP)
    return Value(shape, tensor, builder.places(seen))


def _spread_constant(call: NodeCall, op: str, value: Value, constant: Array, first: bool) -> Value:
    """A constant that is larger than the data."""
    wide = constant.reshape((1,) * (len(value.shape) - constant.ndim) + constant.shape)
    view = layout.identity(wide.size)
    name = call.weights(0 if first else 1, wide.reshape(1, -1))
    pair = [value, Value(wide.shape, name, view)]
    return _spread(call, op, pair[::-1] if first else pair)


def _shrunk(data: Array) -> Array:
    """``data`` without the axes along which it repeats, as far as operators can spread it."""
    small = data
    for axis in range(data.ndim):
        head = small.take([0], axis)
        if bool((small == head).all()):
            small = head
    fits = broadcast.spread([data.shape, small.shape], data.shape) is not None
    return small if fits else data


def combined(call: NodeCall, op: str, a: Value, b: Value) -> Value:
    """``op`` of two computed operands."""
    shape = tuple(int(size) for size in np.broadcast_shapes(a.shape, b.shape))
    builder = call.builder
    left, right = (ranked(v, len(shape)) for v in (a, b))
    if left.shape != right.shape:
        return _spread(call, op, [left, right])
    if builder.tensors[right.tensor].data is not None:
        return with_constant(call, op, left, builder.constant, _numbers(call, right))
    if builder.tensors[left.tensor].data is not None:
        return with_constant(call, op, right, builder.constant, _numbers(call, left), True)
    if left.tensor in builder.open and right.tensor not in builder.open:
        builder.place(left, builder.places(right), builder.memory(right))
    left = settled(call, left)
    places, memory = builder.places(left), builder.memory(left)
    other = builder.place(right, places, memory)
    tensor = call.emit(op, (left.tensor, other), clip=NO_CLIP)
    return Value(shape, tensor, places)


def _numbers(call: NodeCall, value: Value) -> Array:
    """The data of a constant in its own order."""
    data = call.builder.tensors[value.tensor].data
    if data is None:
        raise TypeError(f"{value.tensor} is computed")
    return data.reshape(-1)[value.view].reshape(value.shape)


def _spread(call: NodeCall, op: str, values: Sequence[Value]) -> Value:
    """Two operands of different shapes, in the first order of axes that operators can spread."""
    rank = max(len(v.shape) for v in values)
    wide = [ranked(v, rank) for v in values]
    shape = tuple(max(sizes) for sizes in zip(*(v.shape for v in wide), strict=True))
    for axes in _orders(call, shape, wide):
        memories = _memories([tuple(v.shape[a] for a in axes) for v in wide])
        output = tuple(max(sizes) for sizes in zip(*memories, strict=True))
        if len(output) <= 4 and broadcast.spread(memories, output) is not None:
            pairs = zip(wide, memories, strict=True)
            operands = [_lying(call, v, axes, memory) for v, memory in pairs]
            tensor = call.emit(op, operands, clip=NO_CLIP)
            return Value(shape, tensor, layout.with_axes(shape, axes))
    smaller = [v for v in wide if v.shape != shape]
    chosen = max(smaller, key=lambda v: prod(v.shape))
    pair = [_expanded(call, v, shape) if v is chosen else v for v in wide]
    return combined(call, op, *pair)


def _expanded(call: NodeCall, value: Value, shape: Shape) -> Value:
    """``value`` repeated to ``shape``, by a copy."""
    name = f"{call.outputs[0]}.expanded"
    data = call.builder.tensors[value.tensor].data
    if data is not None:
        wide = np.broadcast_to(data.reshape(value.shape), shape)
        made = call.builder.constant(name, wide.reshape(1, -1))
        return Value(shape, made, layout.identity(wide.size))
    numbers = layout.identity(prod(value.shape)).reshape(value.shape)
    return taken(call, value, np.broadcast_to(numbers, shape), name)


def _lying(call: NodeCall, value: Value, axes: Sequence[int], memory: Shape) -> str:
    """The value in the order ``axes``, as a tensor of the shape ``memory``."""
    builder = call.builder
    data = builder.tensors[value.tensor].data
    if data is None:
        return builder.place(value, layout.with_axes(value.shape, axes), memory)
    turned = data.reshape(value.shape).transpose(axes).reshape(memory)
    builder.tensors[value.tensor] = Tensor(value.tensor, memory, turned)
    return value.tensor


def _orders(call: NodeCall, shape: Shape, values: Sequence[Value]) -> Iterator[tuple[int, ...]]:
    """Orders of the axes that cost little: those of the operands in memory, the larger first."""
    builder, rank = call.builder, len(shape)
    own = tuple(range(rank))
    images = (0, *range(2, rank), 1) if rank in (3, 4) and shape[0] == 1 else own
    for value in sorted(values, key=lambda v: -prod(v.shape)):
        if value.tensor in builder.makers or value.tensor in builder.order:
            found = None
            if value.tensor not in builder.open:
                found = layout.axes_of(builder.places(value), value.shape)
            yield images if found is None else found
    yield images
    yield own


def _memories(shapes: Sequence[Shape]) -> list[Shape]:
    """The operands' shapes in memory, batch first: their own if these have 4 axes at most."""
    rank = len(shapes[0])
    if all(shape[0] == 1 for shape in shapes) and rank in (2, 3, 4):
        ones = (1,) * (4 - rank) if rank == 3 else ()
        return [(*ones, *shape) for shape in shapes]
    merged: list[list[int]] = [[1] for _ in shapes]
    last = None
    for sizes in zip(*shapes, strict=True):
        pattern = tuple(size == max(sizes) for size in sizes)
        if max(sizes) == 1:
            continue
        for row, size in zip(merged, sizes, strict=True):
            if pattern == last:
                row[-1] *= size
            else:
                row.append(size)
        last = pattern
    return [tuple(row) for row in merged]


def ranked(value: Value, rank: int) -> Value:
    """``value`` with ones in front of its shape."""
    return Value((1,) * (rank - len(value.shape)) + value.shape, value.tensor, value.view)
