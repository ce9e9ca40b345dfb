"""Fuses clip (relu, relu6) into the node that computes its input, and joins clips in a row."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Graph, Node, Tensor, unique_name, with_hint_moved
from mcuq.passes.rewrite import both_clips, sole_consumer, swap, until_stable

FUSABLE = (
    "conv2d", "depthwise_conv2d", "dense", "add", "sub", "mul", "avg_pool2d",
)  # fmt: skip
_COMMUTES = ("max_pool2d", "reshape", "transpose")


def fuse_clips(graph: Graph) -> Graph:
    """``graph`` with each clip fused where its producer can carry it and has no other reader.

    A clip after a maximum or a view moves before it if it fuses there.
    """
    return until_stable(_step, graph)


def _step(graph: Graph) -> Graph | None:
    for node in graph.nodes:
        if node.op != "clip":
            continue
        maker = _maker(graph, node)
        if maker is None:
            continue
        if maker.op in FUSABLE or maker.op == "clip":
            return _fused(graph, maker, node)
        if maker.op in _COMMUTES and _fuses_before(graph, maker):
            return _moved(graph, maker, node)
    return None


def _maker(graph: Graph, node: Node) -> Node | None:
    """The producer of the node's input, if nothing else reads it."""
    maker = graph.producer(node.inputs[0])
    return maker if maker and sole_consumer(graph, maker.output) is node else None


def _fuses_before(graph: Graph, node: Node) -> bool:
    maker = _maker(graph, node)
    while maker is not None and maker.op in _COMMUTES:
        maker = _maker(graph, maker)
    return maker is not None and (maker.op in FUSABLE or maker.op == "clip")


def _fused(graph: Graph, maker: Node, node: Node) -> Graph:
    graph = with_hint_moved(graph, maker.output, node.output)
    then = (node.float("low"), node.float("high"))
    if maker.op == "clip":
        low, high = both_clips((maker.float("low"), maker.float("high")), then)
        changed = maker.with_attrs(low=low, high=high)
    else:
        changed = maker.with_attrs(clip=both_clips(maker.attrs["clip"], then))
    return swap(graph, [maker, node], [replace(changed, outputs=node.outputs)])


def _moved(graph: Graph, maker: Node, node: Node) -> Graph:
    name = unique_name(graph.tensors, node.output)
    shape = graph.shape(maker.inputs[0])
    before = replace(node, inputs=maker.inputs, outputs=(name,))
    after = replace(maker, inputs=(name,), outputs=node.outputs)
    return swap(graph, [maker, node], [before, after], {name: Tensor(name, shape)})
