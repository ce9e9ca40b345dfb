"""The numbers an activation may get, and how well they hold its values.

A candidate is ``(frac, zero)``. Where values are never negative the zero is -128; elsewhere it puts
the range into the middle of the integers, as any zero is free at run time.
"""

from __future__ import annotations

import math

from mcuq.fixed import floor_log2

SILENT_FRAC = 7
"""The frac of a tensor that is zero everywhere: any would do."""

FRAC_MIN, FRAC_MAX = -40, 48
"""Values of up to 1e14, and from 1e-14 on: only differences of fracs become shifts."""
CLIPPED_BITS = 3
"""Candidates are up to so many bits finer than the whole range allows."""

FracZero = tuple[int, int]


def candidates(low: float, high: float, never: bool) -> tuple[FracZero, ...]:
    """The numbers for values in ``low``..``high``: those that clip nothing first, then finer ones.

    ``never``: the values are never negative.

    >>> candidates(-1.0, 2.0, False)[:2]
    ((6, -32), (7, -64))
    >>> candidates(0.0, 1.0, True)
    ((7, -128), (8, -128), (9, -128), (10, -128))
    """
    low, high = min(low, 0.0), max(high, 0.0)
    first = finest(low, high, never)
    if (low, high) == (0.0, 0.0):
        return ((first, -128 if never else 0),)
    fracs = range(first, min(first + CLIPPED_BITS, FRAC_MAX) + 1)
    return tuple((frac, zero) for frac in fracs for zero in _zeros(low, high, frac, never))


def finest(low: float, high: float, never: bool) -> int:
    """The finest frac at which neither end is clipped, with the best zero.

    >>> finest(-1.0, 0.9, False), finest(0.0, 1.0, True), finest(0.0, 0.0, False)
    (7, 7, 7)
    """
    span = high if never else high - low
    if span <= 0.0:
        return SILENT_FRAC
    frac = max(FRAC_MIN, min(FRAC_MAX, floor_log2(255.98 / span)))
    return frac if _fits(low, high, frac, never) else max(FRAC_MIN, frac - 1)


def _fits(low: float, high: float, frac: int, never: bool) -> bool:
    lowest, highest = _steps(0.0 if never else low, frac), _steps(high, frac)
    return highest - lowest <= 255


def middle(low: float, high: float, frac: int, never: bool) -> int:
    """The zero at which the range lies in the middle of the integers; -128 if ``never``.

    >>> middle(-1.0, 2.0, 6, False), middle(0.0, 2.0, 6, True)
    (-32, -128)
    """
    if never:
        return -128
    first, last = -128 - _steps(min(low, 0.0), frac), 127 - _steps(max(high, 0.0), frac)
    return _limited((first + last + 1) // 2)


def _zeros(low: float, high: float, frac: int, never: bool) -> tuple[int, ...]:
    """The middle of what fits; where nothing does, also either end aligned, and 0."""
    if never:
        return (-128,)
    first, last = -128 - _steps(low, frac), 127 - _steps(high, frac)
    centre = middle(low, high, frac, never)
    if first <= last:
        return (centre,)
    return tuple(dict.fromkeys((centre, _limited(first), _limited(last), 0)))


def _limited(zero: int) -> int:
    return max(-128, min(127, zero))


def _steps(real: float, frac: int) -> int:
    return math.floor(real * 2.0**frac + 0.5)
