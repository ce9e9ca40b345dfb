"""Ranges by what a tensor's own values say: min-max, percentile, least squared error, entropy.

Each method scores a candidate's numbers by sampled values; the least score wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mcuq.ir import Array
from mcuq.qir import QTensor, frac_of
from mcuq.quantize.ranges.candidates import FracZero
from mcuq.quantize.simulate import fake_quantize_array

OUTSIDE = 2e-4
"""A percentile range leaves out at most this share of the values."""

BINS = 2048
LEVELS = 256

Method = Callable[[Array, QTensor], float]


def squared_error(values: Array, act: QTensor) -> float:
    """The mean squared error of rounding and clipping."""
    error = fake_quantize_array(values, act) - values
    return float(np.mean(error * error, dtype=np.float64))


def percentile(values: Array, act: QTensor) -> float:
    """The step, if hardly any value is clipped; else what is clipped."""
    low, high = _span(act)
    share = float(np.mean((values < low) | (values > high)))
    step = (high - low) / 255
    return step if share <= OUTSIDE else 1e30 * (1 + share)


def divergence(values: Array, act: QTensor) -> float:
    """How much is lost of the distribution of values: the Kullback-Leibler divergence.

    As Migacz (2017) does: clipped values count as the outermost ones; each integer stands for the
    bins of the histogram that it covers, evenly for those that are not empty. A range of fewer bins
    than integers is out of the question: none would be lost, however coarse they are. Zeros, of
    which a ReLU makes many, are exact in any range and do not count.
    """
    low, high = _span(act)
    counts, edges = np.histogram(values[values != 0], BINS)
    middle = (edges[:-1] + edges[1:]) / 2
    inside = np.flatnonzero((middle >= low) & (middle <= high))
    if len(inside) < LEVELS:
        return float("inf")
    bare = counts[inside].astype(np.float64)
    real = bare.copy()
    real[0] += counts[: inside[0]].sum()
    real[-1] += counts[inside[-1] + 1 :].sum()
    level = np.round((middle[inside] - low) / (high - low) * (LEVELS - 1)).astype(int)
    filled = bare > 0
    share = np.bincount(level, bare, LEVELS) / np.maximum(np.bincount(level, filled, LEVELS), 1)
    model = np.where(filled, share[level], 0.0)
    known = real > 0
    p = real[known] / real.sum()
    q = np.maximum(model[known] / max(model.sum(), 1.0), 1e-9)
    return float(np.sum(p * np.log(p / q)))


METHODS: Mapping[str, Method] = {
    "mse": squared_error,
    "percentile": percentile,
    "kl": divergence,
}


def best(
    method: Method, samples: Sequence[Array], act: QTensor, options: Sequence[FracZero]
) -> FracZero:
    """The candidate with the least sum of scores over tensors that share their numbers."""
    scores = [
        sum(
            method(values, QTensor(act.name, act.shape, act.kind, frac, zero)) for values in samples
        )
        for frac, zero in options
    ]
    return options[int(np.argmin(scores))]


def _span(act: QTensor) -> tuple[float, float]:
    """The reals that the numbers can hold."""
    low, high = ((bound - act.zero) * 2.0 ** -frac_of(act) for bound in act.range)
    return low, high
