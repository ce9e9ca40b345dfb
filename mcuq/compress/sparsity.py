"""Which weights become 0: single ones, blocks of 4, or all but N of every M, by what they matter.

What a weight matters is the power it adds to the output of its layer, ``w * w * E[x * x]``, as a
share of that of its output channel; without data its square alone. Blocks and groups of N:M run
along the weights' last axis, which is that of the input channels, and begin anew in every row; of
depthwise weights they run along the channels. The last one of a row may be shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.layout import axes_but

BLOCK = 4


@dataclass(frozen=True)
class Pattern:
    """``kind``: sparse (single weights), block, or n:m, which keeps ``n`` of every ``m``.

    ``amount``: the share that goes, 0..1 (for n:m it follows from these).
    """

    kind: str
    amount: float
    n: int = 0
    m: int = 0

    @property
    def run(self) -> int:
        """How many weights stand or fall together."""
        return BLOCK if self.kind == "block" else 1


def mask_of(scores: Array, pattern: Pattern) -> Array:
    """False where ``pattern`` makes a weight 0; ``scores`` have the weights' shape.

    >>> mask_of(np.array([[3.0, 1.0, 2.0, 4.0]]), Pattern("n:m", 0.5, 2, 4)).tolist()
    [[True, False, False, True]]
    """
    if pattern.kind == "n:m":
        return _best_of_each(scores, pattern.n, pattern.m)
    return masks_of({"": scores}, pattern)[""]


def masks_of(scores: Mapping[str, Array], pattern: Pattern) -> dict[str, Array]:
    """As ``mask_of`` for layers that share one amount: most goes where it matters least.

    Layers are weighed by the share of its own power that each loses with a unit and all lesser ones
    (LAMP, Lee et al. 2021), so none is emptied as long as another has more to spare.
    """
    units = {name: _units(values, pattern.run) for name, values in scores.items()}
    ranks = {n: _left_share(u) if len(units) > 1 else u for n, u in units.items()}
    every = np.concatenate([rank.reshape(-1) for rank in ranks.values()])
    sizes = np.concatenate([_sizes(v, pattern.run).reshape(-1) for v in scores.values()])
    order = np.argsort(every, kind="stable")
    gone = np.zeros(len(every), bool)
    total = np.cumsum(sizes[order])
    gone[order[: int(np.searchsorted(total, round(pattern.amount * total[-1]) + 0.5))]] = True
    masks, first = {}, 0
    for name, rank in ranks.items():
        kept = ~gone[first : first + rank.size].reshape(rank.shape)
        masks[name] = np.repeat(kept, pattern.run, axis=-1)[..., : scores[name].shape[-1]]
        first += rank.size
    return masks


def scores_of(weights: Array, power: Array, axis: int) -> Array:
    """The share of each weight in the power of its output channel, along ``axis``."""
    squares = np.square(weights, dtype=np.float64) * power
    rows = squares.sum(axis=axes_but(axis, weights.ndim), keepdims=True)
    shares: Array = squares / np.maximum(rows, 1e-30)
    return shares


def _units(scores: Array, run: int) -> Array:
    """The mean score of each run along the last axis."""
    sums: Array = _padded(scores, run).reshape(*scores.shape[:-1], -1, run).sum(axis=-1)
    means: Array = sums / _sizes(scores, run)
    return means


def _sizes(scores: Array, run: int) -> Array:
    """How many weights each run has."""
    ones = _padded(np.ones(scores.shape), run)
    sizes: Array = ones.reshape(*scores.shape[:-1], -1, run).sum(axis=-1)
    return sizes


def _padded(values: Array, run: int, fill: float = 0.0) -> Array:
    pads = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % run)]
    return np.pad(values, pads, constant_values=fill)


def _left_share(units: Array) -> Array:
    """Each unit's share in the sum of itself and all that are larger."""
    flat = units.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    shares = np.empty(len(flat))
    shares[order] = flat[order] / np.maximum(np.cumsum(flat[order]), 1e-300)
    return shares.reshape(units.shape)


def _best_of_each(scores: Array, n: int, m: int) -> Array:
    """True for the ``n`` highest scores of every ``m`` along the last axis; the first of equals."""
    groups = _padded(scores, m, -1.0).reshape(*scores.shape[:-1], -1, m)
    order = np.argsort(-groups, axis=-1, kind="stable")
    kept = np.zeros(groups.shape, bool)
    np.put_along_axis(kept, order[..., :n], True, axis=-1)
    return kept.reshape(*scores.shape[:-1], -1)[..., : scores.shape[-1]]
