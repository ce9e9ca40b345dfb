"""Puts constant factors and terms behind a normalization into its scale and bias."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.normalize import periods
from mcuq.passes.rewrite import is_clipped, sole_consumer, swap, until_stable, with_constants


def join_norms(graph: Graph) -> Graph:
    """``graph`` without the products and sums with constants behind normalizations."""
    return until_stable(_as_one, graph)


def _as_one(graph: Graph, node: Node) -> Graph | None:
    follower = sole_consumer(graph, node.output)
    if node.op != "normalize" or is_clipped(node) or follower is None:
        return None
    joined = _joined(graph, node, follower)
    if joined is None:
        return None
    made, added = with_constants(graph, *joined)
    return swap(graph, (node, follower), (made,), added)


def _joined(graph: Graph, node: Node, follower: Node) -> tuple[Node, dict[int, Array]] | None:
    """The node that does both, with its scale and bias."""
    shape, affine = graph.shape(node.output), spec(follower.op).affine
    fixed = [i for i, name in enumerate(follower.inputs) if graph.is_constant(name)]
    if affine is None or len(fixed) != 1 or graph.shape(follower.output) != shape:
        return None
    count = prod(shape)
    scale, bias = (
        np.tile(graph.data(n).astype(np.float64), count // graph.data(n).size)
        for n in node.inputs[1:]
    )
    data = graph.data(follower.inputs[fixed[0]]).astype(np.float64)
    factor, term = affine(fixed[0], np.broadcast_to(data, shape).reshape(-1))
    scale, bias = scale * factor, bias * factor + term
    period = next(p for p in periods(node) if _repeats(scale, p) and _repeats(bias, p))
    made = replace(
        node, outputs=follower.outputs, attrs={**node.attrs, "clip": follower.attrs["clip"]}
    )
    return made, {1: scale[:period], 2: bias[:period]}


def _repeats(data: Array, period: int) -> bool:
    rows = data.reshape(-1, period)
    return bool((rows == rows[:1]).all())
