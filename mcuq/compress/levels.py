"""Fixed tables of 16 values: signed powers of two, and an even scale (4-bit integers)."""

from __future__ import annotations

import numpy as np

from mcuq.compress.tables import Rows, Table, error_of, fitted

POWERS = 7
"""Magnitudes of a log weight beside 0: a sign and 3 bits, of which one code is 0."""

FINER = 8
"""Scales per octave that are tried for 4-bit integers."""


def logarithmic(rows: Rows) -> Table:
    """Each weight 0 or a signed power of two, over ``POWERS`` octaves per channel."""
    magnitudes = 2.0 ** -np.arange(POWERS)
    levels = np.concatenate([-magnitudes, [0.0], magnitudes])
    return fitted(rows, levels, rows.first_exponents())


def linear(rows: Rows) -> Table:
    """Each weight one of the integers -8..7 at the layer's scale."""
    steps = np.arange(-8, 8) / 8.0
    first = rows.first_exponents()
    tables = [fitted(rows, steps * 2.0 ** (i / FINER), first) for i in range(FINER)]
    return min(tables, key=lambda table: error_of(rows, table))
