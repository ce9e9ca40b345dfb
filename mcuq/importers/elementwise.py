"""Nodes that work element by element: any layout will do, as long as the operands agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mcuq.importers import layout
from mcuq.importers.builder import Refused, Value
from mcuq.importers.call import Call, in_order
from mcuq.ir import Array, Shape
from mcuq.ops import broadcast

NO_CLIP = (-math.inf, math.inf)
Attributes = Callable[[Call], dict[str, Any]]


def unary(op: str, attributes: Attributes = lambda call: {}) -> Callable[[Call], Value]:
    """A handler for a function of one value."""

    def handler(call: Call) -> Value:
        value = settled(call, call.value())
        tensor = call.emit(op, (value.tensor,), **attributes(call))
        return Value(value.shape, tensor, call.builder.places(value))

    return handler


def settled(call: Call, value: Value) -> Value:
    """``value``; an input whose layout is still open gets the usual one, channels last."""
    builder = call.builder
    if value.tensor in builder.open:
        if len(value.shape) == 4 and value.shape[0] == 1:
            call.image(value)
        else:
            in_order(call, value, plain_shape(value.shape))
    return value


def plain_shape(shape: Shape) -> Shape:
    """The memory shape of a value that lies in its own order: at most 4 axes, batch first."""
    if shape and shape[0] == 1 and len(shape) in (2, 4):
        return shape
    if len(shape) == 3 and shape[0] == 1:
        return (1, 1, *shape[1:])
    return (1, prod(shape))


def clip(call: Call) -> Value:
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
    if not bounds[0] <= bounds[1]:
        raise Refused(f"Clip from {bounds[0]} to {bounds[1]}", "Let min be below max")
    return clip_to(*bounds)(call)


def clip_to(low: float, high: float) -> Callable[[Call], Value]:
    """A handler that limits its input to [low, high]."""
    return unary("clip", lambda call: {"low": low, "high": high})


def prelu(call: Call) -> Value:
    """PRelu with one slope for all channels."""
    slope = call.constant(1)
    if slope.size != 1 and not bool((slope == slope.flat[0]).all()):
        raise Refused("PRelu with a slope per channel", "Use one slope for all, or LeakyRelu")
    return unary("leaky_relu", lambda _: {"alpha": float(slope.flat[0])})(call)


def elu(call: Call) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 1.0)}


def leaky(call: Call) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 0.01)}


def hard_sigmoid(call: Call) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 0.2), "beta": call.real("beta", 0.5)}


def gelu(call: Call) -> dict[str, Any]:
    return {"approximate": call.text("approximate", "none")}


def swish(call: Call) -> Value:
    """Swish with alpha 1 (SiLU)."""
    if call.real("alpha", 1.0) != 1.0:
        raise Refused("Swish with an alpha other than 1", "Use SiLU")
    return unary("silu")(call)


def negative(call: Call) -> Value:
    """Neg: a product with -1."""
    return _with_constant(call, "mul", call.value(), np.array(-1.0), False)


def binary(op: str) -> Callable[[Call], Value]:
    """A handler for add, sub and mul; one operand may be a constant."""

    def handler(call: Call) -> Value:
        a, b = call.operand(0), call.operand(1)
        if isinstance(a, Value) and isinstance(b, Value):
            return _two_values(call, op, a, b)
        if isinstance(a, Value):
            return _with_constant(call, op, a, call.constant(1), False)
        return _with_constant(call, op, call.value(1), call.constant(0), True)

    return handler


def divide(call: Call) -> Value:
    """Div by a constant: a product with its inverse."""
    if not isinstance(call.operand(1), np.ndarray):
        raise Refused("division by a computed value", "Divide by a constant, or multiply")
    divisor = call.constant(1).astype(np.float64)
    if not bool((divisor != 0).all()):
        raise Refused("division by 0", "Repair the constant")
    return _with_constant(call, "mul", call.value(), 1.0 / divisor, False)


def total(op: str) -> Callable[[Call], Value]:
    """A handler for Sum of two operands."""

    def handler(call: Call) -> Value:
        if len(call.inputs) == 1:
            return call.value()
        if len(call.inputs) > 2:
            raise Refused(f"{call.op} of more than two values", "Add them two by two")
        return binary(op)(call)

    return handler


def _with_constant(call: Call, op: str, value: Value, constant: Array, first: bool) -> Value:
    shape = np.broadcast_shapes(value.shape, constant.shape)
    if prod(shape) != prod(value.shape):
        raise Refused("a constant that is larger than the data", "Let the data be the larger")
    seen = settled(call, Value(shape, value.tensor, value.view))
    builder = call.builder
    memory = builder.memory(seen)
    if constant.size == 1:
        data = constant.reshape((1,))
    else:
        lying = np.empty(prod(shape), np.float64)
        lying[builder.places(seen)] = np.broadcast_to(constant, shape).reshape(-1)
        data = _shrunk(lying.reshape(memory))
    name = call.weights(0 if first else 1, data)
    operands = (name, seen.tensor) if first else (seen.tensor, name)
    tensor = call.emit(op, operands, clip=NO_CLIP)
    return Value(shape, tensor, builder.places(seen))


def _shrunk(data: Array) -> Array:
    """``data`` without the axes along which it repeats, as far as operators can spread it."""
    small = data
    for axis in range(data.ndim):
        head = small.take([0], axis)
        if bool((small == head).all()):
            small = head
    fits = broadcast.spread([data.shape, small.shape], data.shape) is not None
    return small if fits else data


def _two_values(call: Call, op: str, a: Value, b: Value) -> Value:
    shape = tuple(int(size) for size in np.broadcast_shapes(a.shape, b.shape))
    builder = call.builder
    left, right = (_ranked(v, len(shape)) for v in (a, b))
    if left.shape == right.shape:
        if left.tensor in builder.open and right.tensor not in builder.open:
            builder.place(left, builder.places(right), builder.memory(right))
        left = settled(call, left)
        places, memory = builder.places(left), builder.memory(left)
        other = builder.place(right, places, memory)
        tensor = call.emit(op, (left.tensor, other), clip=NO_CLIP)
        return Value(shape, tensor, places)
    if len(shape) > 4 or shape[0] != 1:
        raise Refused(f"{call.op} of shapes {a.shape} and {b.shape}", "Use at most 4 dimensions")
    if len(shape) == 2:
        operands = [in_order(call, v, v.shape) for v in (left, right)]
        return Value(shape, call.emit(op, operands, clip=NO_CLIP), layout.identity(prod(shape)))
    operands = [call.image(v) for v in (left, right)]
    return call.image_value(call.emit(op, operands, clip=NO_CLIP), len(shape))


def _ranked(value: Value, rank: int) -> Value:
    """``value`` with ones in front of its shape."""
    return Value((1,) * (rank - len(value.shape)) + value.shape, value.tensor, value.view)
