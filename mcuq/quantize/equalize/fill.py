"""Factors of channels at which 8-bit weights are rounded finest, for tensors of 16 bits.

The rounding of such a tensor costs next to nothing, so only the weights around it matter. A factor
on a channel makes the weights that write it larger: they may fill the power-of-two range that
they are rounded in. Those that read it become smaller beside those of other channels. With ``f``
the factors, ``m`` the largest weights, ``b`` the sensitivities, ``v`` the variances that weights
are multiplied with, and ``s(m)`` the step of weights up to ``m``, the noise at the output is

    weights that write channel c              b v s(m f)**2 / f**2
    depthwise weights that read channel c     b v s(m / f)**2 * f**2
    weights of output o that read them all    b[o] s(max(m[o] / f))**2 * sum(f**2 v)

Steps are powers of two, so there is no gradient: one channel after the other gets the best of some
factors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.exact import shortened
from mcuq.quantize.equalize.components import Component, bound_of
from mcuq.quantize.equalize.rescale import Change, rescaled
from mcuq.quantize.equalize.weight_noise import OwnWeights, Reader, mixes, own_weights, reader
from mcuq.quantize.state import State
from mcuq.quantize.structure import weighted

SWEEPS = 2
"""Every set of tensors has its turn so many times: neighbours share weights."""

FACTORS = shortened(2.0 ** (np.arange(-8, 9) / 8))
"""What a channel's factor is multiplied with, at most, in one sweep."""


def fill_weights(state: State, parts: Sequence[Component]) -> State:
    """``state`` with the channels of ``parts`` rescaled; the numbers are to be chosen anew."""
    for _ in range(SWEEPS):
        for part in parts:
            if part.channels > 1:
                factors = _factors(state, part)
                shapes = {name: state.graph.shape(name)[-1:] for name in part.tensors}
                changes = {name: np.broadcast_to(factors, shape) for name, shape in shapes.items()}
                state = rescaled(state, Change(changes))
    return state


def _factors(state: State, part: Component) -> Array:
    """(C,) factors; under an upper bound (ReLU6) all from 1 to where the channel reaches it."""
    noise = _Noise(state, part)
    factors = np.ones(part.channels)
    bound = bound_of(state.graph, part)
    highest = np.max([state.seen[name].high.top[0] for name in part.tensors], axis=0)
    most = np.maximum(bound / np.maximum(highest, 1e-30), 1.0)
    least = 1.0 if np.isfinite(bound) else 0.0
    for channel in noise.loudest_first():
        trials = factors[channel] * FACTORS
        trials = np.unique(np.append(trials.clip(least, most[channel]), factors[channel]))
        factors[channel] = trials[int(np.argmin(noise.of(channel, trials, factors)))]
    return factors


class _Noise:
    """The noise of all weights around the tensors of ``part``."""

    def __init__(self, state: State, part: Component) -> None:
        self._own: list[OwnWeights] = []
        self._readers: list[Reader] = []
        for node in weighted(state.graph):
            if node.output in part.tensors:
                self._own += own_weights(state, node, written=True)
            if node.inputs[0] in part.tensors and mixes(node):
                self._readers.append(reader(state, node))
            elif node.inputs[0] in part.tensors:
                self._own += own_weights(state, node, written=False)
        self._channels = part.channels

    def loudest_first(self) -> list[int]:
        """The channels, those first whose own weights make most noise."""
        one = np.ones(1)
        noise = [self._of_own(channel, one)[0] for channel in range(self._channels)]
        return [int(c) for c in np.argsort(-np.array(noise), kind="stable")]

    def of(self, channel: int, trials: Array, factors: Array) -> Array:
        """The noise for each of the factors ``trials`` of ``channel``, those of others as given."""
        total = self._of_own(channel, trials)
        for layer in self._readers:
            others = layer.weights / factors
            others[:, channel] = 0.0
            peaks = np.maximum(others.max(axis=1), layer.weights[:, channel] / trials[:, None])
            powers = layer.variance * factors**2
            rest = powers.sum() - powers[channel]
            power = rest + layer.variance[channel] * trials**2
            total = total + (step_of(peaks) ** 2 * layer.weight).sum(axis=1) * power / 12
        return total

    def _of_own(self, channel: int, trials: Array) -> Array:
        total: Array = np.zeros(len(trials))
        for weights in self._own:
            growth = trials if weights.written else 1 / trials
            step = step_of(weights.peak[channel] * growth) / growth
            total = total + weights.weight[channel] * step**2
        return total


def step_of(peak: Array) -> Array:
    """The power of two that weights up to ``peak`` are multiples of."""
    share, above = np.frexp(np.maximum(peak, 1e-30) / 127.49)
    steps: Array = np.ldexp(1.0, above - (share == 0.5))
    return steps
