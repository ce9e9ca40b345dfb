"""Resize that a matrix along each axis computes: cubic, with antialias, or cropped.

The matrix is what onnx's evaluator makes of the unit vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx

from mcuq.importers.nodes import linear
from mcuq.importers.nodes.builder import Refused, Value, check_size
from mcuq.importers.nodes.call import NodeCall
from mcuq.importers.standard.folding import fold
from mcuq.ir import Array, Shape

MODES = ("linear", "bilinear", "cubic")
_LEFT_OUT = ("axes", "keep_aspect_ratio_policy")


def by_matrices(call: NodeCall, value: Value, scales: Sequence[float], sizes: Shape) -> Value:
    """One product for each axis that changes, the last axis first."""
    axes = [a for a, size in enumerate(value.shape) if _changes(call, scales[a], size, sizes[a])]
    for place, axis in enumerate(reversed(axes)):
        weights = _matrix(call, value.shape[axis], scales[axis], sizes[axis], axis)
        part = call if place == len(axes) - 1 else call.part(f"axis_{axis}")
        value = _along(part, value, axis, weights)
    return value


def _changes(call: NodeCall, scale: float, size: int, wanted: int) -> bool:
    return (scale, size) != (1.0, wanted) or _is_crop(call)


def _is_crop(call: NodeCall) -> bool:
    return call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"


def _along(call: NodeCall, value: Value, axis: int, weights: Array) -> Value:
    """``weights`` (out, in) times each row along ``axis``."""
    moved = np.moveaxis(value.view.reshape(value.shape), axis, -1)
    last = Value(moved.shape, value.tensor, moved.reshape(-1))
    made = linear.linear(replace(call, names=()), last, weights, np.zeros(len(weights)))
    back = np.moveaxis(made.view.reshape(made.shape), -1, axis)
    return Value(back.shape, made.tensor, back.reshape(-1))


def _matrix(call: NodeCall, size: int, scale: float, wanted: int, axis: int) -> Array:
    """(wanted, size): each element of the output as a sum of those of the input."""
    check_size((size, max(size, wanted)))
    attrs = {k: v for k, v in call.attrs.items() if k not in _LEFT_OUT}
    node = onnx.helper.make_node("Resize", ["x", "roi", "scales", "sizes"], ["y"], **attrs)
    exact = np.float32(scale) if int(size * np.float32(scale)) == wanted else wanted / size
    factors = np.array([1.0, exact], np.float32)
    given: list[Array | None] = [np.eye(size), _region(call, axis), factors, None]
    if call.optional(3) is not None and np.asarray(call.constant(3)).size:
        given = [np.eye(size), _region(call, axis), None, np.array([size, wanted], np.int64)]
    parts = zip(("x", "roi", "scales", "sizes"), given, strict=True)
    node.input[:] = ["" if part is None else name for name, part in parts]
    found = fold(node, given, max(call.opset, 13))[0].astype(np.float64).T
    outside = float(call.attrs.get("extrapolation_value", 0.0))
    if _is_crop(call) and outside and bool((found == outside).all(axis=1).any()):
        raise Refused(f"values of {outside:g} around a crop", "Use extrapolation_value 0")
    return np.asarray(found)


def _region(call: NodeCall, axis: int) -> Array:
    """What is cropped of the axes (unit vectors, ``axis``); the whole of it by default."""
    given = call.optional(1)
    if not _is_crop(call) or given is None or not given.size:
        return np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    half = given.size // 2
    axes = list(call.integers("axes", tuple(range(half))))
    if axis not in axes:
        return np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    place = axes.index(axis)
    return np.array([0.0, given[place], 1.0, given[half + place]], np.float32)
