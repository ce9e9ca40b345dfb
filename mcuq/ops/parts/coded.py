"""Layers whose weights share one small table of values: they can be kept as codes.

The weights of output channel c are ``table[code] * 2**exponents[c]``, with at most ``MOST_VALUES``
in the table. Rounded with ``frac - exponents[c]``, one frac for the table, the integers of all
channels share a table as well: the powers of two are in the shifts, which every channel has anyway.
Nothing but the numbers marks such a layer, so it is known again in any file.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.layout import rows_along

MOST_VALUES, FEW_VALUES = 16, 4
"""What codes of 4 and of 2 bits tell apart."""

FEWEST_WEIGHTS = 64
"""With fewer weights a table gains nothing."""

Values = frozenset[tuple[float, int]]
"""Values as (signed mantissa, exponent) of ``math.frexp``."""


def has_few_values(weights: Array) -> bool:
    """Whether the values alone, whatever their channel, fit a table that pays."""
    first = weights.reshape(-1)[: 4 * MOST_VALUES]
    if weights.size < FEWEST_WEIGHTS or len(np.unique(first)) > MOST_VALUES:
        return False
    return len(np.unique(weights)) <= MOST_VALUES


def exponents_of(weights: Array, axis: int) -> tuple[int, ...] | None:
    """The exponent of each channel along ``axis``; None if no table of few values is shared.

    >>> rows = np.array([[0.75, -0.5, 0.0, 0.25], [3.0, -2.0, 0.0, 1.0]]).repeat(8, 1)
    >>> exponents_of(rows, 0)
    (0, 2)
    """
    if weights.size < FEWEST_WEIGHTS:
        return None
    rows = rows_along(weights, axis)
    zero = int((rows == 0).any())
    channels: list[Values] = []
    seen: set[float] = set()
    for row in rows:
        known = np.unique(row[row != 0])
        mantissas, exponents = np.frexp(known)
        seen.update(mantissas.tolist())
        if len(known) + zero > MOST_VALUES or len(seen) + zero > MOST_VALUES:
            return None
        channels.append(frozenset(zip(mantissas.tolist(), exponents.tolist(), strict=True)))
    found, count = _aligned(channels)
    if count + zero > FEW_VALUES and len(np.unique(rows)) <= MOST_VALUES:
        return (0,) * len(rows)
    return found if count + zero <= MOST_VALUES else None


def _aligned(channels: list[Values]) -> tuple[tuple[int, ...], int]:
    """The exponent of each channel for which the union of what is left is small, and its size.

    Channel by channel, the richest first, each where it adds the fewest values to the table. If
    these are too many, all are placed once more, where they fit the values of all others best.
    """
    order = sorted(range(len(channels)), key=lambda c: (-len(channels[c]), c))
    table: Values = channels[order[0]]
    found = [0] * len(channels)
    for channel in order[1:]:
        found[channel] = _best_shift(channels[channel], table)
        table = table | _moved(channels[channel], found[channel])
    if len(table) >= MOST_VALUES:
        counts = Counter(v for c in order for v in _moved(channels[c], found[c]))
        for channel in order:
            counts -= Counter(_moved(channels[channel], found[channel]))
            found[channel] = _best_shift(channels[channel], frozenset(counts))
            counts.update(_moved(channels[channel], found[channel]))
        table = frozenset(counts)
    return tuple(found), len(table)


def _best_shift(values: Values, table: Values) -> int:
    """The shift with which ``values`` add the fewest to ``table``."""
    if not values:
        return 0
    shifts = {mine - theirs for m, mine in values for n, theirs in table if m == n}
    top = max(e for _, e in values) - max((e for _, e in table), default=0)
    return min(
        sorted({*shifts, top}, key=lambda shift: (abs(shift - top), shift)),
        key=lambda shift: _cost(table, _moved(values, shift)),
    )


def _moved(values: Values, shift: int) -> Values:
    return frozenset((m, e - shift) for m, e in values)


def _cost(table: Values, values: Values) -> tuple[int, int]:
    """How many values are new, and over how many octaves all then spread."""
    joined = [e for _, e in table | values]
    return len(values - table), max(joined) - min(joined)


def joined(weights: Array, axis: int) -> tuple[Array, tuple[int, ...]] | None:
    """All weights in the scale of their table, (1, n), and the exponents; None if not coded."""
    exponents = exponents_of(weights, axis)
    if exponents is None:
        return None
    scale = 2.0 ** -np.array(exponents, np.float64)[:, None]
    return (rows_along(weights, axis) * scale).reshape(1, -1), exponents
