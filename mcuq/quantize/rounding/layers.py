"""What a weighted layer reads and computes, for the steps that work layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import float_of, layout_of
from mcuq.quantize.given import kept_weights
from mcuq.quantize.structure import weighted

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
    import torch

    total: list[Any] = []
    count = 0
    rows = max(1, _MAX_COLUMNS // max(1, _unfolded_size(node, graph)))
    for first in range(0, len(exact), rows):
        a = columns(node, graph, torch.from_numpy(exact[first : first + rows]))
        q = columns(padded, graph, torch.from_numpy(rounded[first : first + rows]))
        d = a - q
        sums = [a.sum(1), q.sum(1), q.transpose(1, 2) @ q, d.transpose(1, 2) @ q]
        total = (
            [s.double() for s in sums]
            if not total
            else [t + s for t, s in zip(total, sums, strict=True)]
        )
        count += a.shape[1]
    mean_a, mean_q, square, cross = (np.asarray(t.numpy()) / count for t in total)
    mean_d = mean_a - mean_q
    return Moments(
        mean_a,
        mean_q,
        square - mean_q[:, :, None] * mean_q[:, None, :],
        cross - mean_d[:, :, None] * mean_q[:, None, :],
    )


def columns(node: Node, graph: Graph, x: Any) -> Any:
    """(N, ...) torch -> (groups, N * positions, depth): what each output is a dot product with."""
    import torch

    layout = layout_of(node)
    if not layout.taps:
        return x.reshape(1, len(x), -1)
    kernel, groups = layout.kernel(graph.shape(node.inputs[1])), _groups(node, graph)
    top, left, bottom, right = node.ints("pads")
    channels = x.shape[-1]
    values = x.new_tensor([float(v) for v in node.attrs["pad_value"]]).expand(channels)
    padded = torch.nn.functional.pad(x - values, (0, 0, left, right, top, bottom)) + values
    unfolded = torch.nn.functional.unfold(
        padded.permute(0, 3, 1, 2), kernel, node.ints("dilations"), 0, node.ints("strides")
    )
    split = unfolded.reshape(len(x), groups, -1, unfolded.shape[-1])
    return split.permute(1, 0, 3, 2).reshape(groups, -1, split.shape[2])


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


def _unfolded_size(node: Node, graph: Graph) -> int:
    positions = prod(graph.shape(node.output)[1:-1])
    return positions * _groups(node, graph) * depth_of(node, graph)


def before_clip(node: Node, x: Array, weights: Array, bias: Array) -> Array:
    """What a weighted ``node`` makes of ``x`` before its clip."""
    import torch

    bare = node.with_attrs(clip=(-np.inf, np.inf))
    with torch.no_grad():
        inputs = [torch.from_numpy(np.array(a, np.float32)) for a in (x, weights, bias)]
        y: Array = float_of(bare)(bare, inputs).numpy()
    return y


def channel_means(values: Array) -> Array:
    """The mean of each last-axis channel over all rows and positions, float64."""
    means: Array = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    return means
