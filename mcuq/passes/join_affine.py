"""Turns products and sums with constants per channel into batch_norm where that can fold.

It can where a convolution or dense layer is next to it, before or after; elsewhere the product or
sum stays, since a scalar one is a table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Tensor, unique_name
from mcuq.ops import has_weights, spec
from mcuq.passes.rewrite import is_clipped, sole_consumer, swap, until_stable


def join_affine(graph: Graph) -> Graph:
    """``graph`` with the affine nodes beside weighted layers as batch_norm, one per chain."""
    return until_stable(_as_one, graph)


def _as_one(graph: Graph, node: Node) -> Graph | None:
    follower = sole_consumer(graph, node.output)
    if follower is not None and node.op == follower.op == "batch_norm":
        return _joined(graph, node, follower)
    found = affine_of(graph, node)
    if found is None or not _beside_weights(graph, node):
        return None
    return _as_batch_norm(graph, node, *found)


def affine_of(graph: Graph, node: Node) -> tuple[str, Array, Array] | None:
    """(data, scale, shift) per channel of an operator with a constant operand; None if not such."""
    affine = spec(node.op).affine
    if affine is None or is_clipped(node):
        return None
    fixed = [i for i in (0, 1) if graph.is_constant(node.inputs[i])]
    if len(fixed) != 1:
        return None
    data = node.inputs[1 - fixed[0]]
    values = graph.data(node.inputs[fixed[0]]).astype(np.float64)
    channels = graph.shape(data)[-1]
    if graph.shape(node.output) != graph.shape(data) or values.size not in (1, channels):
        return None
    if values.size > 1 and values.shape[-1] != channels:
        return None
    flat = np.broadcast_to(values.reshape(-1), (channels,))
    return data, *affine(fixed[0], flat)


def _beside_weights(graph: Graph, node: Node) -> bool:
    """Whether a chain of affine nodes around this one touches a weighted layer that can take it."""
    maker = graph.producer(next(n for n in node.inputs if not graph.is_constant(n)))
    if maker is not None and sole_consumer(graph, maker.output) is node:
        if maker.op == "batch_norm" or (has_weights(maker) and not is_clipped(maker)):
            return True
        if affine_of(graph, maker) is not None and _beside_weights(graph, maker):
            return True
    return _before_weights(graph, node)


def _before_weights(graph: Graph, node: Node) -> bool:
    follower = sole_consumer(graph, node.output)
    while follower is not None and affine_of(graph, follower) is not None:
        follower = sole_consumer(graph, follower.output)
    return follower is not None and (has_weights(follower) or follower.op == "batch_norm")


def _as_batch_norm(graph: Graph, node: Node, data: str, scale: Array, shift: Array) -> Graph:
    made = _constants(graph, node, scale, shift)
    norm = Node("batch_norm", node.name, (data, *(t.name for t in made)), node.outputs)
    return swap(graph, [node], [norm], made)


def _constants(graph: Graph, node: Node, scale: Array, shift: Array) -> list[Tensor]:
    """What a batch_norm in the place of ``node`` reads."""
    tensors = []
    for part, values in (("scale", scale), ("shift", shift)):
        name = unique_name(graph.tensors, f"{node.output}.{part}")
        tensors.append(Tensor.of(name, values.astype(np.float32)))
    return tensors


def _joined(graph: Graph, first: Node, then: Node) -> Graph:
    scale_1, shift_1, scale_2, shift_2 = (
        graph.data(n).astype(np.float64) for n in (*first.inputs[1:], *then.inputs[1:])
    )
    made = _constants(graph, then, scale_1 * scale_2, shift_1 * scale_2 + shift_2)
    norm = replace(then, inputs=(first.inputs[0], *(t.name for t in made)))
    return swap(graph, [first, then], [norm], made)
