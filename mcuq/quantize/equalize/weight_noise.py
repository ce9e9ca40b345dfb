"""What the rounding of weights does to the network's output, as a function of channels' factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.quantize.state import State
from mcuq.quantize.structure import WEIGHT_AXIS

MIXING = ("conv2d", "dense")
"""Layers of which each output reads all channels (of its group)."""


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
    rows = np.moveaxis(weights, WEIGHT_AXIS[node.op], 0).reshape(
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
    if node.op == "depthwise_conv2d":
        taps = weights.shape[0] * weights.shape[1]
        return np.repeat(variance * taps, weights.shape[2] // len(variance))
    if node.op == "dense":
        return np.full(len(weights), variance.sum())
    groups, taps = node.int("groups"), weights.shape[1] * weights.shape[2]
    sums = variance.reshape(groups, -1).sum(axis=1) * taps
    return np.repeat(sums, len(weights) // groups)


def reader(state: State, node: Node) -> Reader:
    """What a layer that mixes the channels of its input makes of their factors."""
    seen = state.seen[node.inputs[0]]
    weights = np.abs(state.graph.data(node.inputs[1]).astype(np.float64))
    taps = 1
    if node.op == "conv2d":
        groups, taps = node.int("groups"), weights.shape[1] * weights.shape[2]
        largest = weights.max(axis=(1, 2)).reshape(groups, -1, weights.shape[3])
        spread = np.zeros((groups, largest.shape[1], groups, weights.shape[3]))
        for group in range(groups):
            spread[group, :, group] = largest[group]
        weights = spread.reshape(len(weights), -1)
    return Reader(weights, loudness(state, node.output), seen.variance * taps)


def loudness(state: State, name: str) -> Array:
    """(C,) the squared error of the output for that of each value of a tensor before its bounds."""
    busy: Array = state.seen[name].busy
    return state.sensitivity.get(name, np.zeros(len(busy))) * busy
