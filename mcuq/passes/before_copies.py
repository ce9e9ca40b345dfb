"""Moves factors and constants per channel before the copy that follows a layer, to fold there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Tensor, unique_name
from mcuq.ops import has_weights
from mcuq.ops.movement import copy
from mcuq.passes.join_affine import affine_of
from mcuq.passes.rewrite import is_clipped, sole_consumer, swap, until_stable


def before_copies(graph: Graph) -> Graph:
    """``graph`` with layer, copy, batch_norm as layer, batch_norm, copy; sums and products too.

    It stays where a channel of the layer goes to several channels of the copy.
    """
    return until_stable(_before, graph)


def _before(graph: Graph, node: Node) -> Graph | None:
    found = _affine(graph, node)
    maker = None if found is None else _copy_of_layer(graph, node, found[0])
    if found is None or maker is None:
        return None
    return _moved(graph, maker, node, found[1], found[2])


def _affine(graph: Graph, node: Node) -> tuple[str, Array, Array] | None:
    if node.op == "batch_norm":
        return node.inputs[0], graph.data(node.inputs[1]), graph.data(node.inputs[2])
    return affine_of(graph, node)


def _copy_of_layer(graph: Graph, node: Node, data: str) -> Node | None:
    """The copy that makes ``data`` of the output of a layer, nobody else reading either."""
    maker = graph.producer(data)
    if maker is None or maker.op != "copy" or sole_consumer(graph, data) is not node:
        return None
    layer = graph.producer(maker.inputs[0])
    if layer is None or is_clipped(layer) or not (has_weights(layer) or layer.op == "batch_norm"):
        return None
    return maker if sole_consumer(graph, layer.output) is maker else None


def _moved(graph: Graph, maker: Node, node: Node, scale: Array, shift: Array) -> Graph | None:
    source, depth = copy.sources(maker), graph.shape(maker.inputs[0])[-1]
    before, after = source % depth, np.arange(len(source)) % len(scale)
    channel = np.zeros(depth, np.int64)
    channel[before] = after
    if (channel[before] != after).any():
        return None
    made = []
    for part, values in (("scale", scale), ("shift", shift)):
        name = unique_name(graph.tensors, f"{node.output}.{part}")
        made.append(Tensor(name, (depth,), np.ascontiguousarray(values[channel], np.float32)))
    middle = Tensor(unique_name(graph.tensors, f"{node.output}.phases"),
                    graph.shape(maker.inputs[0]))  # fmt: skip
    norm = Node("batch_norm", node.name, (maker.inputs[0], *(t.name for t in made)), (middle.name,))
    moved = replace(maker, inputs=(middle.name,), outputs=node.outputs)
    return swap(graph, [maker, node], [norm, moved], [*made, middle])
