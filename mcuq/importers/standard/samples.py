"""GridSample at places that the model fixes, and MaxUnpool: written out as what they pick.

A sample is a sum of the elements around it, as many as the mode has taps, each times its share;
with a constant grid both are constants of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused, check_size
from mcuq.importers.standard.modern import Old
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array, Shape

Rewrite = Callable[[Old], list[Any] | None]
_CUBIC = -0.75
_MODES = {"bilinear": "linear", "bicubic": "cubic"}
_POOL = "Let a MaxPool without pads, whose strides are its kernel, give the indices"


def _sampled(old: Old) -> list[Any] | None:
    """GridSample of images, with a constant grid."""
    if old.input(0) in old.constants and old.input(1) in old.constants:
        return None
    shape = old.kind(old.input(0)).shape
    if len(shape) != 4:
        raise Refused(f"GridSample of {len(shape)}-dimensional data", "Sample images")
    if old.input(1) not in old.constants:
        raise Refused("its grid is computed at run time", "Give it a constant grid")
    grid = old.given(1).astype(np.float64)
    if grid.shape[0] != 1 and (grid != grid[:1]).any():
        raise Refused("its grid differs along the batch", "Use one grid")
    around = str(old.attribute("padding_mode", "zeros"))
    corners = bool(old.attribute("align_corners", 0))
    mode = str(old.attribute("mode", "linear"))
    mode = _MODES.get(mode, mode)
    # The grid's last axis counts from behind: (x, y).
    axes = [_taps(grid[0, ..., 1 - a], shape[2 + a], mode, around, corners) for a in (0, 1)]
    check_size((len(axes[0]) * len(axes[1]), *grid.shape[1:3]))
    whole = old.integers([*shape[:2], -1], "row")
    nodes = [old.part("Reshape", [old.input(0), whole], "places")]
    parts = list(_shares(old, nodes[0].output[0], axes, shape[3], nodes))
    if not parts:
        raise Refused("its grid lies outside of the data", "Sample inside")
    nodes.append(old.part("Sum" if len(parts) > 1 else "Identity", parts))
    return nodes


Taps = list[tuple[Array, Array]]


def _shares(old: Old, flat: str, axes: list[Taps], width: int, nodes: list[Any]) -> Iterator[str]:
    """The name of each tap of the window times its share; taps without any are left out."""
    for row, row_share in axes[0]:
        for column, column_share in axes[1]:
            share = (row_share * column_share).astype(np.float32)
            if not share.any():
                continue
            index = old.constant((row * width + column).astype(np.int64), "index")
            nodes.append(old.part("Gather", [flat, index], "picked", axis=2))
            if not (share == 1).all():
                names = [nodes[-1].output[0], old.constant(share[None, None], "share")]
                nodes.append(old.part("Mul", names, "part"))
            yield nodes[-1].output[0]


def _taps(grid: Array, size: int, mode: str, around: str, corners: bool) -> Taps:
    """(element, share) along one axis for each tap; ``grid`` runs from -1 to 1 over the axis."""
    at = (grid + 1) / 2 * (size - 1) if corners else ((grid + 1) * size - 1) / 2
    at = np.rint(at) if mode == "nearest" else at
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    outside = (at < low) | (at > high)
    if around == "border":
        if mode == "cubic" and bool(outside.any()):  # torch and the standard go on differently
            raise Refused("a cubic sample beyond the border is read in two ways", "Clip the grid")
        at = np.where(outside, np.clip(at, 0, size - 1), at)
    elif around == "reflection":
        at = np.where(outside, _reflected(at, low, high), at)
    elif around != "zeros":
        raise Refused(f"GridSample with padding_mode {around}", "Use zeros, border or reflection")
    first = np.floor(at)
    found = []
    for step, share in _interpolated(at - first, mode):
        place = first + step
        if around == "zeros":
            share = share * ((place >= 0) & (place < size))
        elif around == "reflection":
            place = np.trunc(_reflected(place, low, high))
        found.append((np.clip(place, 0, size - 1).astype(np.int64), share))
    return found


def _interpolated(part: Array, mode: str) -> list[tuple[int, Array]]:
    """(step from the first element, share) of each tap, ``part`` of the way to the next."""
    if mode == "nearest":
        return [(0, np.ones_like(part))]
    if mode == "linear":
        return [(0, 1 - part), (1, part)]
    if mode != "cubic":
        raise Refused(f"GridSample with mode {mode}", "Use nearest, linear or cubic")
    steps = [(step, np.abs(part - step)) for step in (-1, 0, 1, 2)]
    return [(step, _near(apart) if step in (0, 1) else _far(apart)) for step, apart in steps]


def _near(apart: Array) -> Array:
    """Keys' cubic up to a distance of 1."""
    return np.asarray(((_CUBIC + 2) * apart - (_CUBIC + 3)) * apart * apart + 1)


