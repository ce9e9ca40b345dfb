"""What the plain variants of max_pool2d and avg_pool2d share: geometry, and who may overlap."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain.weighted import Rates, placement
from mcuq.kernels.variant import Field
from mcuq.ops.parts.windows import Window, window
from mcuq.qir import QGraph


def pool_window(node: Node) -> Window:
    """The sliding window of a pool."""
    return window(node, node.ints("kernel"))


def geometry(node: Node, qgraph: QGraph) -> tuple[Field, ...]:
    """The members with which both parameter structs begin."""
    _, in_h, in_w, channels = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    numbers = {
        "in_h": in_h,
        "in_w": in_w,
        "channels": channels,
        "out_h": out_h,
        "out_w": out_w,
        **placement(pool_window(node)),
    }
    return tuple(Field(name, value) for name, value in numbers.items())


def cost(node: Node, qgraph: QGraph, rates: Rates) -> float:
    """Instructions, given those per pixel of the output, per output, and per element read.

    The kernels take four channels at a time; one that is left over reads as slowly as two of these.
    """
    win = pool_window(node)
    _, in_h, in_w, channels = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    rows, columns = (int(win.counts(a, size).sum()) for a, size in enumerate((in_h, in_w)))
    work = channels + channels % 4
    counts = (out_h * out_w, out_h * out_w * channels, rows * columns * work)
    return sum(rate * count for rate, count in zip(rates, counts, strict=True))


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """How far before the input the output has to start.

    The kernels read some neighbouring channels of a window, write them, and go on to the next.
    With first(o) the input pixel of the first tap inside of output pixel o, the earliest byte still
    to be read behind channel c is first(o) * C + c + 1 in this pixel, first(o') * C in a later one.
    Nothing is lost if the byte written, o * C + c - gap, lies before all of these:
    gap >= (o - first(o)) * C for every o suffices (for o' > o as o * C + c < o' * C).
    """
    win = pool_window(node)
    _, in_h, in_w, channels = qgraph.tensor(node.inputs[0]).shape
    first_row, first_column = _first(win, 0, in_h), _first(win, 1, in_w)
    rows = np.arange(len(first_row)) * len(first_column) - first_row * in_w
    columns = np.arange(len(first_column)) - first_column
    return max(0, int(rows.max() + columns.max())) * channels


def _first(win: Window, axis: int, size: int) -> Array:
    """The first row (axis 0) or column inside the image of each place of the window."""
    tap = win.inside(axis, size)[0]
    place = np.arange(len(tap))
    found: Array = place * win.strides[axis] - win.pads[axis] + tap * win.dilations[axis]
    return found
