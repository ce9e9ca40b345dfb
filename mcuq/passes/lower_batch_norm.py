"""Makes each batch_norm that could not fold a 1x1 depthwise_conv2d."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Graph, Node, Tensor, unique_name
from mcuq.ops.spec import NO_CLIP
from mcuq.passes.rewrite import swap, until_stable, with_constants


def lower_batch_norm(graph: Graph) -> Graph:
    """``graph`` without batch_norm."""
    return until_stable(_lowered, graph)


def _lowered(graph: Graph, node: Node) -> Graph | None:
    if node.op != "batch_norm":
        return None
    scale, shift = (graph.data(n) for n in node.inputs[1:])
    changed, made = with_constants(graph, node, {1: scale.reshape(1, 1, -1), 2: shift})
    attrs = {
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "clip": NO_CLIP,
        "pad_value": (0.0,),
    }
    layer = replace(changed, op="depthwise_conv2d", attrs=attrs)
    shape = graph.shape(node.output)
    if len(shape) == 4:
        return swap(graph, [node], [layer], made)
    wide = (1, 1, shape[-2] if len(shape) == 3 else 1, shape[-1])
    names = [unique_name(graph.tensors, f"{node.output}.{part}") for part in ("wide", "scaled")]
    made += [Tensor(name, wide) for name in names]
    before = Node("reshape", names[0], node.inputs[:1], (names[0],), {"shape": wide})
    layer = replace(layer, inputs=(names[0], *layer.inputs[1:]), outputs=(names[1],))
    after_name = unique_name(graph.tensors, f"{node.output}.view")
    after = Node("reshape", after_name, (names[1],), node.outputs, {"shape": shape})
    return swap(graph, [node], [before, layer, after], made)
