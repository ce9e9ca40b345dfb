"""Compresses layer after layer, each making up for its own errors and those of the layers before.

As the rounding of the quantizer does it (``quantize/rounding.py``): the weights move to the least-
squares solution for the inputs that now arrive; then one input's weights after the other become 0
or a value of the table, and the error of each is spread over the weights still to come. The bias
absorbs the means. Only typical inputs are needed, and no training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mcuq.data.rows import thinned
from mcuq.ir import Array, Graph, Node, Tensor
from mcuq.ops import has_weights
from mcuq.quantize.factors import Factored
from mcuq.quantize.rounding.layers import Moments, depth_of, moments
from mcuq.quantize.rounding.least import aimed, damped
from mcuq.reference import exact_of, feeds_to_float, walk

DAMPING = 0.2
"""Added to the covariance of a layer's inputs, as a share of its mean diagonal."""

MAX_DEPTH = 4608
"""Layers with more weights per output are compressed as they are: the cost grows as the cube."""

MOST_ROWS = 512
MOST_ELEMENTS = 1 << 24
"""At most so many rows, and elements of the largest activation over them, are looked at."""

Change = Callable[[Node, Moments], Mapping[str, Array]]


def compensated(graph: Graph, calibration: Mapping[str, Array], change: Change) -> Graph:
    """``graph`` with the constants that ``change(node, known)`` gives for each weighted node.

    The network before and after run side by side, so ``known`` compares the inputs that the layer
    had with those that it gets now. An empty mapping leaves a layer alone.
    """
    import torch

    feeds = _thinned(graph, feeds_to_float(graph, calibration))
    tensors = dict(graph.tensors)

    def inputs(
        node: Node, values: Mapping[str, Any], known: Mapping[str, Tensor], side: int
    ) -> Any:
        for name in node.inputs:
            data = known[name].data
            yield values[name][side] if data is None else torch.from_numpy(_float32(data))

    def step(node: Node, values: Mapping[str, Any]) -> Any:
        if has_weights(node) and depth_of(node, graph) <= MAX_DEPTH:
            before, after = (value.numpy() for value in values[node.inputs[0]])
            made = change(node, moments(node, graph, before, node, after))
            tensors.update((n, Tensor(n, a.shape, _float32(a))) for n, a in made.items())
        run = exact_of(node)
        known = (graph.tensors, tensors)
        return tuple(run(node, list(inputs(node, values, known[i], i))) for i in (0, 1))

    start = {p.tensor: (torch.from_numpy(feeds[p.name]),) * 2 for p in graph.inputs}
    with torch.no_grad():
        walk(graph.nodes, start, step, ())
    return replace(graph, tensors=tensors)


def target_of(real: Array, known: Moments) -> tuple[Array, Factored] | None:
    """The weights (groups, outputs, depth) to aim at, and their Hessian; None without factors."""
    hessian = damped(known, DAMPING)
    return None if hessian is None else (aimed(real, known, hessian), hessian)


def bias_of(bias: Array, real: Array, made: Array, known: Moments) -> Array:
    """The bias that keeps the means of the outputs, of weights that were ``real``."""
    means = (real * known.mean_exact[:, None]).sum(axis=2)
    means -= (made * known.mean_rounded[:, None]).sum(axis=2)
    moved: Array = bias + means.reshape(-1)
    return moved


def _float32(data: Array) -> Array:
    return np.array(data, np.float32)


def _thinned(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Rows, evenly spaced, of which all activations fit in memory."""
    shapes = [t.shape for t in graph.tensors.values() if t.data is None]
    largest = max(int(np.prod(shape)) for shape in shapes)
    few = thinned(feeds, min(MOST_ROWS, max(8, MOST_ELEMENTS // largest)))
    return {name: _float32(values) for name, values in few.items()}
