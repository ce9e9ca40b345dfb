"""What the passes share: asking who reads a tensor, and putting new nodes in the place of old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import (
    Array,
    Graph,
    Node,
    Shape,
    Tensor,
    rebuild,
    unique_name,
    with_hint_moved,
)
from mcuq.ops import is_view, spec
from mcuq.ops.spec import NO_CLIP, fused_clip

Nodes = Sequence[Node]
Rewrite = Callable[[Graph, Node], Graph | None]
"""The graph that is changed around a node; None where nothing is to be done."""


def until_stable(rewrite: Rewrite, graph: Graph) -> Graph:
    """``rewrite`` applied to the first node that it changes, until it changes none."""
    while (changed := _first(rewrite, graph)) is not None:
        graph = changed
    return graph


def _first(rewrite: Rewrite, graph: Graph) -> Graph | None:
    found = (rewrite(graph, node) for node in graph.nodes)
    return next((changed for changed in found if changed is not None), None)


def sole_consumer(graph: Graph, name: str) -> Node | None:
    """The only node that reads ``name``; None if there are others, or it is an output."""
    readers = graph.consumers(name)
    if len(readers) != 1 or graph.is_output(name) or readers[0].inputs.count(name) != 1:
        return None
    return readers[0]


def behind_views(graph: Graph, name: str) -> str:
    """What ``name`` is another shape of."""
    node = graph.producer(name)
    return behind_views(graph, node.inputs[0]) if node is not None and is_view(node) else name


def swap(graph: Graph, old: Nodes, new: Nodes, added: Iterable[Tensor] = ()) -> Graph:
    """``graph`` with the nodes ``new`` where the first of ``old`` was, and without ``old``.

    ``added``: tensors that are new.
    """
    return _swapped(graph, old, new, added, min)


def swap_last(graph: Graph, old: Nodes, new: Nodes, added: Iterable[Tensor] = ()) -> Graph:
    """As ``swap``, the new nodes standing where the last of ``old`` was."""
    return _swapped(graph, old, new, added, max)


def _swapped(
    graph: Graph,
    old: Nodes,
    new: Nodes,
    added: Iterable[Tensor],
    pick: Callable[[Sequence[int]], int],
) -> Graph:
    gone = set(map(id, old))
    place = pick([index for index, node in enumerate(graph.nodes) if id(node) in gone])
    nodes = [n for n in graph.nodes[:place] if id(n) not in gone]
    nodes += [*new, *(n for n in graph.nodes[place:] if id(n) not in gone)]
    return rebuild(graph, nodes, {**graph.tensors, **named(added)})


def constant(graph: Graph, name: str, data: Array) -> Tensor:
    """New data for the constant ``name``; under another name if others read it too."""
    readers = graph.consumers(name)
    shared = len(readers) != 1 or readers[0].inputs.count(name) != 1
    free = unique_name(graph.tensors, name) if shared else name
    return Tensor.of(free, np.ascontiguousarray(data, np.float32))


def with_constants(
    graph: Graph, node: Node, parts: Mapping[int, Array]
) -> tuple[Node, list[Tensor]]:
    """``node`` with new constants at the given inputs."""
    inputs, made = list(node.inputs), []
    for index, data in parts.items():
        tensor = constant(graph, inputs[index], data)
        inputs[index] = tensor.name
        made.append(tensor)
    return replace(node, inputs=tuple(inputs)), made


def named(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """The tensors by name."""
    return {tensor.name: tensor for tensor in tensors}


def allowed(node: Node, shapes: Sequence[Shape]) -> bool:
    """Whether the node keeps the limits of its operator."""
    return all(limit(node, shapes) for limit in spec(node.op).limits)


def shapes_of(graph: Graph, node: Node) -> list[Shape]:
    """The shapes of the node's inputs."""
    return [graph.shape(name) for name in node.inputs]


def is_clipped(node: Node) -> bool:
    """Whether the node limits its output."""
    return fused_clip(node) != NO_CLIP


def bypass(graph: Graph, node: Node) -> Graph | None:
    """``graph`` without ``node``, whose output equals its first input; None if it has to stay.

    It stays where an output of the network would become an input or another output.
    """
    source, output = node.inputs[0], node.output
    maker = graph.producer(source)
    others = [n for n in graph.nodes if n is not node]
    if not graph.is_output(output):
        renamed = [reading(n, output, source) for n in others]
        return rebuild(with_hint_moved(graph, output, source), renamed, graph.tensors)
    if maker is None or graph.is_output(source) or graph.shape(source) != graph.shape(output):
        return None
    renamed = [reading(_writing(n, source, output), source, output) for n in others]
    return rebuild(with_hint_moved(graph, source, output), renamed, graph.tensors)


def reading(node: Node, old: str, new: str) -> Node:
    """``node`` with the input ``new`` in the place of ``old``, if it reads that."""
    if old not in node.inputs:
        return node
    return replace(node, inputs=tuple(new if n == old else n for n in node.inputs))


def _writing(node: Node, old: str, new: str) -> Node:
    if old not in node.outputs:
        return node
    return replace(node, outputs=tuple(new if n == old else n for n in node.outputs))
