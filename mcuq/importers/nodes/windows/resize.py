"""Resize and Upsample: to the nearest element a copy, linear an operator of its own."""

from __future__ import annotations

from math import isclose, prod

import numpy as np

from mcuq.importers.nodes import layout, movement
from mcuq.importers.nodes.builder import Refused, Value, check_size
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.windows import resample
from mcuq.ir import Array, Shape

_NEAREST = "Resize to the nearest, or with mode linear or cubic"


def resize(call: NodeCall) -> Value | list[Operand]:
    """Resize and Upsample in every mode of coordinates; linear along two axes."""
    mode = call.text("mode", "nearest")
    if mode == "nearest":
        return movement.nearest(call)
    if mode not in resample.MODES:
        raise Refused(f"{call.op} with mode {mode}", _NEAREST)
    value = call.value()
    scales, sizes = _scaled(call, value.shape)
    check_size(sizes)
    if min(sizes) < 1:
        raise Refused("a size of 0", "Keep at least one element")
    smooth = bool(call.integer("antialias", 0)) and min(scales) < 1
    cropped = call.text("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if mode == "cubic" or smooth or cropped:
        return resample.by_matrices(call, value, scales, sizes)
    axes = [a for a, size in enumerate(value.shape) if (scales[a], sizes[a]) != (1.0, size)]
    if not axes:
        return value
    if len(axes) > 2 or axes[0] == 0:
        raise Refused(
            f"a linear Resize along {len(axes)} axes", "Resize two at most, not the batch"
        )
    places = [_places(call, value.shape[a], scales[a], sizes[a]) for a in axes]
    return _resized(call, value, axes, places, sizes)


def _scaled(call: NodeCall, shape: Shape) -> tuple[list[float], Shape]:
    """(scale, size) of each axis."""
    rank = len(shape)
    old = call.op == "Upsample" or call.opset < 11
    given = call.attrs.get("scales")
    if given is None:
        given = call.optional(1 if old else 2)
    wanted = None if old else call.optional(3)
    axes = call.integers("axes", tuple(range(rank)))
    axes = tuple(a + rank if a < 0 else a for a in axes)
    if wanted is not None and np.asarray(wanted).size:
        return _to_sizes(call, shape, axes, [int(v) for v in np.asarray(wanted).reshape(-1)])
    factors = [float(v) for v in np.asarray(given if given is not None else []).reshape(-1)]
    if len(factors) != len(axes) or min(factors) <= 0:
        raise Refused("neither scales nor sizes for all of its axes", "State one for each axis")
    scales = [1.0] * rank
    for axis, factor in zip(axes, factors, strict=True):
        scales[axis] = factor
    return scales, tuple(int(s * size) for s, size in zip(scales, shape, strict=True))


def _to_sizes(
    call: NodeCall, shape: Shape, axes: tuple[int, ...], wanted: list[int]
) -> tuple[list[float], Shape]:
    if len(wanted) != len(axes):
        raise Refused(f"{len(wanted)} sizes for {len(axes)} axes", "State one for each axis")
    scales, sizes = [1.0] * len(shape), list(shape)
    for axis, size in zip(axes, wanted, strict=True):
        scales[axis], sizes[axis] = size / shape[axis], size
    policy = call.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        same = (min if policy == "not_larger" else max)(scales[a] for a in axes)
        for axis in axes:
            scales[axis], sizes[axis] = same, int(same * shape[axis] + 0.5)
    return scales, tuple(sizes)


def _places(call: NodeCall, size: int, scale: float, out: int) -> tuple[Array, Array]:
    """(first element, share of the next) of each element of the output along an axis."""
    old = call.op == "Upsample" or call.opset < 11
    mode = call.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    wide = scale * size
    if (mode == "align_corners" or (mode, out) == ("pytorch_half_pixel", 1)) and not isclose(
        wide, out, rel_tol=1e-6
    ):  # onnx's evaluator takes the size before it is rounded, ONNX Runtime the one after
        raise Refused(f"{mode} to {wide:g} elements is read in two ways", "State the sizes")
    if mode not in MODES:
        raise Refused(f"Resize with {mode}", "Use half_pixel, or crop with Slice before it")
    places = np.clip(coordinates(mode, size, scale, out), 0, size - 1)
    first = np.floor(places).astype(np.int64)
    return first, places - first


MODES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")


def coordinates(mode: str, size: int, scale: float, out: int) -> Array:
    """Where each of ``out`` elements lies along an axis of ``size``, by one of ``MODES``.

    >>> coordinates("half_pixel", 2, 2.0, 4).tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    at = np.arange(out, dtype=np.float64)
    if mode == "asymmetric":
        return np.asarray(at / scale)
    if mode == "align_corners":
        return np.asarray(at * (size - 1) / max(out - 1, 1))
    if mode == "pytorch_half_pixel" and out == 1:
        return at
    centre = size / 2 * (1 - out / (scale * size)) if mode == "half_pixel_symmetric" else 0.0
    return np.asarray(centre + (at + 0.5) / scale - 0.5)


def _resized(
    call: NodeCall, value: Value, axes: list[int], places: list[tuple[Array, Array]], sizes: Shape
) -> Value:
    """The two axes lie as rows and columns, all others behind them."""
    rank = len(value.shape)
    if rank in (3, 4) and value.shape[0] == 1 and axes[0] >= 2:
        order = (0, *range(2, rank), 1)
        memory = layout.image_shape(value.shape)
        lines = dict(zip(axes, places, strict=True))
        still = [(np.arange(s), np.zeros(s)) for s in memory[1:3]]
        rows, columns = (lines.get(axis, still[i]) for i, axis in enumerate((rank - 2, rank - 1)))
    else:
        rest = [a for a in range(rank) if a not in axes]
        order = (*axes, *rest)
        height, width = (1, *(value.shape[a] for a in axes))[-2:]
        memory = (1, height, width, prod(value.shape[a] for a in rest))
        rows, columns = [(np.zeros(1, np.int64), np.zeros(1)), *places][-2:]
    wanted = layout.with_axes(value.shape, order)
    tensor = call.emit(
        "resize_linear",
        (call.builder.place(value, wanted, memory),),
        rows=tuple(rows[0].tolist()),
        row_shares=tuple(rows[1].tolist()),
        columns=tuple(columns[0].tolist()),
        column_shares=tuple(columns[1].tolist()),
    )
    return Value(sizes, tensor, layout.with_axes(sizes, order))
