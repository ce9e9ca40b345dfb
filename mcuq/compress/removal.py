"""Cuts units out of a graph: every tensor and constant that they lie in gets smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcuq.compress.groups import Structure, has_units
from mcuq.ir import Array, Graph, Node, Shape, Tensor, shape_with
from mcuq.ops import has_weights, layout_of, spec
from mcuq.ops.spec import Flow

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
    return {
        name: shape_with(graph.shape(name), channels.axis, len(found.kept(name, removed)))
        for name, channels in found.channels.items()
    }


class _Cut:
    def __init__(self, graph: Graph, found: Structure, removed: frozenset[int]) -> None:
        self.graph, self.found = graph, found
        self.kept = {name: found.kept(name, removed) for name in found.channels}
        sizes = sizes_without(graph, found, removed)
        resized = {name: replace(graph.tensors[name], shape=sizes[name]) for name in sizes}
        self.tensors, self.hints = {**graph.tensors, **resized}, dict(graph.hints)

    def node(self, node: Node) -> Node:
        """``node`` with what it says of channels that go; its constants are cut on the way."""
        op = spec(node.op)
        if has_weights(node):
            self._weights(node)
        if has_units(self.graph, node):
            self._gates(node)
        for index in op.per_channel:
            self._take(node.inputs[index], 0, self.kept[node.output])
        if op.flow is Flow.POINTWISE:
            self._operands(node)
        shape = self.tensors[node.output].shape
        return op.cut(node, shape, self._channels(node.inputs[0]), self._channels(node.output))

    def _weights(self, node: Node) -> None:
        x, weights = node.inputs[:2]
        layout = layout_of(node)
        self._take(weights, layout.outputs, self.kept[node.output], layout.outputs)
        if layout.inputs is not None and layout.groups(node, self.graph.shape(x)[-1]) == 1:
            self._take(weights, layout.inputs, self.kept[x], layout.outputs)

    def _gates(self, node: Node) -> None:
        """Cut both matrices, biases and starts, which lie gate after gate."""
        x, y = node.inputs[0], node.output
        units, kept = self.graph.shape(y)[-1], self.kept[y]
        if len(kept) < units:
            for name in node.inputs[1:]:
                gates = range(0, self.graph.shape(name)[0], units)
                self._take(name, 0, np.concatenate([kept + first for first in gates]))
            self._take(node.inputs[2], 1, kept)
        self._take(node.inputs[1], 1, self.kept[x])

    def _operands(self, node: Node) -> None:
        """Cut a constant operand along the axis of the other, if it has that axis."""
        kept, axis = self.kept[node.output], self.found.channels[node.output].axis
        for name in (n for n in node.inputs if self.graph.is_constant(n)):
            shape = self.graph.shape(name)
            own = axis - len(self.graph.shape(node.output)) + len(shape)
            if own >= 0 and shape[own] > 1:
                self._take(name, own, kept)

    def _channels(self, name: str) -> Array | None:
        """The kept indices of the last axis; None if channels go along another."""
        found = self.found.channels.get(name)
        last = found is not None and found.axis == len(self.graph.shape(name)) - 1
        return self.kept[name] if last else None

    def _take(self, name: str, axis: int, kept: Array, scale_axis: int = 0) -> None:
        """Cut a constant; ``scale_axis``: where the scales of its hint lie."""
        data: Any = self.tensors[name].data
        size = data.shape[axis]
        cut = np.ascontiguousarray(data.take(kept, axis))
        self.tensors[name] = Tensor.of(name, cut)
        hint = self.hints.get(name)
        if hint is not None and len(hint.scale) == size > 1 and axis == scale_axis:
            self.hints[name] = replace(hint, scale=tuple(hint.scale[i] for i in kept))


def cost_of(graph: Graph, shapes: Mapping[str, Shape], measure: str, layers: frozenset[str]) -> int:
    """MACs, or weights, of the nodes ``layers`` if the activations had these ``shapes``."""
    total = 0
    for node in graph.nodes:
        if node.name in layers:
            before = tuple(shapes[node.inputs[0]])
            after = tuple(shapes[node.output])
            matrices = _matrices_shapes(graph, node, before, after)
            if measure == "macs":
                total += spec(node.op).macs(node, [before, *matrices], after)
            else:
                total += sum(map(prod, matrices))
    return total


def _matrices_shapes(graph: Graph, node: Node, before: Shape, after: Shape) -> list[Shape]:
    """Of the weights; of a recurrent layer of those for its input and for its state."""
    shape = graph.shape(node.inputs[1])
    if not has_weights(node):
        rows = shape[0] // graph.shape(node.output)[-1] * after[-1]
        return [(rows, before[-1]), (rows, after[-1])]
    layout, channels = layout_of(node), graph.shape(node.inputs[0])[-1]
    one_group = layout.groups(node, channels) == 1
    return [layout.resized(shape, before[-1] if one_group else None, after[-1])]
