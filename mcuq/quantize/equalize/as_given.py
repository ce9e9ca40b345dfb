"""Tensors multiplied so that the scale a quantized model gives them is a power of two.

With one factor from 1 to 2 for all values of a tensor, and the weights around it changed to match,
``real = (q - zero) * scale`` stays as the model has it, step for step. Tensors that must share
their factor take that of the coarsest of them; the others are fitted to their ranges.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Graph
from mcuq.quantize.equalize.components import Component, components
from mcuq.quantize.equalize.rescale import Change, rescaled
from mcuq.quantize.state import State


def keep_steps(state: State) -> State:
    """``state`` with such factors, its ranges changed to match."""
    factors: dict[str, Array] = {}
    for part in components(state.graph):
        found = _factor(state.graph, part)
        for name in part.tensors:
            factors[name] = np.full(state.graph.shape(name)[-1], found)
    ranges = dict(state.ranges)
    for name, factor in factors.items():
        low, high = ranges[name]
        ranges[name] = low * float(factor[0]), high * float(factor[0])
    scaled = {name: float(factor[0]) for name, factor in factors.items()}
    return rescaled(state, Change(factors)).with_(ranges=ranges, scaled=scaled)


def _factor(graph: Graph, part: Component) -> float:
    """What makes the largest of the given scales a power of two; 1 if none is given."""
    hints = [graph.hints[name] for name in part.tensors if name in graph.hints]
    scale = max((hint.scale[0] for hint in hints if len(hint.scale) == 1), default=0.0)
    if not scale:
        return 1.0
    mantissa, _ = math.frexp(scale)
    return 1.0 if mantissa == 0.5 else 1.0 / mantissa
