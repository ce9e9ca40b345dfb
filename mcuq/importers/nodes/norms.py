"""Normalizations of a value over some of its axes, with constant scale and bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, prod, sqrt

import numpy as np

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, axis_of
from mcuq.importers.nodes.elementwise import settled
from mcuq.importers.nodes.layout import Map, plain_shape
from mcuq.ir import Array, Shape


def layer(call: NodeCall) -> Value:
    """LayerNormalization: over the axes from ``axis`` on."""
    return _trailing(call, True)


def root_mean_square(call: NodeCall) -> Value:
    """RMSNormalization: the same about zero."""
    return _trailing(call, False)


def _trailing(call: NodeCall, centered: bool) -> Value:
    if any(call.outputs[1:]):
        raise Refused(f"{call.op} with its statistics as outputs", "Use the first output alone")
    value = call.value()
    axes = range(axis_of(call.integer("axis", -1), len(value.shape)), len(value.shape))
    scale, bias = call.constant(1), call.optional(2)
    return normalized(call, value, axes, call.real("epsilon", 1e-5), centered, scale, bias)


def instance(call: NodeCall) -> Value:
    """InstanceNormalization: each channel over all axes behind it."""
    value = call.value()
    ones = (-1, *(1,) * (len(value.shape) - 2))
    scale, bias = (call.constant(i).reshape(ones) for i in (1, 2))
    axes = range(2, len(value.shape))
    return normalized(call, value, axes, call.real("epsilon", 1e-5), True, scale, bias)


def group(call: NodeCall) -> Value:
    """GroupNormalization: groups of channels; a scale and a bias for each channel or group."""
    value, groups = call.value(), call.integer("num_groups", 1)
    batch, channels, *size = value.shape
    if groups < 1 or channels % groups:
        raise Refused(f"{groups} groups of {channels} channels", "Let groups divide the channels")
    value = settled(call, value)
    apart = replace(value, shape=(batch, groups, channels // groups, *size))
    shape = (groups, -1, *(1,) * len(size))
    scale, bias = (call.constant(i).reshape(shape) for i in (1, 2))
    axes = range(2, len(apart.shape))
    made = normalized(call, apart, axes, call.real("epsilon", 1e-5), True, scale, bias)
    return replace(made, shape=value.shape)


def length(call: NodeCall) -> Value:
    """LpNormalization with p = 2: the root of the mean of squares, and of their number."""
    if call.integer("p", 2) != 2:
        raise Refused("LpNormalization with p = 1", "Use p = 2")
    value = call.value()
    axis = axis_of(call.integer("axis", -1), len(value.shape))
    scale = np.array(1 / sqrt(value.shape[axis]))
    return normalized(call, value, (axis,), 0.0, False, scale, None)


def mean_variance(call: NodeCall) -> Value:
    """MeanVarianceNormalization, and what ``norm_patterns`` finds, which gives it more."""
    value = call.value()
    axes = [axis_of(a, len(value.shape)) for a in call.integers("axes", (0, 2, 3))]
    return normalized(
        call,
        value,
        axes,
        call.real("epsilon", 0.0),
        bool(call.integer("centered", 1)),
        call.attrs.get("scale"),
        call.attrs.get("bias"),
    )


def normalized(
    call: NodeCall,
    value: Value,
    axes: Sequence[int],
    epsilon: float,
    centered: bool,
    scale: Array | None,
    bias: Array | None,
) -> Value:
    """``value`` normalized over ``axes``, times ``scale``, plus ``bias``."""
    if not epsilon >= 0:
        raise Refused(f"an epsilon of {epsilon:g}", "Use a small positive one")
    value = settled(call, value)
    builder = call.builder
    tensor, places = value.tensor, builder.places(value)
    sizes = _sizes(places, value.shape, axes)
    if sizes is None:
        rest = [a for a in range(len(value.shape)) if a not in axes]
        places = layout.with_axes(value.shape, [*rest, *axes])
        inner = prod(value.shape[a] for a in axes)
        sizes = (prod(value.shape) // inner, 1, 1, inner)
        tensor = builder.place(value, places, plain_shape((1, sizes[0], inner)))
    lying = [_lying(value.shape, places, given) for given in (_of(scale, 1.0), _of(bias, 0.0))]
    period = next(p for p in _periods(sizes) if all(_repeats(data, p) for data in lying))
    constants = [call.weights(i, data[:period]) for i, data in enumerate(lying, 1)]
    made = call.emit(
        "normalize", (tensor, *constants),
        sizes=sizes, centered=centered, epsilon=epsilon, clip=(-inf, inf),
    )  # fmt: skip
    return Value(value.shape, made, places)


def _sizes(places: Map, shape: Shape, axes: Sequence[int]) -> tuple[int, int, int, int] | None:
    """(outer, count, groups, inner), if memory is made of them; a row may lie in any order.

    >>> _sizes(layout.channels_last((1, 6, 2)), (1, 2, 3, 2), (2, 3))
    (1, 2, 2, 3)
    """
    rows = np.sort(layout.moved_last(places, shape, axes), axis=1)
    rows = rows[rows[:, 0].argsort()]
    number, width = rows.shape
    breaks = np.flatnonzero(np.diff(rows[0]) != 1)
    if not breaks.size:
        found = (number, 1, 1, width)
    else:
        inner = int(breaks[0]) + 1
        groups = int(rows[0, inner] - rows[0, 0]) // inner
        found = (number // groups, width // inner, groups, inner)
    lying = layout.identity(rows.size)
    if prod(found) != rows.size:
        return None
    made = lying.reshape(found).transpose(0, 2, 1, 3).reshape(-1, found[1] * found[3])
    return found if np.array_equal(made, rows) else None


def _of(given: Array | None, usual: float) -> Array:
    return np.array(usual) if given is None else np.asarray(given)


def _lying(shape: Shape, places: Array, given: Array) -> Array:
    """A number for each element in memory."""
    if np.broadcast_shapes(shape, given.shape) != shape:
        raise Refused(f"a scale or bias of {given.shape} for data of {shape}")
    lying = np.empty(prod(shape), np.float64)
    lying[places] = np.broadcast_to(given, shape).reshape(-1)
    return lying


def _periods(sizes: tuple[int, int, int, int]) -> tuple[int, ...]:
    return tuple(prod(sizes[i:]) for i in (2, 1, 0))


def _repeats(data: Array, period: int) -> bool:
    rows = data.reshape(-1, period)
    return bool((rows == rows[:1]).all())
