"""The layers that lost inputs make up for it: least squares, layer by layer, in one pass.

Each layer's weights move to where its output (before its activation) comes nearest to what the
network before computed, given the inputs that now arrive (channel pruning by reconstruction, He et
al. 2017). No gradients, no labels; a few hundred rows suffice, as every position of an image is an
equation of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mcuq.compress.groups import Structure
from mcuq.data.rows import thinned
from mcuq.ir import Array, Graph, Node, Tensor
from mcuq.ops.parts.exact import product
from mcuq.quantize.factors import factored, solved
from mcuq.quantize.rounding.layers import (
    MAX_DEPTH,
    before_clip,
    columns,
    depth_of,
    from_rows,
    own_layers,
    to_rows,
)
from mcuq.reference import exact_of, feeds_to_float, run_exact, walk

ROWS = 256
RIDGE = 1e-3
"""Keeps the weights near what they were, as a share of their inputs' mean power."""
_MAX_COLUMNS = 1 << 22


def refitted(
    small: Graph,
    whole: Graph,
    found: Structure,
    removed: frozenset[int],
    calibration: Mapping[str, Array],
) -> Graph:
    """``small``, which is ``whole`` without the units ``removed``, with its layers refitted."""
    import torch

    feeds = feeds_to_float(whole, thinned(calibration, ROWS))
    before = {node.name: node for node in whole.nodes}
    layers = {n.name for n in own_layers(small) if depth_of(n, small) <= MAX_DEPTH}
    exact = run_exact(whole, feeds, {before[name].inputs[0] for name in layers})
    tensors = dict(small.tensors)

    def step(node: Node, values: Mapping[str, Any]) -> Any:
        if node.name in layers:
            wanted = _output(whole, before[node.name], exact)
            wanted = wanted[..., found.kept(node.output, removed)]
            for name, data in _fitted(small, node, values[node.inputs[0]], wanted).items():
                tensors[name] = Tensor.of(name, data)
        constants = {n: tensors[n].data for n in node.inputs if small.is_constant(n)}
        inputs = [
            torch.from_numpy(np.array(constants[n], np.float32)) if n in constants else values[n]
            for n in node.inputs
        ]
        return exact_of(node)(node, inputs)

    start = {p.tensor: torch.from_numpy(feeds[p.name]) for p in small.inputs}
    with torch.no_grad():
        walk(small.nodes, start, step, ())
    return replace(small, tensors=tensors)


def _output(graph: Graph, node: Node, exact: Mapping[str, Array]) -> Array:
    x, weights, bias = node.inputs
    return before_clip(node, exact[x], graph.data(weights), graph.data(bias))


def _fitted(graph: Graph, node: Node, x: Any, wanted: Array) -> dict[str, Array]:
    """The weights and bias of ``node`` with which ``x`` comes nearest to ``wanted``."""
    import torch

    _, w, b = node.inputs
    weights, bias = graph.data(w), graph.data(b)
    gap = torch.from_numpy(wanted - before_clip(node, x.numpy(), weights, bias))
    rows = to_rows(node, graph, weights.astype(np.float64))
    groups, outputs, depth = rows.shape
    square = np.zeros((groups, depth + 1, depth + 1))
    cross = np.zeros((groups, outputs, depth + 1))
    size = max(1, _MAX_COLUMNS // max(1, gap[0].numel() // outputs * depth))
    for first in range(0, len(x), size):
        a = columns(node, graph, x[first : first + size]).double()
        a = torch.nn.functional.pad(a, (0, 1), value=1.0).numpy()  # the bias reads a constant 1
        y = gap[first : first + size].reshape(a.shape[1], groups, outputs).permute(1, 2, 0)
        square += product(a.transpose(0, 2, 1), a)
        cross += product(y.double().numpy(), a)
    power = np.maximum(np.einsum("gkk->gk", square).mean(axis=1), 1e-12)
    known = factored(square + RIDGE * power[:, None, None] * np.eye(depth + 1))
    if known is None:
        return {}
    change = solved(cross, known)
    fitted = from_rows(node, graph, rows + change[:, :, :depth]).astype(np.float32)
    return {w: fitted, b: (bias + change[:, :, depth].reshape(-1)).astype(np.float32)}
