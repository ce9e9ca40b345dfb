"""The network's own input at any scale and offset, folded into the layers that read it.

``x = (q - offset) * scale`` with an integer offset, so that a padded zero stays exact. Inside, the
input becomes the integers 0..255 themselves, ``x / scale + offset + 128``, and the first layers'
weights and biases absorb the rest: the user's conversion is ``q = round(x / scale + offset)``, and
nothing is added at run time.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mcuq.ir import Graph, Node, Port, Tensor, fed, unique_name
from mcuq.ops import has_weights, layout_of
from mcuq.qir import QTensor
from mcuq.quantize import given
from mcuq.quantize.ranges.limits import limit_fracs
from mcuq.quantize.ranges.scales import choose_weights, observe
from mcuq.quantize.reals import dequantized
from mcuq.quantize.state import State
from mcuq.quantize.tails import Seen


def affine_inputs(state: State) -> State:
    """Every input that only weighted layers read gets the scale and offset that fill 8 bits."""
    for port in fed(state.graph):
        if state.acts[port.tensor].kind == "s8" and _foldable(state.graph, port):
            state = _with_affine(state, port, *_conversion(state.seen[port.tensor]))
    state = observe(state)
    return choose_weights(state.with_(acts=limit_fracs(state.graph, state.acts)))


def given_inputs(state: State) -> State:
    """The same with the scale and the zero that a quantized model states, without any data."""
    for port in fed(state.graph):
        hint = state.graph.hints.get(port.tensor)
        if hint is not None and hint.bits == 8 and _foldable(state.graph, port):
            state = _with_affine(state, port, hint.scale[0], hint.zero + 128)
    return state


def settle_offsets(state: State) -> State:
    """The biases behind inputs with an offset, which holds the weights as they were rounded.

    An input at its zero then changes no sum, as in the model that gives it: without data nothing
    else is known of its mean.
    """
    found = {}
    for port in fed(state.graph):
        for node in state.graph.consumers(port.tensor) if port.offset else ():
            _, w, b = node.inputs
            weights = state.graph.data(w).astype(np.float64)
            axes = tuple(i for i in range(weights.ndim) if i != layout_of(node).outputs)
            lost = (weights - dequantized(state.weights[w])).sum(axis=axes)
            offset = port.offset[0] + 128
            found[b] = (state.graph.data(b) + offset * lost).astype(np.float32)
    return state.with_biases(found)


def _foldable(graph: Graph, port: Port) -> bool:
    if port.tensor in given.kept_activations(graph):
        return False
    readers = graph.consumers(port.tensor)
    weighted = all(has_weights(n) and n.inputs[0] == port.tensor for n in readers)
    return port.kind == "s8" and not port.scale and weighted and not graph.is_output(port.tensor)


def _with_affine(state: State, port: Port, scale: float, offset: int) -> State:
    graph = state.graph
    tensors, nodes = dict(graph.tensors), []
    for node in graph.nodes:
        if port.tensor in node.inputs:
            node = _folded(node, graph, tensors, scale, offset)
        nodes.append(node)
    described = replace(port, scale=(scale,), offset=(float(offset - 128),))
    inputs = tuple(described if p is port else p for p in graph.inputs)
    feeds = dict(state.feeds)
    if port.name in feeds:
        feeds[port.name] = feeds[port.name] / np.float32(scale) + offset
    act = QTensor(port.tensor, graph.shape(port.tensor), "s8", 0, -128)
    changed = replace(graph, nodes=tuple(nodes), tensors=tensors, inputs=inputs)
    return state.with_(graph=changed, feeds=feeds).with_acts({port.tensor: act})


def _conversion(seen: Seen) -> tuple[float, int]:
    """The scale and the integer offset at which 0..255 spans the range that errs least."""
    lows, highs = seen.best_ends
    low, high = float(lows.min()), float(highs.max())
    scale = float(np.float32((high - low) / 255)) or 1.0
    return scale, round(-low / scale)


def _folded(
    node: Node, graph: Graph, tensors: dict[str, Tensor], scale: float, offset: int
) -> Node:
    """``node`` reading ``x / scale + offset`` in place of ``x``, with the same result."""
    weights, bias = (graph.data(name).astype(np.float64) for name in node.inputs[1:])
    axes = tuple(i for i in range(weights.ndim) if i != layout_of(node).outputs)
    weights = weights * scale
    bias = bias - offset * weights.sum(axis=axes)
    names = []
    for name, data in zip(node.inputs[1:], (weights, bias), strict=True):
        new = unique_name(tensors, f"{name}.affine")
        tensors[new] = Tensor(new, data.shape, data.astype(np.float32))
        names.append(new)
    node = replace(node, inputs=(node.inputs[0], *names))
    if "pad_value" not in node.attrs:
        return node
    padded = tuple(float(v) / scale + offset for v in node.attrs["pad_value"])
    return node.with_attrs(
        pad_value=tuple(round(v) if math.isclose(v, round(v)) else v for v in padded)
    )
