"""Sums over axes or windows, of values or of functions of them: norms, and running sums.

A sum is the mean times the number of values; the factor is a table, or part of the next layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.importers.nodes import linear, reductions
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, axis_of
from mcuq.importers.nodes.elementwise import applied, combined, times
from mcuq.importers.nodes.windows import images

Function = tuple[str, Mapping[str, float]]
SQUARE: Function = ("power", {"exponent": 2.0})
MAX_RUN = 256
"""A running sum over more values would need a larger matrix than is sensible."""


def summed(
    before: Function | None = None, after: Function | None = None
) -> Callable[[NodeCall], Value]:
    """A handler for ``after`` (the sum over axes of ``before`` (the values))."""

    def handler(call: NodeCall) -> Value:
        axes, keep = reductions.reduced_axes(call)
        return _summed(call, before, after, axes, keep)

    return handler


def _summed(
    call: NodeCall,
    before: Function | None,
    after: Function | None,
    axes: tuple[int, ...],
    keep: bool,
) -> Value:
    value = call.value()
    if before is not None:
        value = applied(call.part(before[0]), before[0], value, **before[1])
    if after is None:
        return _sum(call, value, axes, keep)
    found = _sum(call.part("sum"), value, axes, keep)
    return applied(call, after[0], found, **after[1])


def _sum(call: NodeCall, value: Value, axes: tuple[int, ...], keep: bool) -> Value:
    count = prod(value.shape[axis] for axis in axes)
    if count == 1:
        return reductions.pooled(call, "avg_pool2d", value, axes, keep)
    mean = reductions.pooled(call.part("mean"), "avg_pool2d", value, axes, keep)
    return times(call, mean, float(count))


def log_sum_exp(call: NodeCall) -> Value:
    """ReduceLogSumExp: the largest value, and the logarithm of the sum of exp of what is below."""
    value = call.value()
    axes, keep = reductions.reduced_axes(call)
    if prod(value.shape[axis] for axis in axes) == 1:
        return reductions.pooled(call, "max_pool2d", value, axes, keep)
    largest = reductions.pooled(call.part("largest"), "max_pool2d", value, axes, True)
    below = combined(call.part("below"), "sub", value, largest)
    shares = applied(call.part("exp"), "exp", below, rate=1.0)
    total = _sum(call.part("sum"), shares, axes, True)
    found = combined(call, "add", applied(call.part("log"), "log", total), largest)
    shape = tuple(s for a, s in enumerate(found.shape) if keep or a not in axes)
    return replace(found, shape=shape)


def _powers(call: NodeCall) -> tuple[Value, Function | None]:
    """``|x| ** p``, and what is taken of its sum: the norm of the order ``p``."""
    order, value = call.real("p", 2.0), call.value()
    if order <= 0.0:
        raise Refused(f"{call.op} with p = {order:g}", "Let p be above 0")
    if order % 2.0:
        value = applied(call.part("abs"), "abs", value)
    if order == 1.0:
        return value, None
    powers = applied(call.part("power"), "power", value, exponent=order)
    return powers, ("sqrt", {}) if order == 2.0 else ("power", {"exponent": 1.0 / order})


def global_norm(call: NodeCall) -> Value:
    """GlobalLpPool over all axes after the channels."""
    powers, root = _powers(call)
    return _summed(replace(call, inputs=(powers,)), None, root, reductions.spatial(call), True)


def window_norm(call: NodeCall) -> Value:
    """LpPool: of each window. Padding is 0, so every window is as large."""
    if call.integer("ceil_mode", 0):
        raise Refused("LpPool with ceil_mode", "Pad the data instead")
    powers, root = _powers(call)
    area = float(prod(call.integers("kernel_shape")))
    attrs = {**call.attrs, "count_include_pad": 1}
    mean = images.average_pool(call.part("mean", powers, **attrs))
    if root is None:
        return times(call, mean, area)
    return applied(call, root[0], times(call.part("sum"), mean, area), **root[1])


def running(call: NodeCall) -> Value:
    """CumSum: a product with a triangle of ones."""
    value = call.value()
    axis = axis_of(int(call.constant(1).reshape(-1)[0]), len(value.shape))
    count = value.shape[axis]
    if count > MAX_RUN:
        raise Refused(f"CumSum over {count} values", f"Sum at most {MAX_RUN}")
    ones = np.tri(count, k=-1 if call.integer("exclusive", 0) else 0)
    weights = ones.T if call.integer("reverse", 0) else ones
    last = _axis_moved(value, axis, -1)
    product = linear.linear(replace(call, names=()), last, weights, np.zeros(count))
    return _axis_moved(product, -1, axis)


def _axis_moved(value: Value, source: int, target: int) -> Value:
    """``value`` with one axis at another place."""
    moved = np.moveaxis(value.view.reshape(value.shape), source, target)
    return Value(moved.shape, value.tensor, moved.reshape(-1))
