"""Makes one copy of movements in a row, and of the parts of a tensor that a concat joins again."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from mcuq.ir import Graph, Node, with_hint_moved
from mcuq.ops import is_view, spec
from mcuq.ops.movement import copy
from mcuq.ops.movement.copy import Map
from mcuq.ops.spec import Values
from mcuq.passes.rewrite import behind_views, sole_consumer, swap_last, until_stable

_TABLE = 64
"""A copy made of others may need a table of so many places even where they need none."""


def melt_moves(graph: Graph) -> Graph:
    """``graph`` with chains of copies, transposes and views between them as one copy each.

    Chains of which another node reads a part stay, and those that only a long table could do at
    once. A concat melts if all that it joins is moved from one tensor; what takes elements of one
    of its operands alone, such as one layer's last state of several, reads that operand.
    """
    return until_stable(_melted, graph)


def _melted(graph: Graph, node: Node) -> Graph | None:
    if node.op == "concat":
        return _concat(graph, node)
    return (_chain(graph, node) or _past_concat(graph, node)) if is_movement(node) else None


def is_movement(node: Node) -> bool:
    """Whether the node writes elements of its one input, and nothing else."""
    op = spec(node.op)
    return node.op == "copy" or (op.moved is not None and op.values is Values.SAME)


def source_of(graph: Graph, node: Node) -> Map:
    """For each element of the output its place in the input of a movement."""
    if node.op == "copy":
        return copy.sources(node)
    shape, moved = graph.shape(node.inputs[0]), spec(node.op).moved
    places = np.arange(prod(shape)).reshape(shape)
    return places.reshape(-1) if moved is None else moved(node, [places], -1).reshape(-1)


def _maker(graph: Graph, name: str) -> Node | None:
    """The movement that makes ``name``, views between them; None if others read it too."""
    node = graph.producer(name)
    while node is not None and sole_consumer(graph, node.output) is not None:
        if is_movement(node):
            return node
        node = graph.producer(node.inputs[0]) if is_view(node) else None
    return None


def _chain(graph: Graph, node: Node) -> Graph | None:
    maker = _maker(graph, node.inputs[0])
    if maker is None:
        return None
    source = source_of(graph, maker)[source_of(graph, node)]
    return _one(graph, [maker, node], maker.inputs[0], source)


def _past_concat(graph: Graph, node: Node) -> Graph | None:
    """A copy of the one operand of a concat that all elements come from."""
    joined = graph.producer(behind_views(graph, node.inputs[0]))
    if joined is None or joined.op != "concat":
        return None
    sizes = [prod(graph.shape(name)) for name in joined.inputs]
    ends = np.cumsum(sizes)
    parts = [
        np.arange(end - size, end).reshape(graph.shape(name))
        for name, size, end in zip(joined.inputs, sizes, ends, strict=True)
    ]
    source = np.concatenate(parts, joined.int("axis")).reshape(-1)[source_of(graph, node)]
    place = int(np.searchsorted(ends, source[0], side="right"))
    operand, first = joined.inputs[place], ends[place] - sizes[place]
    alike = graph.hints.get(operand) == graph.hints.get(joined.output)
    inside = bool(((source >= first) & (source < ends[place])).all())
    if not (inside and alike) or graph.is_constant(operand):
        return None
    return _one(graph, [node], operand, source - first)


def _concat(graph: Graph, node: Node) -> Graph | None:
    """One copy where all operands are moved from the same tensor, by nodes that go with it."""
    makers: list[Node] = []
    maps, roots = [], set()
    for name in node.inputs:
        maker = _maker(graph, name) if node.inputs.count(name) == 1 else None
        if maker is None:
            return None
        makers.append(maker)
        roots.add(maker.inputs[0])
        maps.append(source_of(graph, maker).reshape(graph.shape(name)))
    if len(roots) != 1:
        return None
    source = np.concatenate(maps, node.int("axis")).reshape(-1)
    return _one(graph, [*makers, node], roots.pop(), source)


def _one(graph: Graph, nodes: list[Node], root: str, source: Map) -> Graph | None:
    """``graph`` with one copy of ``root`` in the place of the last of ``nodes``."""
    places, sizes, strides = copy.loops(source)
    if len(places) > max(_TABLE, *(len(n.attrs.get("places", ())) for n in nodes)):
        return None
    last = nodes[-1]
    shape = graph.shape(last.output)
    made = Node("reshape", last.name, (root,), last.outputs, {"shape": shape})
    if not np.array_equal(source, np.arange(prod(graph.shape(root)))):
        loops = {"places": places, "sizes": sizes, "strides": strides}
        made = replace(made, op="copy", attrs={"shape": shape, **loops})
    return swap_last(with_hint_moved(graph, last.inputs[0], last.output), [last], [made])
