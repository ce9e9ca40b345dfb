"""Makes grouped convolutions with one input channel per group depthwise_conv2d."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Graph, Node
from mcuq.passes.rewrite import swap, until_stable, with_constants


def use_depthwise(graph: Graph) -> Graph:
    """``graph`` with conv2d of one input channel per group as depthwise_conv2d."""
    return until_stable(_as_depthwise, graph)


def _one_channel_each(graph: Graph, node: Node) -> bool:
    groups = node.int("groups") if node.op == "conv2d" else 1
    return groups > 1 and groups == graph.shape(node.inputs[0])[-1]


def _as_depthwise(graph: Graph, node: Node) -> Graph | None:
    if not _one_channel_each(graph, node):
        return None
    weights = graph.data(node.inputs[1])[..., 0].transpose(1, 2, 0)
    changed, made = with_constants(graph, node, {1: weights})
    attrs = {key: value for key, value in node.attrs.items() if key != "groups"}
    depthwise = replace(changed, op="depthwise_conv2d", attrs=attrs)
    return swap(graph, [node], [depthwise], made)
