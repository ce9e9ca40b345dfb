"""Fixed tables of 16 values: signed powers of two, and an even scale (4-bit integers)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.compress.tables import Rows, Table, error_of, fitted

POWERS = 7
"""Magnitudes of a log weight beside 0: a sign and 3 bits, of which one code is 0."""

FINER = 8
"""Scales per octave that are tried for 4-bit integers: those whose steps 8 bits hold exactly."""


def logarithmic(rows: Rows) -> Table:
    """Each weight 0 or a signed power of two, over ``POWERS`` octaves per channel."""
    magnitudes = 2.0 ** -np.arange(POWERS)
    levels = np.concatenate([-magnitudes, [0.0], magnitudes])
    return replace(fitted(rows, levels, rows.first_exponents()), fixed=True)


def linear(rows: Rows) -> Table:
    """Each weight one of the integers -8..7 at the layer's scale."""
    steps = np.arange(-8, 8) / 8.0
    first = rows.first_exponents()
    tables = [fitted(rows, steps * (1 + i / FINER), first) for i in range(FINER)]
    return replace(min(tables, key=lambda table: error_of(rows, table)), fixed=True)
