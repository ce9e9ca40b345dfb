"""Windows over several images that are no batch, such as the frames of one inference.

A network that treats each frame with the same layers folds them into the first axis. There one
inference has several images: series of one axis lie below each other as the rows of one image,
pools see the images as more channels, and convolutions see them stacked, with zeros in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.importers.nodes import layout, movement
from mcuq.importers.nodes.builder import Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.windows.images import pads_of
from mcuq.ir import Shape

Handler = Callable[[NodeCall], Value]
_ONE_AXIS = ("kernel_shape", "strides", "dilations")


def of_series(handler: Handler) -> Handler:
    """``handler`` for (N, C, L) as well."""

    def rows(call: NodeCall) -> Value:
        value = call.value()
        if len(value.shape) != 3 or value.shape[0] == 1:
            return handler(call)
        made = handler(_as_rows(call, value))
        return _exchanged(made, made.shape[1:])

    return rows


def _exchanged(value: Value, shape: Shape) -> Value:
    """The value, seen as ``shape``, with its first two axes exchanged."""
    numbers = np.arange(prod(shape)).reshape(shape).swapaxes(0, 1)
    return Value(numbers.shape, value.tensor, value.view[numbers.reshape(-1)])


def _as_rows(call: NodeCall, value: Value) -> NodeCall:
    """``call`` on (1, C, N, L), its window one row high."""
    turned = _exchanged(value, value.shape)
    inputs: list[Operand] = [replace(turned, shape=(1, *turned.shape)), *call.inputs[1:]]
    weights = call.operand(1)
    if isinstance(weights, np.ndarray) and weights.ndim == 3:
        inputs[1] = weights[:, :, None]
    attrs = dict(call.attrs)
    for key in _ONE_AXIS:
        if call.integers(key):
            attrs[key] = (1, *call.integers(key))
    if call.integers("pads"):
        begin, end = call.integers("pads")
        attrs["pads"] = (0, begin, 0, end)
    if call.integers("output_padding"):
        attrs["output_padding"] = (0, *call.integers("output_padding"))
    if call.integers("output_shape"):
        attrs["output_shape"] = (value.shape[0], call.integers("output_shape")[-1])
    return replace(call, inputs=tuple(inputs), attrs=attrs)


def pooled(handler: Handler) -> Handler:
    """``handler``, which treats each channel alike, for several images."""

    def joined(call: NodeCall) -> Value:
        value = call.value()
        if len(value.shape) != 4 or value.shape[0] == 1:
            return handler(call)
        count, depth = value.shape[:2]
        flat = replace(value, shape=(1, count * depth, *value.shape[2:]))
        made = handler(replace(call, inputs=(flat, *call.inputs[1:])))
        return replace(made, shape=(count, depth, *made.shape[2:]))

    return joined


def convolved(handler: Handler) -> Handler:
    """``handler``, a convolution, for several images below each other."""

    def stacked(call: NodeCall) -> Value:
        value, kernel = call.value(), call.operand(1)
        known = isinstance(kernel, np.ndarray) and kernel.ndim == 4
        if len(value.shape) != 4 or value.shape[0] == 1 or not known:
            return handler(call)
        assert isinstance(kernel, np.ndarray)
        return _stacked(call, value, kernel.shape[2:], handler)

    return stacked


def _stacked(call: NodeCall, value: Value, kernel: Shape, handler: Handler) -> Value:
    """The convolution of all images at once; of its rows those that see one image alone."""
    count, depth, height, width = value.shape
    strides, spread = (call.integers(key, (1, 1)) for key in ("strides", "dilations"))
    top, left, bottom, right = pads_of(call, value.shape[2:], kernel, strides, spread)
    seen = height + top + bottom
    bottom += -seen % strides[0]
    whole = height + top + bottom
    wanted = np.arange(prod(value.shape)).reshape(count, height, width, depth)
    places = wanted.transpose(0, 3, 1, 2).reshape(-1)
    tensor = call.builder.place(value, places, (1, count, height, width * depth))
    if top or bottom:
        label, around = f"{call.outputs[0]}.apart", ((0, 0), (0, 0), (top, bottom), (0, 0))
        tensor = call.builder.emit("pad", label, (tensor,), label, pads=around, value=(0.0,))
    tensor = call.builder.shaped(tensor, (1, count * whole, width, depth))
    shape = (1, depth, count * whole, width)
    image = Value(shape, tensor, layout.channels_last(shape))
    attrs = {**call.attrs, "pads": (0, left, 0, right), "auto_pad": "NOTSET"}
    made = handler(replace(call.part("stacked"), inputs=(image, *call.inputs[1:]),
                           names=call.names, attrs=attrs))  # fmt: skip
    size = (seen - (kernel[0] - 1) * spread[0] - 1) // strides[0] + 1
    rows = np.arange(count)[:, None] * (whole // strides[0]) + np.arange(size)
    numbers = np.arange(prod(made.shape)).reshape(made.shape[1:])[:, rows]
    return movement.taken(call, made, numbers.swapaxes(0, 1), call.outputs[0])
