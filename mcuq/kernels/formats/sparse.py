"""What the sparse variants share: the layers they run, and the distances between what is stored.

A sparse layer is an ordinary dense or conv2d node, many of whose weights are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.qir import QGraph


@dataclass(frozen=True)
class Pixels:
    """The output pixels; a dense layer has one. The pitches are bytes of the input."""

    rows: int = 1
    columns: int = 1
    row_pitch: int = 0
    pixel_pitch: int = 0

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def field(self) -> tuple[int, int, int, int]:
        """In the order of ``mcuq_sparse_pixels``."""
        return self.rows, self.columns, self.row_pitch, self.pixel_pitch


@dataclass(frozen=True, eq=False)
class Entries:
    """What is stored of sorted places, row by row, with fillers where a distance is too great.

    ``row``, ``source``, ``distance``: per entry; the source is the number of its place, -1 for a
    filler. The first distance of a row counts from column 0. ``counts``: entries per row.
    """

    row: Array
    source: Array
    distance: Array
    counts: Array

    @property
    def place(self) -> Array:
        """Per entry, how many of its row are before it."""
        starts = np.cumsum(self.counts) - self.counts
        places: Array = np.arange(len(self.row)) - starts[self.row]
        return places

    def values(self, values: Array) -> Array:
        """Per entry what ``values`` has for its place, zeros for a filler."""
        blank = np.zeros((1, *values.shape[1:]), values.dtype)
        found: Array = np.concatenate([values, blank])[self.source]
        return found


def matrix(node: Node, qgraph: QGraph) -> Array:
    """(out, in) int64."""
    weights = qgraph.data(node.inputs[1])
    flat: Array = weights.reshape(len(weights), -1).astype(np.int64)
    return flat


def is_layer(node: Node, qgraph: QGraph) -> bool:
    """Whether the node is dense, or a conv2d of 1x1 in one group that reads no padding."""
    if node.op == "dense":
        return True
    kernel = qgraph.tensor(node.inputs[1]).shape[1:3]
    if kernel != (1, 1) or node.int("groups") != 1 or any(node.ints("pads")[:2]):
        return False
    ends = zip(qgraph.tensor(node.output).shape[1:3], node.ints("strides"), strict=True)
    sizes = qgraph.tensor(node.inputs[0]).shape[1:3]
    return all((n - 1) * s < size for (n, s), size in zip(ends, sizes, strict=True))


def pixels(node: Node, qgraph: QGraph) -> Pixels:
    """The pixels of a layer for which ``is_layer`` is true."""
    if node.op == "dense":
        return Pixels()
    _, _, in_w, in_c = qgraph.tensor(node.inputs[0]).shape
    _, rows, columns, _ = qgraph.tensor(node.output).shape
    down, right = node.ints("strides")
    return Pixels(rows, columns, down * in_w * in_c, right * in_c)


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A pixel's inputs are all read before its outputs are written."""
    return gap_of_groups(node, qgraph, index, 1)


def gap_of_groups(node: Node, qgraph: QGraph, index: int, group: int) -> int | None:
    """The inputs of so many pixels are all read before their outputs are written."""
    if index != 0:
        return None
    at = pixels(node, qgraph)
    out_c = qgraph.tensor(node.output).shape[-1]
    pixel = np.arange(group, at.count, group)
    starts = pixel // at.columns * at.row_pitch + pixel % at.columns * at.pixel_pitch
    return max(0, int((pixel * out_c - starts).max(initial=0)))


def is_narrow(node: Node) -> bool:
    """Whether the output's range is less than int8's."""
    return (node.int("out_min"), node.int("out_max")) != (-128, 127)


def per_pixel(node: Node, qgraph: QGraph, rates: Sequence[float], terms: Sequence[int]) -> float:
    """The sum of rates times terms, for all pixels."""
    each = sum(rate * term for rate, term in zip(rates, terms, strict=True))
    return pixels(node, qgraph).count * each


def blocks(weights: Array) -> Array:
    """(out, in) -> (out, in / 4, 4), the inputs padded with zeros."""
    padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % 4)))
    return padded.reshape(len(weights), -1, 4)


def entries(row: Array, column: Array, rows: int, reach: int) -> Entries:
    """What to store so that no distance exceeds ``reach``.

    >>> entries(np.array([0, 0]), np.array([1, 4]), 1, 2).distance.tolist()
    [1, 2, 1]
    """
    first = np.diff(row, prepend=-1) != 0
    far = np.where(first, column, np.diff(column, prepend=0))
    fillers = np.maximum(far - 1, 0) // reach
    real = np.cumsum(fillers + 1) - 1
    total = len(row) + int(fillers.sum())
    distance, source = np.full(total, reach), np.full(total, -1)
    distance[real], source[real] = far - fillers * reach, np.arange(len(row))
    rows_of = np.repeat(row, fillers + 1)
    return Entries(rows_of, source, distance, np.bincount(rows_of, minlength=rows))
