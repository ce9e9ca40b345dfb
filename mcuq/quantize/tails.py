"""What calibration says about the values of a tensor, channel by channel, and about unseen ones.

Data that are not in the calibration set reach a little beyond it. The largest values of a channel
are taken for the tail of an exponential distribution (peaks over a threshold: Pickands 1975), which
says how much a bound is expected to clip of any data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mcuq.ir import Array

KEPT = 256
"""So many of the largest values of a channel are kept."""

TAIL = 24
"""So many of these show how the tail falls off, at most a 25th of all values."""

_SCALES = np.linspace(0.4, 1.6, 49)


@dataclass(frozen=True, eq=False)
class Tail:
    """Of each channel the largest values (k, C), falling, of ``count`` values."""

    top: Array
    count: int

    def excess(self, bound: Array) -> Array:
        """(..., C) bounds -> the expected square of what exceeds them, per value."""
        known, start, mean, form = self._fall
        scale = mean * (1 - form)
        below = np.maximum(start - bound, 0.0)
        above = np.maximum(bound - start, 0.0)
        left = np.maximum(scale + form * above, 0.0)
        share = (left / scale) ** (-1 / form)
        square = 2 * left**2 / ((1 - form) * (1 - 2 * form))
        found: Array = known * (below**2 + 2 * below * mean + share * square)
        if below.any():
            found = found + self._body(below)
        return found / self.count

    @cached_property
    def _fall(self) -> tuple[int, Array, Array, float]:
        """How many values show the tail, the least of them, the mean excess over it, the shape."""
        known = max(1, min(TAIL, max(4, self.count // 25), len(self.top)))
        start = self.top[known - 1]
        over = (self.top[: known - 1] - start) if known > 1 else np.zeros((1, len(start)))
        mean = np.maximum(over.mean(axis=0), 1e-30)
        return known, start, mean, _shape_of(over / mean)

    def _body(self, below: Array) -> Array:
        """(..., C), how far bounds lie below the tail -> the squares of what else exceeds them.

        The sum of (below - depth)**2 over the values that lie less deep, from running sums.
        """
        depths, sums, squares = self._depths
        count = _below(depths, below)
        columns = np.arange(count.shape[1])
        flat = below.reshape(count.shape)
        found = count * flat**2 - 2 * flat * sums[count, columns] + squares[count, columns]
        squared: Array = np.maximum(found, 0.0).reshape(below.shape)
        return squared

    @cached_property
    def _depths(self) -> tuple[Array, Array, Array]:
        """How far the values behind the tail lie below it, (k, C), and running sums, (k + 1, C)."""
        known, start, _, _ = self._fall
        depths = start - self.top[known:]
        none = np.zeros((1, len(start)))
        sums, squares = (np.cumsum(np.concatenate([none, d]), axis=0) for d in (depths, depths**2))
        return depths, sums, squares


def _below(rising: Array, bounds: Array) -> Array:
    """(k, C) rising, (..., C) -> (n, C): how many of its column lie below each bound."""
    columns = np.arange(rising.shape[1])
    flat = bounds.reshape(-1, len(columns))
    found = np.zeros(flat.shape, np.intp)
    for step in (1 << bit for bit in reversed(range(len(rising).bit_length()))):
        index = np.minimum(found + step, len(rising))
        found = np.where(rising[index - 1, columns] < flat, index, found)
    return found


def _shape_of(over: Array) -> float:
    """The shape of the generalized Pareto distribution of excesses whose mean is 1.

    By the method of moments, over all channels: they fall off alike.
    """
    count = len(over)
    # Divided by their own mean, a few exponential values vary less than 1: (n - 1) / (n + 1).
    variance = float(over.var()) * (count + 1) / max(count - 1, 1)
    return max(-1.0, min(-0.01, (1 - 1 / max(variance, 1e-9)) / 2))


@dataclass(frozen=True, eq=False)
class Seen:
    """Of one tensor: the upper tail, and the lower tail (of the negated values); per channel the
    ``variance``, and how ``busy`` it is: the share of values that are not 0, which rounding leaves
    exact.
    """

    high: Tail
    low: Tail
    busy: Array
    variance: Array

    def affine(self, factor: Array | float, offset: Array | float) -> Seen:
        """As the tensor times ``factor`` > 0 plus ``offset`` (each (C,)) would be seen."""
        return replace(
            self,
            high=Tail(self.high.top * factor + offset, self.high.count),
            low=Tail(self.low.top * factor - offset, self.low.count),
            variance=self.variance * factor**2,
        )

    def limited(self, low: float, high: float) -> Seen:
        """As the tensor would be seen behind a clip."""
        return replace(
            self,
            high=Tail(np.clip(self.high.top, low, high), self.high.count),
            low=Tail(np.clip(self.low.top, -high, -low), self.low.count),
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value of all."""
        return -float(self.low.top[0].max()), float(self.high.top[0].max())

    def noise(self, low: Array, high: Array, steps: float = 255.0) -> Array:
        """(..., C): the expected squared error if ``steps`` steps span ``low``..``high``."""
        rounding = self.busy * ((high - low) / steps) ** 2 / 12
        found: Array = rounding + self.high.excess(high) + self.low.excess(-low)
        return found

    @cached_property
    def best_ends(self) -> tuple[Array, Array]:
        """(C,) each: the range of each channel, with 0 in it, that errs least if 8 bits span it."""
        low = np.minimum(-self.low.top[0], 0.0)
        high = np.maximum(self.high.top[0], 0.0)
        lows, highs = low * _SCALES[:, None], high * _SCALES[:, None]
        for _ in range(2):
            high = _pick(highs, self.noise(low, highs))
            low = _pick(lows, self.noise(lows, high))
        return low, high


