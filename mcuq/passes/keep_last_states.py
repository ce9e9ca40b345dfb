"""Lets a recurrent layer give its last state alone, where nothing reads the others."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from mcuq.ir import Graph, Node, Tensor, unique_name
from mcuq.ops import is_recurrent
from mcuq.ops.movement.copy import sources
from mcuq.passes.rewrite import swap_last, until_stable


def keep_last_states(graph: Graph) -> Graph:
    """``graph`` whose recurrent layers write what is read: the last state, if a copy takes it.

    A layer whose states are also read elsewhere, or are an output, stays.
    """
    return until_stable(_last_only, graph)


def _last_only(graph: Graph, node: Node) -> Graph | None:
    path = _path(graph, node) if node.op == "copy" else []
    taken = bool(path) and _takes_the_last(graph, path[-1], node)
    return _shortened(graph, path, node) if taken else None


def _shortened(graph: Graph, path: list[Node], copy: Node) -> Graph:
    """``graph`` with a layer that gives its last state, and a view where that has another shape."""
    layer, shape = path[-1], graph.shape(copy.output)
    flat = (1, graph.shape(layer.inputs[2])[1])
    if shape == flat:
        new = [replace(layer.with_attrs(gives="last"), outputs=copy.outputs)]
        return swap_last(graph, [*path, copy], new)
    name = unique_name(graph.tensors, f"{copy.output}.last")
    last = replace(layer.with_attrs(gives="last"), outputs=(name,))
    view = Node("reshape", copy.name, (name,), copy.outputs, {"shape": shape})
    return swap_last(graph, [*path, copy], [last, view], [Tensor(name, flat)])


def _path(graph: Graph, copy: Node) -> list[Node]:
    """From the copy up to the layer that it takes from, which it alone reads; empty if none."""
    found: list[Node] = []
    name = copy.inputs[0]
    while True:
        node = graph.producer(name)
        alone = len(graph.consumers(name)) == 1 and not graph.is_output(name)
        if node is None or not alone:
            return []
        found.append(node)
        if is_recurrent(node):
            return found if node.attrs["gives"] == "all" else []
        if node.op != "reshape":
            return []
        name = node.inputs[0]


def _takes_the_last(graph: Graph, layer: Node, copy: Node) -> bool:
    hidden, size = graph.shape(layer.inputs[2])[1], prod(graph.shape(layer.output))
    first = 0 if layer.attrs["reverse"] else size - hidden
    return np.array_equal(sources(copy), np.arange(first, first + hidden))
