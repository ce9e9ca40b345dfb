"""What a weighted layer reads and computes, for the steps that work layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.ops.parts import windows
from mcuq.ops.parts.exact import (
    MANTISSA,
    MOST_TERMS,
    channel_peaks,
    power_above,
    snapped,
    units,
    windows_of,
)
from mcuq.quantize.given import kept_weights
from mcuq.quantize.structure import weighted
from mcuq.reference import exact_of

MAX_DEPTH = 2048
"""Layers with more weights per output keep the simple rounding: the cost grows as the cube."""

_MAX_COLUMNS = 1 << 20
"""At most about this many elements are unfolded at once."""


@dataclass(frozen=True)
class Moments:
    """Of a layer's inputs, exact (a) and rounded (q), each (groups, depth), with a = q + d.

    ``covariance``: E[q q'] - E[q] E[q]', ``cross``: E[d q'] - E[d] E[q]', (groups, depth, depth).
    """

    mean_exact: Array
    mean_rounded: Array
    covariance: Array
    cross: Array


def own_layers(graph: Graph) -> tuple[Node, ...]:
    """The weighted nodes whose weights and bias no other node reads, and no model has given."""
    kept = kept_weights(graph)
    return tuple(
        node
        for node in weighted(graph)
        if node.inputs[1] not in kept
        and all(len(graph.consumers(name)) == 1 for name in node.inputs[1:])
    )


def moments(node: Node, graph: Graph, exact: Array, padded: Node, rounded: Array) -> Moments:
    """The moments over all rows and positions of ``exact`` and ``rounded`` inputs of ``node``.

    ``padded``: ``node`` with the padding of the rounded network.
    """
    rows = max(1, _MAX_COLUMNS // max(1, _unfolded_size(node, graph)))
    rows = min(rows, max(1, MOST_TERMS // _positions(node, graph)))
    images = [_image(node, graph, exact), _image(padded, graph, rounded)]
    bits = (MANTISSA - 1 - (rows * _positions(node, graph)).bit_length()) // 2
    unit = units(power_above(np.max([channel_peaks(i) for i in images], axis=0)), bits)
    sums = Sums()
    for first in range(0, len(exact), rows):
        a, q = (
            _unfolded(node, graph, snapped(i[first : first + rows].double(), unit)) for i in images
        )
        sums.add(a, q)
    return sums.moments()


class Sums:
    """Sums over unfolded inputs, seen from the first ones: those of constant inputs are 0.

    The inputs lie on a grid on which the sums of a part are exact.
    """

    def __init__(self) -> None:
        self._start: Any = None
        self._total: list[Any] = []
        self._count = 0

    def add(self, a: Any, q: Any) -> None:
        """More rows of exact and rounded inputs, (groups, N, depth)."""
        if self._start is None:
            self._start = q[:, :1].clone()
        d, q = a - q, q - self._start
        found = [d.sum(1), q.sum(1), q.mT @ q, d.mT @ q]
        if self._total:
            found = [t + s for t, s in zip(self._total, found, strict=True)]
        self._total = found
        self._count += a.shape[1]

    def moments(self) -> Moments:
        d, q, square, cross = (np.asarray(t.numpy()) / self._count for t in self._total)
        covariance = square - q[:, :, None] * q[:, None, :]
        variance = np.einsum("gkk->gk", covariance)
        np.maximum(variance, 0.0, out=variance)
        mean_q = q + self._start[:, 0].numpy()
        return Moments(mean_q + d, mean_q, covariance, cross - d[:, :, None] * q[:, None, :])


def columns(node: Node, graph: Graph, x: Any) -> Any:
    """(N, ...) torch -> (groups, N * positions, depth): what each output is a dot product with."""
    return _unfolded(node, graph, _image(node, graph, x))


def _image(node: Node, graph: Graph, x: Any) -> Any:
    """What the windows of ``node`` move over: ``x`` (torch or numpy), padded if need be."""
    import torch

    x, layout = torch.as_tensor(x), layout_of(node)
    if not layout.taps:
        return x
    win = windows.window(node, layout.kernel(graph.shape(node.inputs[1])))
    return windows.padded_float(x, win, node.attrs["pad_value"])


def _unfolded(node: Node, graph: Graph, image: Any) -> Any:
    """The columns of a padded image."""
    layout = layout_of(node)
    if not layout.taps:
        return image.reshape(1, len(image), -1)
    kernel, groups = layout.kernel(graph.shape(node.inputs[1])), _groups(node, graph)
    spans = windows_of(image, windows.window(node, kernel))
    split = spans.reshape(*spans.shape[:3], groups, -1, *spans.shape[4:]).permute(
        3, 0, 1, 2, 4, 5, 6
    )
    return split.reshape(groups, split.shape[1:4].numel(), -1)


def _groups(node: Node, graph: Graph) -> int:
    return layout_of(node).groups(node, graph.shape(node.inputs[0])[-1])


def to_rows(node: Node, graph: Graph, weights: Array) -> Array:
    """Weights -> (groups, outputs per group, depth), ordered as ``columns``."""
    return layout_of(node).to_rows(weights, _groups(node, graph))


def from_rows(node: Node, graph: Graph, rows: Array) -> Array:
    """The inverse of ``to_rows``."""
    return layout_of(node).from_rows(rows, graph.shape(node.inputs[1]))


def depth_of(node: Node, graph: Graph) -> int:
    """The number of weights behind one output."""
    return layout_of(node).depth(graph.shape(node.inputs[1]))


def _positions(node: Node, graph: Graph) -> int:
    return prod(graph.shape(node.output)[1:-1])


def _unfolded_size(node: Node, graph: Graph) -> int:
    return _positions(node, graph) * _groups(node, graph) * depth_of(node, graph)


def before_clip(node: Node, x: Array, weights: Array, bias: Array) -> Array:
    """What a weighted ``node`` makes of ``x`` before its clip."""
    import torch

    bare = node.with_attrs(clip=(-np.inf, np.inf))
    with torch.no_grad():
        inputs = [torch.from_numpy(np.array(a, np.float32)) for a in (x, weights, bias)]
        y: Array = exact_of(bare)(bare, inputs).numpy()
    return y


def channel_means(values: Array) -> Array:
    """The mean of each last-axis channel over all rows and positions, float64."""
    means: Array = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    return means
