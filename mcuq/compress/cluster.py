"""Clustering: the weights of a layer share 16 or 4 values, which k-means chooses.

In one dimension clusters are ranges, so that a round of Lloyd's algorithm is a few sums over the
sorted values. It starts from several tables and keeps the one that errs least; channels move to the
power of two at which they fit the table best, in turn. Deterministic for a seed.
"""

from __future__ import annotations

import numpy as np

from mcuq.compress.tables import Rows, Table, error_of, fitted
from mcuq.ir import Array

ROUNDS = 60
TURNS = 4
RANDOM_STARTS = 3


def clustered(rows: Rows, count: int, seed: int = 0) -> Table:
    """The table of ``count`` values, one of them 0 if a mask keeps zeros."""
    exponents = rows.first_exponents()
    zero = not bool(rows.free.all())
    table = Table(np.zeros(1), exponents, np.zeros(rows.reals.shape, np.int64))
    if not rows.free.any():
        return table
    best, least = table, np.inf
    for turn in range(TURNS):
        values, cost = _samples(rows, exponents)
        starts = [best.levels] if turn else []
        levels = k_means(values, cost, count, zero, seed, starts)
        table = fitted(rows, levels, exponents)
        error = error_of(rows, table)
        if error >= least * (1 - 1e-6):
            break
        best, least, exponents = table, error, table.exponents
    return best


def _samples(rows: Rows, exponents: Array) -> tuple[Array, Array]:
    """The free values in the table's scale, and what their squared errors weigh."""
    cost = rows.cost / rows.power(exponents)[:, None]
    return rows.scaled(exponents)[rows.free], np.broadcast_to(cost, rows.free.shape)[rows.free]


def k_means(
    values: Array, cost: Array, count: int, zero: bool, seed: int, starts: list[Array]
) -> Array:
    """At most ``count`` levels with the least weighed squared error; ``zero``: one of them is 0.

    >>> k_means(np.array([1.0, 2.0, 9.0, 9.0]), np.ones(4), 2, False, 0, []).tolist()
    [1.5, 9.0]
    """
    order = np.argsort(values, kind="stable")
    line = _Line(values[order], cost[order], zero)
    if len(line.distinct) + zero <= count:
        return line.with_zero(line.distinct)
    free = count - zero
    found = [line.lloyd(start) for start in (*starts, *_starts(line, free, seed))]
    return min(found, key=line.error)


def _starts(line: _Line, count: int, seed: int) -> list[Array]:
    """Even quantiles, an even grid, and random draws of distinct values."""
    quantiles = np.quantile(line.values, (np.arange(count) + 0.5) / count)
    grid = np.linspace(line.values[0], line.values[-1], count)
    chance = np.random.default_rng(seed)
    draws = [chance.choice(line.distinct, count, replace=False) for _ in range(RANDOM_STARTS)]
    return [quantiles, grid, *draws]


class _Line:
    """Sorted values with running sums of cost, cost * value and cost * value**2."""

    def __init__(self, values: Array, cost: Array, zero: bool) -> None:
        self.values, self.zero = values, zero
        self.distinct = np.unique(values)
        parts = (cost, cost * values, cost * values * values)
        self._sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in parts]

    def with_zero(self, levels: Array) -> Array:
        return np.unique(np.append(levels, 0.0)) if self.zero else np.unique(levels)

    def lloyd(self, start: Array) -> Array:
        """Levels moved to the means of their clusters until that changes nothing."""
        levels = self.with_zero(start)
        for _ in range(ROUNDS):
            weight, total, _ = self._per_cluster(levels)
            means = np.where(weight > 0, total / np.maximum(weight, 1e-300), levels)
            moved = np.sort(np.where(levels == 0, 0.0, means) if self.zero else means)
            if np.array_equal(moved, levels):
                break
            levels = moved
        return self.with_zero(levels)

    def error(self, levels: Array) -> float:
        weight, total, square = self._per_cluster(levels)
        return float((square - 2 * levels * total + levels * levels * weight).sum())

    def _per_cluster(self, levels: Array) -> list[Array]:
        edges = np.searchsorted(self.values, (levels[1:] + levels[:-1]) / 2, side="right")
        bounds = np.concatenate([[0], edges, [len(self.values)]])
        return [np.diff(sums[bounds]) for sums in self._sums]
