"""Windows over three axes: planes beside each other as channels, or one axis after the other.

A convolution takes the planes that a place along the first axis sees as channels of one image.
Pools are taken along the first axis, then over the planes: of averages, each by the count of its
own axis, that is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes import movement
from mcuq.importers.nodes.builder import Refused, Value, check_size
from mcuq.importers.nodes.call import NodeCall
from mcuq.importers.nodes.windows.images import pad, pads_of

Handler = Callable[[NodeCall], Value]
_WINDOW = ("kernel_shape", "strides", "dilations", "pads")


def convolved(handler: Handler) -> Handler:
    """``handler``, a convolution of images, for (1, C, D, H, W)."""

    def planes(call: NodeCall) -> Value:
        value, weights = call.value(), call.constant(1)
        groups, kernel = call.integer("group", 1), weights.shape[2:]
        if weights.ndim != 5 or value.shape[1] != groups * weights.shape[1]:
            raise Refused(f"weights of {weights.shape} for data of {value.shape}")
        images = _seen(call, value, kernel[0])
        count, depth = images.shape[:2]
        shape = (count, depth, groups, -1, *images.shape[3:])
        numbers = np.arange(prod(images.shape)).reshape(shape).swapaxes(1, 2)
        rows = numbers.reshape(count, -1, *images.shape[3:])
        flat = Value(rows.shape, images.tensor, images.view[rows.reshape(-1)])
        wide = weights.transpose(0, 2, 1, 3, 4).reshape(len(weights), -1, *kernel[1:])
        attrs = _of_axes(call, kernel, slice(1, 3))
        made = handler(replace(call, inputs=(flat, wide, *call.inputs[2:]), attrs=attrs))
        back = np.arange(prod(made.shape)).reshape(made.shape).swapaxes(0, 1)
        return Value((1, *back.shape), made.tensor, made.view[back.reshape(-1)])

    return planes


def _seen(call: NodeCall, value: Value, kernel: int) -> Value:
    """(places, kernel, C, H, W): the planes that each place along the first axis sees."""
    (step,), (spread,) = (call.integers(key, (1,) * 3)[:1] for key in ("strides", "dilations"))
    first = replace(call, attrs=_of_axes(call, (kernel, 1, 1), slice(0, 1)))
    _, begin, _, end = pads_of(first, value.shape[2:3], (kernel,), (step,), (spread,))
    if begin or end:
        around = np.array([0, 0, begin, 0, 0, 0, 0, end, 0, 0])
        wide = pad(call.part("wide", value, around))
        assert isinstance(wide, Value)
        value = wide
    count = (value.shape[2] - (kernel - 1) * spread - 1) // step + 1
    if count < 1:
        raise Refused("a window larger than its data", "Use a smaller kernel or dilation")
    check_size((count, kernel, value.shape[1], *value.shape[3:]))
    places = np.arange(count)[:, None] * step + np.arange(kernel) * spread
    numbers = np.arange(prod(value.shape)).reshape(value.shape[1:])[:, places]
    label = f"{value.tensor}.planes"
    return movement.taken(call.part("planes"), value, np.moveaxis(numbers, 0, 2), label)


def pooled(handler: Handler) -> Handler:
    """``handler``, a pool of images, for (1, C, D, H, W)."""

    def twice(call: NodeCall) -> Value:
        if len(call.outputs) > 1 and call.outputs[1]:
            raise Refused("the indices of MaxPool are read", "Use the values only")
        value, kernel = call.value(), call.integers("kernel_shape")
        height, width = value.shape[3:]
        columns = replace(value, shape=(*value.shape[:3], height * width))
        along = _of_axes(call, (kernel[0], 1, 1), slice(0, 2), whole=True)
        made = handler(replace(call.part("along", columns), attrs=along))
        depth = made.shape[2]
        planes = replace(made, shape=(1, value.shape[1] * depth, height, width))
        over = _of_axes(call, kernel, slice(1, 3))
        made = handler(replace(call, inputs=(planes, *call.inputs[1:]), attrs=over))
        return replace(made, shape=(1, value.shape[1], depth, *made.shape[2:]))

    return twice


def _of_axes(
    call: NodeCall, kernel: tuple[int, ...], axes: slice, whole: bool = False
) -> dict[str, Any]:
    """The attributes for some of three axes; ``whole``: the window has one element but in front."""
    attrs = {key: value for key, value in call.attrs.items() if key not in _WINDOW}
    attrs["kernel_shape"] = kernel[axes]
    idle = {"strides": 1, "dilations": 1}
    for key, one in idle.items():
        given = call.integers(key)
        if given:
            attrs[key] = (given[0], one) if whole else given[axes]
    pads = call.integers("pads")
    if pads and call.text("auto_pad", "NOTSET") == "NOTSET":
        edges = [(edge[0], 0) if whole else edge[axes] for edge in (pads[:3], pads[3:])]
        attrs["pads"] = (*edges[0], *edges[1])
    return attrs
