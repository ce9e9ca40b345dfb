"""Fuses clip (relu, relu6) into the node that computes its input, and joins clips in a row."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Graph, Node, Tensor, unique_name, with_hint_moved
from mcuq.ops import spec
from mcuq.ops.clip import bounds
from mcuq.ops.spec import FuseClip, Values
from mcuq.passes.rewrite import sole_consumer, swap, until_stable


def fuse_clips(graph: Graph) -> Graph:
    """``graph`` with each clip fused where its producer can carry it and has no other reader.

    A clip after a maximum or a view moves before it if it fuses there.
    """
    return until_stable(_clipped, graph)


def _clipped(graph: Graph, node: Node) -> Graph | None:
    maker = _maker(graph, node) if node.op == "clip" else None
    if maker is None:
        return None
    fuse = spec(maker.op).fuse_clip
    if fuse is not None:
        return _fused(graph, maker, node, fuse)
    before = _commutes(maker) and _fuses_before(graph, maker)
    return _moved(graph, maker, node) if before else None


def _maker(graph: Graph, node: Node) -> Node | None:
    """The producer of the node's input, if nothing else reads it."""
    maker = graph.producer(node.inputs[0])
    return maker if maker and sole_consumer(graph, maker.output) is node else None


def _fuses_before(graph: Graph, node: Node) -> bool:
    maker = _maker(graph, node)
    if maker is not None and _commutes(maker):
        return _fuses_before(graph, maker)
    return maker is not None and spec(maker.op).fuse_clip is not None


def _commutes(node: Node) -> bool:
    return spec(node.op).values >= Values.PICKED


def _fused(graph: Graph, maker: Node, node: Node, fuse: FuseClip) -> Graph:
    graph = with_hint_moved(graph, maker.output, node.output)
    changed = fuse(maker, bounds(node))
    return swap(graph, [maker, node], [replace(changed, outputs=node.outputs)])


def _moved(graph: Graph, maker: Node, node: Node) -> Graph:
    name = unique_name(graph.tensors, node.output)
    shape = graph.shape(maker.inputs[0])
    before = replace(node, inputs=maker.inputs, outputs=(name,))
    after = replace(maker, inputs=(name,), outputs=node.outputs)
    return swap(graph, [maker, node], [before, after], [Tensor(name, shape)])
