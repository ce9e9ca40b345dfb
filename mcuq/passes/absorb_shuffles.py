"""Leaves out shuffles of channels that the layers behind them can do: their weights change places.

A layer that sums up all channels reads them in any order. One that treats each channel apart, such
as a depthwise convolution or a pool, hands the order on to what reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Tensor, rebuild
from mcuq.ops import has_weights, is_view, layout_of, spec
from mcuq.ops.spec import Flow
from mcuq.passes.melt_moves import is_movement, source_of
from mcuq.passes.rewrite import constant, named, sole_consumer, until_stable


def absorb_shuffles(graph: Graph) -> Graph:
    """``graph`` without the shuffles whose every reader ends in layers that can do them."""
    return until_stable(_without, graph)


def _without(graph: Graph, node: Node) -> Graph | None:
    """``graph`` without the shuffle that ``node`` is."""
    for root, end in _ends(graph, node) if is_movement(node) else ():
        order = _shuffle(graph, node, root, end)
        readers = None if order is None else _readers(graph, end)
        if order is not None and readers is not None:
            return _absorbed(graph, root, end, order, readers)
    return None


def _ends(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    """Tensors of one shape before and behind the movement, with nothing but views between."""
    before, behind = [node.inputs[0]], [node.output]
    while (maker := graph.producer(before[-1])) is not None and is_view(maker):
        before.append(maker.inputs[0])
    while (reader := sole_consumer(graph, behind[-1])) is not None and is_view(reader):
        behind.append(reader.output)
    for root in before:
        for end in behind:
            if graph.shape(root) == graph.shape(end) and len(graph.shape(root)) > 1:
                yield root, end


def _shuffle(graph: Graph, node: Node, root: str, end: str) -> Array | None:
    """Which channel of ``root`` is each channel of ``end``; None if more than these are moved."""
    channels = graph.shape(root)[-1]
    places = source_of(graph, node).reshape(-1, channels)
    order = places[0]
    rows = np.arange(len(places))[:, None] * channels
    same = np.array_equal(places, rows + order) and np.array_equal(
        np.sort(order), np.arange(channels)
    )
    return order if same and graph.hints.get(root) == graph.hints.get(end) else None


def _readers(graph: Graph, end: str) -> list[Node] | None:
    """All that has to change if the channels of ``end`` come in another order; None: it cannot."""
    found: list[Node] = []
    waiting = [end]
    while waiting:
        name = waiting.pop()
        if graph.is_output(name):
            return None
        for node in graph.consumers(name):
            if not _takes(graph, node, name):
                return None
            found.append(node)
            if not _sums(node):
                waiting.append(node.output)
    return found


def _takes(graph: Graph, node: Node, name: str) -> bool:
    """Whether the node can read the channels of ``name`` in another order."""
    channels = graph.shape(name)[-1]
    padding = node.attrs.get("pad_value")
    each = isinstance(padding, tuple) and len(padding) == channels
    if has_weights(node):
        alone = not graph.hints.keys() & set(node.inputs[1:])
        whole = int(node.attrs.get("groups", 1)) == 1 if _sums(node) else True
        same = _sums(node) or graph.shape(node.output)[-1] == channels
        return node.inputs[0] == name and alone and whole and same and not each
    apart = spec(node.op).flow in (Flow.EACH, Flow.POINTWISE)
    apart = apart or (is_view(node) and graph.shape(node.output)[-1] == channels)
    return apart and len(node.inputs) == 1 and not each


def _sums(node: Node) -> bool:
    """Whether it is a layer each of whose outputs is made of all channels."""
    return has_weights(node) and layout_of(node).inputs is not None


def _absorbed(graph: Graph, root: str, end: str, order: Array, readers: list[Node]) -> Graph:
    """``graph`` whose ``readers`` read ``root``, or what is made of it, in its own order."""
    back = np.argsort(order)
    made: list[Tensor] = []
    changed: dict[str, Node] = {}
    for node in readers:
        inputs = [root if name == end else name for name in node.inputs]
        if has_weights(node):
            fresh = _weights(graph, node, back)
            inputs[1 : 1 + len(fresh)] = [tensor.name for tensor in fresh]
            made += fresh
        changed[node.name] = replace(node, inputs=tuple(inputs))
    nodes = [changed.get(node.name, node) for node in graph.nodes]
    return rebuild(graph, nodes, {**graph.tensors, **named(made)})


def _weights(graph: Graph, node: Node, back: Array) -> list[Tensor]:
    """The layer's weights, and if each channel is apart its biases, in the other order."""
    layout, name = layout_of(node), node.inputs[1]
    if layout.inputs is not None:
        return [constant(graph, name, graph.data(name).take(back, layout.inputs))]
    weights = graph.data(name).take(back, layout.outputs)
    bias = constant(graph, node.inputs[2], graph.data(node.inputs[2])[back])
    return [constant(graph, name, weights), bias]