def _pick(options: Array, errors: Array) -> Array:
    found: Array = np.take_along_axis(options, errors.argmin(axis=0)[None], axis=0)[0]
    return found


def expected_noise(seen: Seen, weight: Array | None, scales: Sequence[tuple[int, int]]) -> Array:
    """(n,): the error that a tensor adds to the output with each of ``scales``, (frac, zero).

    ``weight``: its channels' sensitivities; without them, the mean squared error of the tensor.
    """
    fracs, zeros = np.array(scales, np.float64).T[:, :, None]
    steps = 2.0**-fracs
    noise = seen.noise((-128 - zeros) * steps, (127 - zeros) * steps)
    found: Array = noise.mean(axis=1) if weight is None else (noise * weight).sum(axis=1)
    return found


class Collector:
    """Gathers what is ``Seen`` of every tensor, some rows at a time."""

    def __init__(self) -> None:
        self._found: dict[str, list[Seen]] = {}
        self._means: dict[str, list[Array]] = {}

    def add(self, values: Mapping[str, Array]) -> None:
        """More rows of every tensor."""
        for name, rows in values.items():
            flat = rows.reshape(-1, rows.shape[-1])
            busy = (flat != 0).mean(axis=0)
            variance = flat.var(axis=0, dtype=np.float64)
            part = Seen(Tail(_top(flat), len(flat)), Tail(_top(-flat), len(flat)), busy, variance)
            self._found.setdefault(name, []).append(part)
            self._means.setdefault(name, []).append(flat.mean(axis=0, dtype=np.float64))

    def seen(self) -> dict[str, Seen]:
        return {name: _joined(parts, self._means[name]) for name, parts in self._found.items()}


def _joined(parts: Sequence[Seen], means: Sequence[Array]) -> Seen:
    counts = [part.high.count for part in parts]
    high, low = (
        Tail(_top(np.concatenate([tail.top for tail in side])), sum(counts))
        for side in ([p.high for p in parts], [p.low for p in parts])
    )
    busy = np.average([part.busy for part in parts], axis=0, weights=counts)
    mean = np.average(means, axis=0, weights=counts)
    squares = [p.variance + (own - mean) ** 2 for p, own in zip(parts, means, strict=True)]
    return Seen(high, low, busy, np.average(squares, axis=0, weights=counts))


def _top(flat: Array) -> Array:
    """(n, C) -> the largest ``KEPT`` of each column, falling, float64."""
    import torch

    values = torch.from_numpy(np.ascontiguousarray(flat.T))
    found = values.topk(min(KEPT, flat.shape[0]), dim=1).values
    return np.asarray(found.numpy().T, np.float64)
