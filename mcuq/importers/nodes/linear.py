"""Gemm and MatMul, and BatchNormalization with constant parameters."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand, axis_of, from_rows, rows
from mcuq.importers.nodes.elementwise import NO_CLIP, combined, ranked, with_constant
from mcuq.importers.nodes.products import matmul_labels, product, times_number
from mcuq.ir import Array


def gemm(call: NodeCall) -> Value:
    """Gemm: alpha * A' * B' + beta * C."""
    if not isinstance(call.operand(1), np.ndarray):
        return _of_two(call)
    value, weights = call.value(), call.constant(1)
    if weights.ndim != 2 or len(value.shape) != 2:
        raise Refused(f"weights of {weights.ndim} dimensions", "Use two")
    if call.integer("transA", 0):
        value = swapped(value)
    matrix = weights if call.integer("transB", 0) else weights.T
    scaled = np.float64(call.real("alpha", 1.0)) * matrix
    if isinstance(call.operand(2), Value):
        return _plus(call, linear(call, value, scaled, np.zeros(len(matrix))))
    bias = call.optional(2)
    shift = np.zeros(1) if bias is None else np.float64(call.real("beta", 1.0)) * bias
    rows = np.broadcast_to(shift, (value.shape[0], len(matrix)))
    if bool((rows == rows[:1]).all()):
        return linear(call, value, scaled, rows[0])
    product = linear(call, value, scaled, np.zeros(len(matrix)))
    return with_constant(call, "add", product, call.builder.constant, rows)


def _of_two(call: NodeCall) -> Value:
    """Gemm with computed B."""
    left = "km" if call.integer("transA", 0) else "mk"
    right = "nk" if call.integer("transB", 0) else "kn"
    made = product(call, [tuple(left), tuple(right)], ("m", "n"))
    return _plus(call, times_number(call, made, call.real("alpha", 1.0)))


def _plus(call: NodeCall, made: Value) -> Value:
    """``made + beta * C``."""
    beta, added = call.real("beta", 1.0), call.operand(2)
    if isinstance(added, Value):
        return combined(call, "add", made, times_number(call, added, beta))
    if added is None:
        return made
    return with_constant(call, "add", made, call.builder.constant, np.float64(beta) * added)


def swapped(value: Value) -> Value:
    """``value`` with its last two axes exchanged."""
    shape = (*value.shape[:-2], value.shape[-1], value.shape[-2])
    view = np.swapaxes(value.view.reshape(value.shape), -1, -2).reshape(-1)
    return Value(shape, value.tensor, view)


def matmul(call: NodeCall) -> Value:
    """MatMul of data of any rank and a constant matrix, on either side."""
    left, right = call.operand(0), call.operand(1)
    both = isinstance(left, Value) and isinstance(right, Value)
    if both or _batched(left) or _batched(right):
        *labels, result = matmul_labels(*(_rank(operand) for operand in (left, right)))
        return product(call, labels, result)
    if isinstance(left, Value):
        given, value = call.constant(1), left
        made = _times(call, value, _matrix(given))
    else:
        given, value = call.constant(0), call.value(1)
        made = _under(call, _matrix(given), value)
    extra = max(len(value.shape), given.ndim) - sum(n == 1 for n in (len(value.shape), given.ndim))
    return ranked(made, extra)


def _times(call: NodeCall, value: Value, weights: Array) -> Value:
    """``value @ weights``."""
    made = linear(call, value, weights.reshape(len(weights), -1).T, _zeros(weights, -1))
    return made if weights.ndim == 2 else _without_axis(made, -1)


def _under(call: NodeCall, weights: Array, value: Value) -> Value:
    """``weights @ value``."""
    if len(value.shape) == 1:
        return linear(call, value, np.atleast_2d(weights), _zeros(weights, 0))
    made = swapped(linear(call, swapped(value), np.atleast_2d(weights), _zeros(weights, 0)))
    return made if weights.ndim == 2 else _without_axis(made, -2)


def _rank(operand: Operand) -> int:
    return 0 if operand is None else len(operand.shape)


def _batched(operand: Operand) -> bool:
    """Whether the constant operand holds several matrices."""
    return isinstance(operand, np.ndarray) and prod(operand.shape[:-2]) > 1


def _zeros(weights: Array, axis: int) -> Array:
    return np.zeros(weights.shape[axis] if weights.ndim == 2 else 1)


def _without_axis(value: Value, axis: int) -> Value:
    """``value`` without an axis of size 1."""
    shape = list(value.shape)
    del shape[axis]
    return Value(tuple(shape), value.tensor, value.view)


def _matrix(weights: Array) -> Array:
    """The weights as a matrix or a vector."""
    if weights.ndim > 2 and prod(weights.shape[:-2]) == 1:
        return weights.reshape(weights.shape[-2:])
    if weights.ndim not in (1, 2):
        raise Refused(f"weights of {weights.ndim} dimensions", "Use two")
    return weights


def linear(call: NodeCall, value: Value, weights: Array, bias: Array) -> Value:
    """The last axis times ``weights`` (out, in): dense, or a 1x1 convolution over rows."""
    width = value.shape[-1]
    if weights.shape[1] != width:
        raise Refused(f"{width} inputs for weights of {weights.shape[1]}")
    if prod(value.shape) == width:
        return _dense(call, value, weights, bias)
    axis = len(value.shape) - 1
    tensor, row, count = rows(call, value, axis)
    shape = call.builder.tensors[tensor].shape
    if len(shape) != 4:
        tensor = call.builder.shaped(tensor, (1, 1, count, width))
    made = call.emit(
        "conv2d",
        (tensor, call.weights(1, weights[:, None, None, :]), call.weights(2, bias)),
        strides=(1, 1),
        dilations=(1, 1),
        pads=(0, 0, 0, 0),
        groups=1,
        clip=NO_CLIP,
        pad_value=(0.0,),
    )
    return from_rows((*value.shape[:-1], len(weights)), axis, made, row)


def _dense(call: NodeCall, value: Value, weights: Array, bias: Array) -> Value:
    """The columns of the weights follow the order of the data in memory."""
    builder, width = call.builder, value.shape[-1]
    if value.tensor in builder.open:
        builder.settle(value, np.arange(width), (1, width))
    places = builder.places(value)
    columns = np.empty_like(weights)
    columns[:, places] = weights
    flat = builder.shaped(value.tensor, (1, width))
    inputs = (flat, call.weights(1, columns), call.weights(2, bias))
    tensor = call.emit("dense", inputs, clip=NO_CLIP)
    return Value((*value.shape[:-1], len(weights)), tensor, np.arange(len(weights)))


def batch_norm(call: NodeCall) -> Value:
    """BatchNormalization at inference."""
    if call.integer("training_mode", 0):
        raise Refused("BatchNormalization in training mode", "Export the model in eval mode")
    value = call.value()
    if len(value.shape) < 2:
        raise Refused("BatchNormalization without a channel axis")
    gamma, beta, mean, variance = (call.constant(i).astype(np.float64) for i in range(1, 5))
    if bool((variance < 0).any()):
        raise Refused("BatchNormalization with a negative variance", "Repair the weights")
    scale = gamma / np.sqrt(variance + call.real("epsilon", 1e-5))
    return per_channel(call, value, 1, scale, beta - mean * scale)


def per_channel(call: NodeCall, value: Value, axis: int, scale: Array, shift: Array) -> Value:
    """``value * scale + shift`` along ``axis``, as a batch_norm."""
    if scale.shape != (value.shape[axis_of(axis, len(value.shape))],):
        raise Refused(f"{scale.size} channels of statistics for {value.shape[axis]}")
    builder = call.builder
    if value.tensor in builder.open and len(value.shape) in (3, 4):
        call.image(value)
    if prod(value.shape) == scale.size:
        return _flat_norm(call, value, scale, shift)
    tensor, row, _ = rows(call, value, axis)
    inputs = (tensor, call.weights(1, scale), call.weights(2, shift))
    made = call.emit("batch_norm", inputs)
    return from_rows(value.shape, axis, made, row)


def _flat_norm(call: NodeCall, value: Value, scale: Array, shift: Array) -> Value:
    """A batch_norm of single elements; the parameters follow their order in memory."""
    builder = call.builder
    if value.tensor in builder.open:
        builder.settle(value, np.arange(scale.size), (1, scale.size))
    places = builder.places(value)
    lying = np.empty((2, scale.size))
    lying[:, places] = scale, shift
    inputs = (call.weights(1, lying[0]), call.weights(2, lying[1]))
    flat = builder.shaped(value.tensor, (1, scale.size))
    return Value(value.shape, call.emit("batch_norm", (flat, *inputs)), places)
