"""Makes convolutions and pools compute only what a crop behind them keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Graph, Node, Shape, with_hint_moved
from mcuq.ops import spec
from mcuq.ops.movement import copy
from mcuq.ops.spec import Padding
from mcuq.passes.rewrite import allowed, shapes_of, sole_consumer, swap, until_stable

Box = tuple[tuple[int, int], tuple[int, int]]


def crop_layers(graph: Graph) -> Graph:
    """``graph`` without the crops of height and width that smaller pads make.

    A crop of more than the padding and its strides stays.
    """
    return until_stable(_smaller, graph)


def _smaller(graph: Graph, node: Node) -> Graph | None:
    layer = graph.producer(node.inputs[0]) if node.op == "copy" else None
    if layer is None or spec(layer.op).padding is Padding.NONE:
        return None
    box = _box(graph, node) if sole_consumer(graph, layer.output) is node else None
    smaller = None if box is None else _cropped(graph, layer, box)
    if smaller is None:
        return None
    graph = with_hint_moved(graph, layer.output, node.output)
    return swap(graph, [layer, node], [replace(smaller, outputs=node.outputs)])


def _box(graph: Graph, node: Node) -> Box | None:
    """(first, number) of the rows and of the columns that a copy keeps; None if it is no crop."""
    shape, kept = graph.shape(node.inputs[0]), graph.shape(node.output)
    if len(shape) != 4 or len(kept) != 4 or shape[3] != kept[3]:
        return None
    source = copy.sources(node)
    top, left = divmod(int(source[0]) // shape[3], shape[2])
    rows, columns = slice(top, top + kept[1]), slice(left, left + kept[2])
    whole = np.arange(shape[1] * shape[2] * shape[3]).reshape(shape[1:])[rows, columns]
    if whole.shape != kept[1:] or not np.array_equal(whole.reshape(-1), source):
        return None
    return (top, kept[1]), (left, kept[2])


def _cropped(graph: Graph, layer: Node, box: Box) -> Node | None:
    """``layer`` with the pads for which its output is the ``box``; None if there are none."""
    shapes = shapes_of(graph, layer)
    made, pads = spec(layer.op).infer(layer, shapes), layer.ints("pads")
    strides = layer.ints("strides")
    begins = [pads[i] - first * strides[i] for i, (first, _) in enumerate(box)]
    ends = []
    for i, (first, kept) in enumerate(box):
        behind = made[i + 1] - first - kept
        ends.append(max(0, pads[i + 2] - behind * strides[i]))
    if min(begins) < 0:
        return None
    smaller = layer.with_attrs(pads=(*begins, *ends))
    if not allowed(smaller, shapes):
        return None
    sizes: Shape = spec(layer.op).infer(smaller, shapes)[1:3]
    return smaller if sizes == tuple(kept for _, kept in box) else None
