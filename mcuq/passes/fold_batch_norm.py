"""Folds batch_norm into the weights of the layer before it, or of the one after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import has_weights, is_view, layout_of
from mcuq.ops.parts.layout import axes_but
from mcuq.passes.rewrite import (
    is_clipped,
    sole_consumer,
    swap,
    swap_last,
    until_stable,
    with_constants,
)


def fold_batch_norm(graph: Graph) -> Graph:
    """``graph`` with every batch_norm folded that has a weighted layer to take it.

    Backward always. Forward, the padding of a convolution becomes what means 0 before the
    batch_norm: that value lies among the data of a network's input, but maybe not elsewhere, so
    there it is done only without pads, or without a shift.
    """
    return until_stable(_folded, graph)


def _folded(graph: Graph, node: Node) -> Graph | None:
    return _backward(graph, node) or _forward(graph, node) if node.op == "batch_norm" else None


def _backward(graph: Graph, node: Node) -> Graph | None:
    maker = graph.producer(node.inputs[0])
    if maker is None or not has_weights(maker) or is_clipped(maker):
        return None
    if sole_consumer(graph, maker.output) is not node:
        return None
    scale, shift = _parameters(graph, node)
    weights, bias = (graph.data(n).astype(np.float64) for n in maker.inputs[1:])
    scaled = per_output(maker, weights, scale)
    folded, made = with_constants(graph, maker, {1: scaled, 2: bias * scale + shift})
    return swap(graph, [maker, node], [replace(folded, outputs=node.outputs)], made)


def _forward(graph: Graph, node: Node) -> Graph | None:
    layer = sole_consumer(graph, node.output)
    view: Node | None = None
    if layer is not None and is_view(layer):
        view, layer = layer, sole_consumer(graph, layer.output)
    if layer is None or not has_weights(layer) or layer.inputs[0] in node.inputs:
        return None
    if view is not None and layout_of(layer).taps:
        return None
    scale, shift = _parameters(graph, node)
    if not scale.all():
        return None
    padded = any(layer.attrs.get("pads", ()))
    if padded and graph.producer(node.inputs[0]) is not None and _moves_zero(layer, shift):
        return None
    weights, bias = weights_after(graph, layer, scale, shift)
    folded, made = with_constants(graph, layer, {1: weights, 2: bias})
    if padded:
        folded = folded.with_attrs(pad_value=meaning(layer.attrs["pad_value"], scale, shift))
    if view is not None:
        opened = replace(view, inputs=node.inputs[:1])
        return swap_last(graph, [node, view, layer], [opened, folded], made)
    direct = replace(folded, inputs=(node.inputs[0], *folded.inputs[1:]))
    return swap_last(graph, [node, layer], [direct], made)


def _moves_zero(layer: Node, shift: Array) -> bool:
    return bool(shift.any()) or any(layer.attrs["pad_value"])


def meaning(values: Sequence[float], scale: Array, shift: Array) -> tuple[float, ...]:
    """The x for which ``x * scale + shift`` are the reals ``values``; one if all are the same."""
    found = [float(v) + 0.0 for v in (np.asarray(values, np.float64) - shift) / scale]
    return (found[0],) if len(set(found)) == 1 else tuple(found)


def _parameters(graph: Graph, node: Node) -> tuple[Array, Array]:
    scale, shift = (graph.data(n).astype(np.float64) for n in node.inputs[1:])
    return scale, shift


def per_output(layer: Node, weights: Array, scale: Array) -> Array:
    """The weights with each output channel multiplied by its scale."""
    return np.asarray(weights * layout_of(layer).along_outputs(scale))


def weights_after(graph: Graph, layer: Node, scale: Array, shift: Array) -> tuple[Array, Array]:
    """(weights, bias) of ``layer`` when its input is x where it was ``x * scale + shift``.

    ``scale`` and ``shift`` are per input channel; they repeat over the features of a vector.
    """
    weights, bias = (graph.data(n).astype(np.float64) for n in layer.inputs[1:])
    layout = layout_of(layer)
    if not layout.taps:
        times = layout.depth(weights.shape) // len(scale)
        scale, shift = np.tile(scale, times), np.tile(shift, times)
    scales, shifts = (layout.per_weight(layer, weights.shape, v) for v in (scale, shift))
    moved = (weights * shifts).sum(axis=axes_but(layout.outputs, weights.ndim))
    return weights * scales, bias + moved
