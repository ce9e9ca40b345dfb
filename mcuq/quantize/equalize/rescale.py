"""The same network with its activations multiplied and shifted, channel by channel.

An activation ``x`` becomes ``x * factor + offset``: the weights and the bias that write it absorb
both, those that read it take them back. Nothing changes at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Tensor
from mcuq.ops import clip, has_weights, layout_of, spec
from mcuq.ops.spec import NO_CLIP, Scaling, fused_clip
from mcuq.quantize.state import State


@dataclass(frozen=True)
class Change:
    """(C,) factors > 0 and offsets by activation; tensors without any stay as they are."""

    factors: Mapping[str, Array]
    offsets: Mapping[str, Array] = field(default_factory=dict)

    def factor(self, name: str) -> Array | float:
        return self.factors.get(name, 1.0)

    def offset(self, name: str) -> Array | float:
        return self.offsets.get(name, 0.0)


def rescaled(state: State, change: Change) -> State:
    """``state`` with a changed graph; the numbers are to be chosen anew."""
    graph = state.graph
    tensors = dict(graph.tensors)
    nodes = tuple(_node(node, graph, tensors, change) for node in graph.nodes)
    outer = dict(state.factors)
    for port in graph.outputs:
        if port.tensor in change.factors:
            factor = float(change.factors[port.tensor][0])
            outer[port.tensor] = outer.get(port.tensor, 1.0) * factor
    changed = replace(graph, nodes=nodes, tensors=tensors)
    return _known(state.with_(graph=changed, factors=outer), change)


def _known(state: State, change: Change) -> State:
    """What is known of the activations, in the new scale."""
    seen, sensitivity, ranges = dict(state.seen), dict(state.sensitivity), dict(state.ranges)
    limits = {n.output: n.attrs["clip"] for n in state.graph.nodes if "clip" in n.attrs}
    for name in {*change.factors, *change.offsets} & state.seen.keys():
        factor, offset = change.factor(name), change.offset(name)
        seen[name] = seen[name].affine(factor, offset).limited(*limits.get(name, NO_CLIP))
        ranges[name] = seen[name].bounds
        if name in sensitivity:
            sensitivity[name] = sensitivity[name] / factor**2
    return state.with_(seen=seen, sensitivity=sensitivity, ranges=ranges)


def _node(node: Node, graph: Graph, tensors: dict[str, Tensor], change: Change) -> Node:
    if has_weights(node):
        return _layer(node, graph, tensors, change)
    if spec(node.op).scaling is Scaling.ABSORBED and node.inputs[0] in change.factors:
        return spec(node.op).rescaled(node, change.factors[node.inputs[0]])
    scaled = change.factors.get(node.output)
    if scaled is None:
        return node
    for name in node.inputs:
        if graph.is_constant(name):
            data = graph.data(name) * scaled.astype(np.float32)
            tensors[name] = Tensor(name, data.shape, data.astype(np.float32))
    return _bounds(node, scaled)


def _layer(node: Node, graph: Graph, tensors: dict[str, Tensor], change: Change) -> Node:
    source, w, b = node.inputs
    weights = graph.data(w).astype(np.float64)
    bias = graph.data(b).astype(np.float64)
    layout = layout_of(node)
    if source in change.factors:
        weights = weights / layout.per_weight(node, weights.shape, change.factors[source])
    if source in change.offsets:
        others = tuple(i for i in range(weights.ndim) if i != layout.outputs)
        shifts = layout.per_weight(node, weights.shape, change.offsets[source])
        bias = bias - (weights * shifts).sum(axis=others)
    if node.output in change.factors:
        factor = change.factors[node.output]
        weights = weights * layout.along_outputs(factor)
        bias = bias * factor
        node = _bounds(node, factor)
    bias = bias + change.offset(node.output)
    for name, data in ((w, weights), (b, bias)):
        tensors[name] = Tensor(name, data.shape, data.astype(np.float32))
    return node


def _bounds(node: Node, factor: Array) -> Node:
    """``node`` with its bounds and padding in the new scale."""
    if "clip" in node.attrs:
        node = node.with_attrs(clip=clip.scaled(fused_clip(node), factor))
    return spec(node.op).rescaled(node, factor)
