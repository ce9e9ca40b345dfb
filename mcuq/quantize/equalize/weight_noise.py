"""What the rounding of weights does to the network's output, as a function of channels' factors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mcuq.ir import Array, Node
from mcuq.ops import has_weights, layout_of
from mcuq.quantize.state import State


def mixes(node: Node) -> bool:
    """Whether ``node`` is a layer of which each output reads all channels (of its group)."""
    return has_weights(node) and layout_of(node).inputs is not None


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads it: (O, C) largest weights, (O,) sensitivities, (C,) variances."""

    weights: Array
    weight: Array
    variance: Array

    @property
    def loud(self) -> bool:
        """Whether it makes any noise."""
        return bool(self.weights.max() * self.weight.max() * self.variance.max() > 0)


@dataclass(frozen=True, eq=False)
class OwnWeights:
    """Weights that belong to one channel alone: those that write it, or the only ones to read it.

    (C,) their largest magnitudes, and the squared error at the output for each squared step of
    theirs. ``written``: they grow with the channel's factor; those that read it shrink.
    """

    peak: Array
    weight: Array
    written: bool


def own_weights(state: State, node: Node, written: bool) -> list[OwnWeights]:
    """The layer ``node`` as it writes a tensor, or reads one as a depthwise convolution.

    That may have several outputs for each channel that it reads, as many as the list is long.
    """
    weights = np.abs(state.graph.data(node.inputs[1]).astype(np.float64))
    rows = np.moveaxis(weights, layout_of(node).outputs, 0).reshape(
        len(loudness(state, node.output)), -1
    )
    variance = _summed_variance(state, node, weights)
    peak, weight = rows.max(axis=1), loudness(state, node.output) * variance / 12
    if written:
        return [OwnWeights(peak, weight, True)]
    channels = state.graph.shape(node.inputs[0])[-1]
    pairs = zip(peak.reshape(channels, -1).T, weight.reshape(channels, -1).T, strict=True)
    return [OwnWeights(one, other, False) for one, other in pairs]


def _summed_variance(state: State, node: Node, weights: Array) -> Array:
    """(O,) the variances that the weights of each output are multiplied with, summed."""
    variance = state.seen[node.inputs[0]].variance
    layout = layout_of(node)
    groups = layout.groups(node, len(variance))
    sums = variance.reshape(groups, -1).sum(axis=1) * prod(layout.kernel(weights.shape))
    return np.repeat(sums, weights.shape[layout.outputs] // groups)


def reader(state: State, node: Node) -> Reader:
    """What a layer that mixes the channels of its input makes of their factors."""
    seen = state.seen[node.inputs[0]]
    weights = np.abs(state.graph.data(node.inputs[1]).astype(np.float64))
    layout = layout_of(node)
    groups, taps = layout.groups(node, len(seen.variance)), prod(layout.kernel(weights.shape))
    largest = layout.largest_taps(weights)
    outputs, depth = largest.shape
    spread = np.zeros((groups, outputs // groups, groups, depth))
    for group, rows in enumerate(largest.reshape(groups, -1, depth)):
        spread[group, :, group] = rows
    return Reader(spread.reshape(outputs, -1), loudness(state, node.output), seen.variance * taps)


def loudness(state: State, name: str) -> Array:
    """(C,) the squared error of the output for that of each value of a tensor before its bounds."""
    busy: Array = state.seen[name].busy
    return state.sensitivity.get(name, np.zeros(len(busy))) * busy
