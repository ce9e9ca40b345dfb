"""Removes nodes that change nothing, and joins views of views."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Graph, Node
from mcuq.ops import spec
from mcuq.passes.rewrite import bypass, swap, until_stable


def drop_identities(graph: Graph) -> Graph:
    """``graph`` without identities; a reshape of a reshape becomes one."""
    return until_stable(_without, graph)


def _without(graph: Graph, node: Node) -> Graph | None:
    if _same_shape(graph, node) and spec(node.op).is_identity(node, graph):
        return bypass(graph, node)
    whole = node.op == "copy" and spec(node.op).is_identity(node, graph)
    if whole or (node.op == "transpose" and _moves_ones(graph, node)):
        view = replace(node, op="reshape", attrs={"shape": graph.shape(node.output)})
        return swap(graph, [node], [view])
    if node.op == "reshape":
        maker = graph.producer(node.inputs[0])
        if maker is not None and maker.op == "reshape":
            return swap(graph, [node], [replace(node, inputs=maker.inputs)])
    return None


def _same_shape(graph: Graph, node: Node) -> bool:
    return graph.shape(node.inputs[0]) == graph.shape(node.output)


def _moves_ones(graph: Graph, node: Node) -> bool:
    """Whether only axes of size 1 change places."""
    shape = graph.shape(node.inputs[0])
    moved = [axis for axis in node.ints("perm") if shape[axis] > 1]
    return moved == sorted(moved)
