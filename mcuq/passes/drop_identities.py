"""Removes nodes that change nothing, and joins views of views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mcuq.ir import Graph, Node
from mcuq.passes.rewrite import NO_CLIP, bypass, is_clipped, swap, until_stable


def drop_identities(graph: Graph) -> Graph:
    """``graph`` without identities; a reshape of a reshape becomes one."""
    return until_stable(_step, graph)


def _step(graph: Graph) -> Graph | None:
    for node in graph.nodes:
        changed = _without(graph, node)
        if changed is not None:
            return changed
    return None


def _without(graph: Graph, node: Node) -> Graph | None:
    if _same_shape(graph, node) and _CHECKS.get(node.op, _never)(graph, node):
        return bypass(graph, node)
    if node.op == "transpose" and _moves_ones(graph, node):
        view = replace(node, op="reshape", attrs={"shape": graph.shape(node.output)})
        return swap(graph, [node], [view])
    if node.op == "reshape":
        maker = graph.producer(node.inputs[0])
        if maker is not None and maker.op == "reshape":
            return swap(graph, [node], [replace(node, inputs=maker.inputs)])
    return None


def _same_shape(graph: Graph, node: Node) -> bool:
    return graph.shape(node.inputs[0]) == graph.shape(node.output)


def _never(graph: Graph, node: Node) -> bool:
    return False


def _always(graph: Graph, node: Node) -> bool:
    return True


def _keeps_axes(graph: Graph, node: Node) -> bool:
    return node.ints("perm") == tuple(sorted(node.ints("perm")))


def _moves_ones(graph: Graph, node: Node) -> bool:
    """Whether only axes of size 1 change places."""
    shape = graph.shape(node.inputs[0])
    moved = [axis for axis in node.ints("perm") if shape[axis] > 1]
    return moved == sorted(moved)


def _single_taps(graph: Graph, node: Node) -> bool:
    plain = node.ints("kernel") == (1, 1) and node.ints("strides") == (1, 1)
    clipped = node.op == "avg_pool2d" and is_clipped(node)
    return plain and not any(node.ints("pads")) and not clipped


def _neutral(value: float) -> Callable[[Graph, Node], bool]:
    def check(graph: Graph, node: Node) -> bool:
        other = node.inputs[1]
        if not graph.is_constant(other) or graph.is_constant(node.inputs[0]) or is_clipped(node):
            return False
        return bool((graph.data(other) == np.float32(value)).all())

    return check


_CHECKS: dict[str, Callable[[Graph, Node], bool]] = {
    "reshape": _always,
    "concat": lambda graph, node: len(node.inputs) == 1,
    "pad": _always,
    "transpose": _keeps_axes,
    "clip": lambda graph, node: (node.float("low"), node.float("high")) == NO_CLIP,
    "max_pool2d": _single_taps,
    "avg_pool2d": _single_taps,
    "add": _neutral(0.0),
    "sub": _neutral(0.0),
    "mul": _neutral(1.0),
}
