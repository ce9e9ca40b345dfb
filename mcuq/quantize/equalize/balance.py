"""Factors of channels by the noise that they are expected to cause at the network's output.

Larger factors make the rounding of a channel's activations finer, as far as they do not widen the
range of the whole tensor; and they make the weights that read the channel smaller, next to which
those of other channels are rounded more coarsely. With ``f`` the factors, ``h`` the largest
magnitudes, ``a`` the sensitivities and ``v`` the variances of the channels:

    activations   max(f h)**2 * sum(a / f**2) / 12 / 255**2
    weights       sum over outputs o of  b[o] * max(|w[o]| / f)**2 * sum(f**2 v) / 12 / 127**2

The sum is convex in the logarithms of the factors (a geometric program), so descent finds its
least value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.exact import shortened
from mcuq.quantize.equalize.weight_noise import Reader

STEPS = 150
SHARPNESS = 24.0
"""The maximum is taken as a norm of this order, which has a gradient everywhere."""

RATE = 0.06
DECAY = (0.9, 0.999)
"""How much of the mean slope, and of its mean square, each step keeps."""

SPREAD = 12.0
"""Factors differ by at most so many powers of two."""


@dataclass(frozen=True, eq=False)
class Activations:
    """One tensor: (C,) magnitudes, and sensitivities times the share of values that round."""

    peak: Array
    weight: Array
    steps: float

    @property
    def loud(self) -> bool:
        """Whether it makes any noise."""
        return bool((self.peak.max() * self.weight).max() > 0)


def balance(tensors: Sequence[Activations], readers: Sequence[Reader], trade: float) -> Array:
    """(C,) factors; the noise of the weights counts ``trade`` times."""
    peaks = np.max([t.peak / max(t.peak.max(), 1e-30) for t in tensors], axis=0)
    peaks = np.where(peaks > 0, np.maximum(peaks, 2.0**-SPREAD), 1.0)  # dead channels stay
    known: list[_Activation | _Layer] = [_Activation(t) for t in tensors if t.loud]
    known += [_Layer(r, trade) for r in readers if r.loud]
    if not known:
        return np.ones(len(peaks))

    def slope(log: Array) -> Array:
        noise, change = zip(*(term.noise(log) for term in known), strict=True)
        found: Array = np.sum(change, axis=0) / np.sum(noise)
        return found

    found = _descended(-np.log(peaks), slope)
    return shortened(np.exp(np.minimum(found - found.min(), SPREAD * np.log(2.0))))


def _descended(start: Array, slope: Callable[[Array], Array]) -> Array:
    """Where ``STEPS`` of Adam (Kingma and Ba 2015) arrive; the rate falls as a cosine."""
    place, mean, square = start.copy(), np.zeros(len(start)), np.zeros(len(start))
    for step in range(STEPS):
        found = slope(place)
        mean = DECAY[0] * mean + (1 - DECAY[0]) * found
        square = DECAY[1] * square + (1 - DECAY[1]) * found * found
        rate = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        size = np.sqrt(square / (1 - DECAY[1] ** (step + 1))) + 1e-8
        place -= rate / (1 - DECAY[0] ** (step + 1)) * mean / size
    return place


class _Activation:
    def __init__(self, tensor: Activations) -> None:
        self._live = tensor.peak > 0
        self._peak = np.log(tensor.peak[self._live])
        self._weight = tensor.weight / 12 / tensor.steps**2

    def noise(self, log: Array) -> tuple[float, Array]:
        """The noise at factors of these logarithms, and how it changes with each."""
        top, shares = _greatest(log[self._live] + self._peak)
        square, parts = np.exp(2 * top), self._weight * np.exp(-2 * log)
        noise = float(square * parts.sum())
        change = -2 * square * parts
        change[self._live] += 2 * noise * shares
        return noise, change


class _Layer:
    def __init__(self, layer: Reader, trade: float) -> None:
        floor = layer.weights.max(initial=0.0) * 1e-9
        self._weights = np.log(np.maximum(layer.weights, floor))
        self._weight = layer.weight * trade / 12 / 127**2
        self._variance = layer.variance

    def noise(self, log: Array) -> tuple[float, Array]:
        """The noise at factors of these logarithms, and how it changes with each."""
        top, shares = _greatest(self._weights - log)
        squares, powers = self._weight * np.exp(2 * top), self._variance * np.exp(2 * log)
        total, power = squares.sum(), powers.sum()
        change = 2 * total * powers - 2 * power * (squares[:, None] * shares).sum(axis=0)
        return float(total * power), change


def _greatest(values: Array) -> tuple[Array, Array]:
    """The greatest of the last axis, nearly, of logarithms; and each one's share in it."""
    highest = values.max(axis=-1, keepdims=True)
    shares = np.exp((values - highest) * SHARPNESS)
    total = shares.sum(axis=-1, keepdims=True)
    top = highest + np.log(total) / SHARPNESS
    return top[..., 0], shares / total
