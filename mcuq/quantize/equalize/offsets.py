"""Offsets that put the range of each channel into the middle of the integers.

A tensor that layers without padding read may be shifted by any amount per channel: the bias that
writes it and the biases behind it absorb that. Sums, pooling and reshapes hand the shift on, so the
tensors of a residual trunk are shifted together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import has_weights, spec
from mcuq.ops.spec import NO_CLIP, fused_clip
from mcuq.quantize import given

Terms = dict[str, int]
"""A tensor's offset as a sum: how many times that of each layer's output."""

Ends = Mapping[str, tuple[Array, Array]]
SWEEPS = 3


def shiftable(graph: Graph) -> frozenset[str]:
    """The activations that may have an offset per channel."""
    found = {node.output for node in graph.nodes if _writes(graph, node)}
    kept = given.kept_activations(graph).keys() | given.kept_weights(graph).keys()
    found -= {port.tensor for port in (*graph.inputs, *graph.outputs)} | kept
    found = {n for n in found if all(_reads(graph, c) for c in graph.consumers(n))}
    while True:
        stuck = {
            name
            for node in graph.nodes
            if not has_weights(node) and node.output not in found
            for name in node.inputs
        }
        if not found & stuck:
            return frozenset(found)
        found -= stuck


def _writes(graph: Graph, node: Node) -> bool:
    if fused_clip(node) != NO_CLIP:
        return False
    return _owns_constants(graph, node) if has_weights(node) else _hands_on(graph, node)


def _reads(graph: Graph, node: Node) -> bool:
    if has_weights(node):
        kept = node.inputs[1] in given.kept_weights(graph)
        return _owns_constants(graph, node) and not kept and not any(node.attrs.get("pads", ()))
    return _writes(graph, node)


def _owns_constants(graph: Graph, layer: Node) -> bool:
    return all(len(graph.consumers(name)) == 1 for name in layer.inputs[1:])


def _hands_on(graph: Graph, node: Node) -> bool:
    """Whether channels stay what they are; operands must be activations of one shape."""
    if not spec(node.op).offsets or any(node.attrs.get("pads", ())):
        return False
    if len(node.inputs) == 1:
        return graph.shape(node.inputs[0])[-1] == graph.shape(node.output)[-1]
    shapes = {graph.shape(name) for name in (*node.inputs, node.output)}
    return len(shapes) == 1 and not any(graph.is_constant(name) for name in node.inputs)


def terms_of(graph: Graph) -> dict[str, Terms]:
    """What each shiftable activation's offset is made of."""
    able = shiftable(graph)
    found: dict[str, Terms] = {}
    for node in graph.nodes:
        if node.output not in able:
            continue
        if has_weights(node):
            found[node.output] = {node.output: 1}
            continue
        total: Terms = {}
        for times, name in zip(spec(node.op).offsets, node.inputs, strict=True):
            for source, count in found.get(name, {}).items():
                total[source] = total.get(source, 0) + times * count
        found[node.output] = total
    return found


def offset_names(graph: Graph) -> set[str]:
    """The activations that ``choose_offsets`` looks at."""
    terms = [(name, made) for name, made in terms_of(graph).items() if made]
    return {name for name, _ in terms}.union(*(made for _, made in terms))


def choose_offsets(graph: Graph, ends: Ends, weights: Mapping[str, Array]) -> dict[str, Array]:
    """(C,) offsets by activation that make the ranges as small as they can be, seen from 0.

    ``ends``: the range of each channel; ``weights``: how much its error matters. Each layer's
    offset in turn is one that centres some tensor that depends on it, whichever is best.
    """
    terms = {name: made for name, made in terms_of(graph).items() if made and name in ends}
    sources = dict.fromkeys(source for made in terms.values() for source in made)
    offsets = {source: -(ends[source][0] + ends[source][1]) / 2 for source in sources}
    for _ in range(SWEEPS):
        for source in sources:
            members = {n: made for n, made in terms.items() if made.get(source)}
            offsets[source] = _best(source, members, offsets, ends, weights)
    return {name: _sum(made, offsets) for name, made in terms.items()}


def _best(
    source: str,
    members: Mapping[str, Terms],
    offsets: Mapping[str, Array],
    ends: Ends,
    weights: Mapping[str, Array],
) -> Array:
    """The offset of ``source``, per channel, with the least error of all ``members``."""
    options = []
    for name, made in members.items():
        rest = _sum(made, offsets) - made[source] * offsets[source]
        low, high = ends[name]
        options.append((-(low + high) / 2 - rest) / made[source])
    tried = np.array(options)
    errors = np.zeros(tried.shape)
    for name, made in members.items():
        shift = _sum(made, offsets) + made[source] * (tried - offsets[source])
        low, high = ends[name]
        errors += weights[name] * np.maximum(np.abs(low + shift), np.abs(high + shift)) ** 2
    found: Array = np.take_along_axis(tried, errors.argmin(axis=0)[None], axis=0)[0]
    return found


def _sum(made: Terms, offsets: Mapping[str, Array]) -> Array:
    total: Array = np.sum([count * offsets[source] for source, count in made.items()], axis=0)
    return total
