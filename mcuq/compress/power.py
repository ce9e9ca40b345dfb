"""How much each weight's input carries: the mean square over typical inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.data.rows import thinned
from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.quantize.structure import weighted
from mcuq.reference import feeds_to_float, run_exact

ROWS = 256
"""At most so many rows, evenly spaced, are looked at."""


def input_power(graph: Graph, calibration: Mapping[str, Array] | None) -> dict[str, Array]:
    """By layer name, E[x * x] of what each weight multiplies, of the weights' shape; float64.

    Ones without ``calibration``. Positions of an image count alike.
    """
    nodes = weighted(graph)
    if not calibration:
        return {node.name: np.ones(graph.shape(node.inputs[1])) for node in nodes}
    part = thinned(feeds_to_float(graph, calibration), ROWS)
    seen = run_exact(graph, part, {node.inputs[0] for node in nodes})
    return {node.name: _of_weights(graph, node, seen[node.inputs[0]]) for node in nodes}


def _of_weights(graph: Graph, node: Node, x: Array) -> Array:
    """(N, ..., C) inputs -> their power, spread over the weights."""
    power = np.square(x.reshape(-1, x.shape[-1]), dtype=np.float64).mean(axis=0)
    # An input that is always 0 here may not be so elsewhere.
    power = np.maximum(power, 1e-6 * max(float(power.mean()), 1e-30))
    shape = graph.shape(node.inputs[1])
    return np.broadcast_to(layout_of(node).per_weight(node, shape, power), shape)
