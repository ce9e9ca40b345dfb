"""What the network would lose with each unit of its channels.

- ``magnitude`` and ``l1``: the norm of the filters that write the unit, relative to the mean of its
  layer. BatchNorm's scale needs no measure of its own: it is folded into the filters, and where a
  graph still holds it, it counts as if it were. No data needed.
- ``taylor``: how much the output changes when the unit fades, to first order, on typical inputs
  (Molchanov et al. 2019). As the change itself is 0 where nothing has faded yet, it is the squared
  gradient: of all outputs alike, or, for classes, of the KL divergence (its Fisher metric). Needs
  no labels, and compares units of different layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcuq.compress.groups import PINNED, Structure, has_units, reads_all_channels
from mcuq.data.rows import evenly, rows_of
from mcuq.errors import DataError, McuqError
from mcuq.ir import Array, Graph, Node
from mcuq.ops import float_of, layout_of
from mcuq.ops.parts.exact import shortened
from mcuq.ops.spec import TorchTensor
from mcuq.quantize.structure import are_logits, logits_of
from mcuq.reference import chunk_rows, feeds_to_float, float_constants, walk

if TYPE_CHECKING:
    import torch

MEASURES = ("taylor", "magnitude", "l1")
ROWS = 256
DRAWS = 4
"""Directions in which each row's outputs are differentiated."""


def importance(
    graph: Graph,
    found: Structure,
    measure: str,
    calibration: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> Array:
    """(units,) how much each unit matters; only the order and, within ``taylor``, the sums count.

    ``calibration``: as ``data.load`` returns it; at most ``ROWS`` rows, evenly spaced, are used.
    """
    if measure not in MEASURES:
        raise McuqError("importance", f"'{measure}' is not one of {', '.join(MEASURES)}")
    if measure != "taylor":
        return _magnitude(graph, found, 1 if measure == "l1" else 2)
    if not calibration:
        reason = "the importance 'taylor' needs typical inputs"
        raise DataError(graph.name, reason, "Give calibration data, or take importance 'magnitude'")
    return _taylor(graph, found, calibration, seed)


def _count(found: Structure) -> int:
    return 1 + max((int(c.units.max(initial=0)) for c in found.channels.values()), default=0)


def _magnitude(graph: Graph, found: Structure, order: int) -> Array:
    total = np.zeros(_count(found))
    for node in graph.nodes:
        if reads_all_channels(graph, node):
            norms = np.linalg.norm(_filters(graph, node), order, axis=1)
            norms = norms * _scale_behind(graph, node.output, len(norms))
            mean = max(float(norms.mean()), 1e-30)
            np.add.at(total, found.channels[node.output].units, norms / mean)
    return total


def _filters(graph: Graph, node: Node) -> Array:
    """(channels, n) the weights that write each: of a recurrent layer those of all its gates."""
    if has_units(graph, node):
        units, matrices = graph.shape(node.output)[-1], map(graph.data, node.inputs[1:3])
        gates = [m.reshape(-1, units, m.shape[1]).swapaxes(0, 1) for m in matrices]
        return np.concatenate([gate.reshape(units, -1) for gate in gates], axis=1)
    weights = np.moveaxis(graph.data(node.inputs[1]), layout_of(node).outputs, 0)
    return weights.reshape(len(weights), -1)


def _scale_behind(graph: Graph, name: str, channels: int) -> Array:
    """(channels,) the magnitude of the scale of a BatchNorm that reads ``name``; 1 without one."""
    readers = graph.consumers(name)
    if len(readers) == 1 and readers[0].op == "batch_norm":
        return np.abs(graph.data(readers[0].inputs[1]))
    return np.ones(channels)


def _taylor(graph: Graph, found: Structure, calibration: Mapping[str, Array], seed: int) -> Array:
    import torch

    feeds = feeds_to_float(graph, calibration)
    chosen = evenly(rows_of(feeds), ROWS)
    generator = torch.Generator().manual_seed(seed)
    total = np.zeros(_count(found))
    size = max(1, min(64, chunk_rows(graph)))
    for first in range(0, len(chosen), size):
        part = {name: values[chosen[first : first + size]] for name, values in feeds.items()}
        gates, outputs = _gated(graph, found, part)
        for draw in range(DRAWS):
            change = sum((_direction(graph, n, z, generator) * z).sum() for n, z in outputs.items())
            if isinstance(change, int) or not change.requires_grad:
                return total
            (slope,) = torch.autograd.grad(change, gates, retain_graph=draw + 1 < DRAWS)
            total += slope.square().sum(0).numpy() / (DRAWS * len(chosen))
    total[PINNED] = 0.0
    return shortened(np.nan_to_num(total, nan=np.inf, posinf=np.inf))


def _gated(
    graph: Graph, found: Structure, part: Mapping[str, Array]
) -> tuple[TorchTensor, dict[str, TorchTensor]]:
    """(rows, units) ones that multiply each unit where layers read it, and the outputs by name."""
    import torch

    rows = rows_of(part)
    gates = torch.ones(rows, _count(found), dtype=torch.float64, requires_grad=True)
    constants = {n: c.double() for n, c in float_constants(graph).items()}

    def step(node: Node, values: Mapping[str, TorchTensor]) -> TorchTensor:
        inputs = [constants[n] if n in constants else values[n] for n in node.inputs]
        if reads_all_channels(graph, node):
            channels = found.channels[node.inputs[0]]
            shape = [rows, *[1] * (inputs[0].dim() - 1)]
            shape[channels.axis] = -1
            inputs[0] = inputs[0] * gates[:, torch.from_numpy(channels.units)].reshape(shape)
        if has_units(graph, node):  # reads its own, too
            own = gates[:, torch.from_numpy(found.channels[node.output].units)]
            inputs[2] = inputs[2] * own.unsqueeze(1)
        return float_of(node)(node, inputs)

    start = {
        port.tensor: torch.from_numpy(np.array(part[port.name], np.float64))
        for port in graph.inputs
    }
    names = {logits_of(graph, port.tensor) for port in graph.outputs}
    return gates, walk(graph.nodes, start, step, names)


def _direction(
    graph: Graph, name: str, output: TorchTensor, generator: torch.Generator
) -> TorchTensor:
    """A random direction of the output, with the covariance that its changes are measured by.

    For what a softmax or argmax reads that is the Fisher metric of the classes; else all elements
    count alike, in units of the output's own size.
    """
    import torch

    with torch.no_grad():
        if are_logits(graph, name):
            share = torch.softmax(output.reshape(-1, output.shape[-1]), -1)
            drawn = torch.multinomial(share, 1, generator=generator)
            picked = torch.zeros_like(share).scatter_(1, drawn, 1.0)
            return (picked - share).reshape(output.shape)
        noise = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        return noise / output.std(unbiased=False).clamp(min=1e-12)
