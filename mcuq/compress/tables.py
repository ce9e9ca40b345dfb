"""Weights of few values: a table for the layer, and a power of two for each output channel.

Weight = ``levels[code] * 2**exponents[channel]``. The exponents cost nothing: they end up in the
shifts that every channel has (``ops/coded.py``). Zeros that a mask keeps have no part in the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcuq.compress.constraint import Constraint
from mcuq.ir import Array
from mcuq.ops.parts.layout import rows_along
from mcuq.ops.parts.weights import along

NEAR = (-1, 0, 1)
"""Changes of a channel's exponent that are tried."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Weights to be given few values, each member (channels, weights per channel).

    ``cost``: what a squared error weighs; ``free``: False where the weight stays 0.
    """

    reals: Array
    cost: Array
    free: Array

    @classmethod
    def of(cls, weights: Array, axis: int, power: Array, mask: Array | None) -> Rows:
        free = np.ones(weights.shape, bool) if mask is None else np.asarray(mask, bool)
        reals, cost, free = (rows_along(values, axis) for values in (weights, power, free))
        return cls(reals.astype(np.float64), cost, free)

    def scaled(self, exponents: Array) -> Array:
        """The reals in the scale of the table."""
        found: Array = self.reals * 2.0 ** -exponents.astype(np.float64)[:, None]
        return found

    def power(self, exponents: Array) -> Array:
        """(channels,) the weighed squares in the scale of the table, never 0."""
        scaled = self.scaled(exponents)
        power: Array = (scaled * scaled * self.cost * self.free).sum(axis=1)
        return power.clip(1e-30)

    def first_exponents(self) -> Array:
        """(channels,) for which the largest magnitude of each is in 0.5..1."""
        peaks = np.abs(self.reals * self.free).max(axis=1, initial=0.0)
        top = float(peaks.max(initial=0.0)) or 1.0
        _, exponents = np.frexp(np.where(peaks > top * 2.0**-20, peaks, top))
        return np.asarray(exponents, np.int64)


@dataclass(frozen=True, eq=False)
class Table:
    """``levels`` sorted; ``codes`` (channels, weights per channel) index it.

    ``fixed``: tuning must not move the levels.
    """

    levels: Array
    exponents: Array
    codes: Array
    fixed: bool = False


def fitted(rows: Rows, levels: Array, exponents: Array) -> Table:
    """The nearest of fixed ``levels`` for all weights, each channel at its best exponent."""
    levels = np.sort(levels)
    options = []
    for change in NEAR:
        moved = exponents + change
        codes = nearest(rows.scaled(moved), levels)
        options.append((_errors(rows, levels, moved, codes), moved, codes))
    best = np.argmin([errors for errors, _, _ in options], axis=0)
    channel = np.arange(len(best))
    chosen = np.stack([moved for _, moved, _ in options])[best, channel]
    return Table(levels, chosen, np.stack([codes for _, _, codes in options])[best, channel])


def nearest(values: Array, levels: Array) -> Array:
    """The index of the level next to each value; of two equally near ones the lower."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)


def error_of(rows: Rows, table: Table) -> float:
    """The weighed sum of squared errors, in the table's scale: all channels count alike."""
    return float(_errors(rows, table.levels, table.exponents, table.codes).sum())


def _errors(rows: Rows, levels: Array, exponents: Array, codes: Array) -> Array:
    """(channels,) squared errors, relative to the power of the channel."""
    gaps = np.where(rows.free, rows.scaled(exponents) - levels[codes], 0.0)
    errors: Array = (gaps * gaps * rows.cost).sum(axis=1) / rows.power(exponents)
    return errors


def weights_of(table: Table, rows: Rows, shape: tuple[int, ...], axis: int) -> Array:
    """The weights that the table stands for, float32 of ``shape``."""
    scale = 2.0 ** table.exponents.astype(np.float64)[:, None]
    values = np.where(rows.free, table.levels[table.codes] * scale, 0.0)
    return _placed(values, shape, axis).astype(np.float32)


def constraint_of(table: Table, rows: Rows, shape: tuple[int, ...], axis: int) -> Constraint:
    """What keeps weights in the table while they are tuned."""
    mask = None if rows.free.all() else _placed(rows.free, shape, axis)
    scale = 2.0 ** table.exponents.astype(np.float64)
    if table.fixed:
        levels = table.levels[None, :] * scale[:, None]
        return Constraint("levels", mask, levels=levels, axis=axis)
    codes = _placed(table.codes, shape, axis)
    spread = np.broadcast_to(along(scale, axis, len(shape)), shape)
    return Constraint("codes", mask, codes=codes, axis=axis, scale=spread)


def _placed(values: Array, shape: tuple[int, ...], axis: int) -> Array:
    others = [size for i, size in enumerate(shape) if i != axis]
    return np.ascontiguousarray(np.moveaxis(values.reshape(shape[axis], *others), 0, axis))


def without_unused(table: Table) -> Table:
    """The same with only the levels that occur."""
    used, codes = np.unique(table.codes, return_inverse=True)
    return replace(table, levels=table.levels[used], codes=codes.reshape(table.codes.shape))