def _far(apart: Array) -> Array:
    """Keys' cubic from a distance of 1 to 2."""
    return np.asarray(_CUBIC * (((apart - 5) * apart + 8) * apart - 4))


def _reflected(at: Array, low: float, high: float) -> Array:
    """``at``, thrown back between ``low`` and ``high`` as often as needed.

    >>> _reflected(np.array([-1.0, 2.5, 4.0]), 0.0, 3.0).tolist()
    [1.0, 2.5, 2.0]
    """
    wide = high - low
    if wide <= 0:
        return np.full_like(at, low)
    back = np.mod(at - low, 2 * wide)
    return np.asarray(low + np.minimum(back, 2 * wide - back))


def _unpooled(old: Old) -> list[Any] | None:
    """MaxUnpool with constant indices, or with those of a MaxPool whose windows do not overlap."""
    if old.input(0) in old.constants and old.input(1) in old.constants:
        return None
    shape = old.kind(old.input(0)).shape
    kernel = tuple(old.attribute("kernel_shape"))
    strides = tuple(old.attribute("strides", (1,) * len(kernel)))
    pads = tuple(old.attribute("pads", (0,) * 2 * len(kernel)))
    sizes = zip(shape[2:], strides, kernel, strict=True)
    ends = zip(pads[: len(kernel)], pads[len(kernel) :], strict=True)
    whole = [(n - 1) * s + k - a - b for (n, s, k), (a, b) in zip(sizes, ends, strict=True)]
    out = (*shape[:2], *whole)
    if old.input(2) and tuple(old.given(2).reshape(-1).tolist()) != out:
        raise Refused("MaxUnpool to another shape", "Leave output_shape out")
    if old.input(1) in old.constants:
        return _placed(old, out)
    pool = old.makers.get(old.input(1))
    if pool is None or pool.op != "MaxPool" or not apart(pool, kernel, strides, old):
        raise Refused("MaxUnpool with these indices", _POOL)
    return back(old, old.input(0), pool.inputs[0], out, kernel)


def _placed(old: Old, out: Shape) -> list[Any]:
    """The values where constant indices say, zeros elsewhere."""
    indices = old.given(1).reshape(-1)
    places = np.zeros(prod(out), np.int64)
    places[indices] = 1 + np.arange(len(indices))
    flat = old.integers([-1], "flat")
    row = old.part("Reshape", [old.input(0), flat], "row")
    zero = old.constant(np.zeros(1, np.float32), "zero")
    both = old.part("Concat", [zero, row.output[0]], "both", axis=0)
    index = old.constant(places.reshape(out), "places")
    return [row, both, old.part("Gather", [both.output[0], index])]


def apart(pool: OnnxStep, kernel: Shape, strides: Shape, old: Old) -> bool:
    """Whether the windows of ``pool`` cover its data side by side, and are those of ``old``."""
    ones = (1,) * len(kernel)
    same = tuple(pool.attrs.get("kernel_shape", ())) == kernel == strides
    stepped = tuple(pool.attrs.get("strides", ones)) == strides
    plain = not any(pool.attrs.get("pads", ())) and not pool.attrs.get("storage_order", 0)
    dilated = tuple(pool.attrs.get("dilations", ones)) != ones
    sizes = old.kind(pool.inputs[0]).shape[2:]
    whole = not any(size % k for size, k in zip(sizes, kernel, strict=True))
    return same and stepped and plain and not dilated and whole


def back(
    old: Old, values: str, pooled: str, out: Shape, kernel: Shape, result: str = ""
) -> list[Any]:
    """Each of ``values`` where the pool found the first largest of its window, zeros beside it.

    ``result``: the part that the last node writes; by default it is the replacement's result.
    """
    rank = len(kernel)
    split = [out[0], out[1]]
    for size, k in zip(out[2:], kernel, strict=True):
        split += [size // k, k]
    order = [0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2)]
    outer = [split[a] for a in order[: 2 + rank]]

    def shaped(name: str, sizes: list[int], part: str) -> Any:
        shape = old.integers(sizes, "shape")
        return old.part("Reshape", [name, shape], part)

    windows = shaped(pooled, split, "windows")
    turned = old.part("Transpose", windows.output[:], "turned", perm=order)
    taps = shaped(turned.output[0], [*outer, prod(kernel)], "taps")
    chosen = old.part("Hardmax", taps.output[:], "chosen", axis=-1)
    each = shaped(values, [*outer, 1], "each")
    laid = old.part("Mul", [chosen.output[0], each.output[0]], "laid")
    spread = shaped(laid.output[0], [*outer, *kernel], "apart")
    turned_back = old.part("Transpose", spread.output[:], "back", perm=np.argsort(order).tolist())
    return [windows, turned, taps, chosen, each, laid, spread, turned_back,
            shaped(turned_back.output[0], list(out), result)]  # fmt: skip


STANDARD: dict[str, Rewrite] = {"GridSample": _sampled, "MaxUnpool": _unpooled}
