"""Cuts units out of a graph: every tensor and constant that they lie in gets smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mcuq.compress.groups import Structure
from mcuq.ir import Array, Graph, Hint, Node, Shape, Tensor
from mcuq.ops import spec
from mcuq.quantize.structure import WEIGHT_AXIS

Kept = Callable[[str], Array]
"""The indices that stay of an activation, along its axis."""


def remove(graph: Graph, found: Structure, removed: frozenset[int]) -> Graph:
    """``graph`` without the units ``removed``: the layers that read them lose the weights for them.

    It computes what ``graph`` would with those weights 0.
    """
    if not removed:
        return graph
    cut = _Cut(graph, found, removed)
    nodes = tuple(cut.node(node) for node in graph.nodes)
    return replace(graph, nodes=nodes, tensors=cut.tensors, hints=cut.hints)


def sizes_without(graph: Graph, found: Structure, removed: frozenset[int]) -> dict[str, Shape]:
    """The shape of every activation after ``remove``."""
    shapes = {}
    for name, channels in found.channels.items():
        shape = list(graph.shape(name))
        shape[channels.axis] = len(found.kept(name, removed))
        shapes[name] = tuple(shape)
    return shapes


class _Cut:
    def __init__(self, graph: Graph, found: Structure, removed: frozenset[int]) -> None:
        self.graph, self.found = graph, found
        self.kept = {name: found.kept(name, removed) for name in found.channels}
        self.tensors: dict[str, Tensor] = dict(graph.tensors)
        self.hints: dict[str, Hint] = dict(graph.hints)
        for name, shape in sizes_without(graph, found, removed).items():
            self.tensors[name] = replace(graph.tensors[name], shape=shape)

    def node(self, node: Node) -> Node:
        if node.op in WEIGHT_AXIS:
            return self._weighted(node)
        if node.op == "batch_norm":
            for name in node.inputs[1:]:
                self._take(name, 0, self.kept[node.output])
        if node.op in ("add", "sub", "mul"):
            self._operands(node)
        if node.op == "reshape":
            return node.with_attrs(shape=self.tensors[node.output].shape)
        if node.op == "pad":
            return self._per_channel(node, "value", node.output)
        return node

    def _weighted(self, node: Node) -> Node:
        x, weights, bias = node.inputs
        outputs = self.kept[node.output]
        self._take(weights, WEIGHT_AXIS[node.op], outputs)
        self._take(bias, 0, outputs)
        if node.op == "dense" or node.attrs.get("groups") == 1:
            self._take(weights, self.graph.data(weights).ndim - 1, self.kept[x])
        return self._per_channel(node, "pad_value", x) if "pad_value" in node.attrs else node

    def _operands(self, node: Node) -> None:
        """Cut a constant operand along the axis of the other, if it has that axis."""
        kept, axis = self.kept[node.output], self.found.channels[node.output].axis
        for name in (n for n in node.inputs if self.graph.is_constant(n)):
            shape = self.graph.shape(name)
            own = axis - len(self.graph.shape(node.output)) + len(shape)
            if own >= 0 and shape[own] > 1:
                self._take(name, own, kept)

    def _per_channel(self, node: Node, key: str, name: str) -> Node:
        """``node`` with an attribute of one value per last-axis channel cut like ``name``."""
        values = node.attrs[key]
        if len(values) == 1 or self.found.channels[name].axis != len(self.graph.shape(name)) - 1:
            return node
        return node.with_attrs(**{key: tuple(values[i] for i in self.kept[name])})

    def _take(self, name: str, axis: int, kept: Array) -> None:
        data: Any = self.tensors[name].data
        size = data.shape[axis]
        cut = np.ascontiguousarray(data.take(kept, axis))
        self.tensors[name] = Tensor(name, cut.shape, cut)
        hint = self.hints.get(name)
        if hint is not None and len(hint.scale) == size > 1 and axis == _scale_axis(cut):
            self.hints[name] = replace(hint, scale=tuple(hint.scale[i] for i in kept))


def _scale_axis(weights: Array) -> int:
    """Where a hint's scales per channel lie: last for depthwise weights (rank 3)."""
    return 2 if weights.ndim == 3 else 0


def cost_of(graph: Graph, shapes: Mapping[str, Shape], measure: str, layers: frozenset[str]) -> int:
    """MACs, or weights, of the nodes ``layers`` if the activations had these ``shapes``."""
    total = 0
    for node in graph.nodes:
        if node.name in layers and node.op in WEIGHT_AXIS:
            before = tuple(shapes[node.inputs[0]])
            after = tuple(shapes[node.output])
            weights = _weights_shape(graph, node, before, after)
            if measure == "macs":
                total += spec(node.op).macs(node, [before, weights], after)
            else:
                total += int(np.prod(weights))
    return total


def _weights_shape(graph: Graph, node: Node, before: Shape, after: Shape) -> Shape:
    shape = graph.shape(node.inputs[1])
    if node.op == "depthwise_conv2d":
        return (*shape[:2], after[-1])
    if node.op == "dense":
        return (after[-1], before[-1])
    depth = before[-1] if node.int("groups") == 1 else shape[3]
    return (after[-1], *shape[1:3], depth)
