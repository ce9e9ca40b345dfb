"""The only rounding, saturation and shift rules in Python.

Rounding is half up, toward +infinity, and is the same in numpy, host C and on every core
(``mcuq_requant.h`` is the C twin of this file).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.signedinteger]
FloatArray = npt.NDArray[np.floating]
OfReals = Callable[[FloatArray], FloatArray]

RANGES = {
    "s8": (-128, 127),
    "u8": (0, 255),
    "s16": (-32768, 32767),
    "s32": (-(2**31), 2**31 - 1),
}
DTYPES: dict[str, type[np.integer]] = {
    "s8": np.int8,
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
}


def half(shift: int) -> int:
    """The constant that turns a floor shift into round half up; folded into biases offline.

    >>> half(3), half(0)
    (4, 0)
    >>> (5 + half(1)) >> 1, (-5 + half(1)) >> 1  # +2.5 -> 3, -2.5 -> -2
    (3, -2)
    """
    return 1 << (shift - 1) if shift > 0 else 0


def floor_log2(value: float) -> int:
    """The exponent of the largest power of two up to ``value`` > 0, without a logarithm's rounding.

    >>> floor_log2(1.0), floor_log2(0.75), floor_log2(255.0)
    (0, -1, 7)
    """
    return math.frexp(value)[1] - 1


def round_half_up(real: FloatArray) -> IntArray:
    """The nearest integers, ties toward +infinity, as int64.

    >>> round_half_up(np.array([2.5, -2.5])).tolist()
    [3, -2]
    """
    return np.floor(np.asarray(real, np.float64) + 0.5).astype(np.int64)


def between(points: IntArray, place: IntArray, bits: int) -> IntArray:
    """The curve through evenly spaced ``points`` at ``place`` * 2**-bits, rounded half up.

    >>> between(np.array([0, 10, 30]), np.array([4, 6]), 2).tolist()
    [10, 20]
    """
    k, rest = place >> bits, place & ((1 << bits) - 1)
    found: IntArray = points[k] + (((points[k + 1] - points[k]) * rest + half(bits)) >> bits)
    return found


def saturate(values: IntArray, kind: str) -> IntArray:
    """``values`` clamped to the range of ``kind`` and cast to its dtype."""
    low, high = RANGES[kind]
    return np.clip(values, low, high).astype(DTYPES[kind])


def quantize(real: FloatArray, frac: int, zero: int = 0, kind: str = "s8") -> IntArray:
    """``q`` with ``real = (q - zero) * 2**-frac``, rounded half up and saturated.

    >>> quantize(np.array([0.5, 9.0]), 7).tolist()
    [64, 127]
    """
    scaled = np.clip(np.asarray(real, np.float64) * 2.0**frac, -(2.0**40), 2.0**40)
    return saturate(round_half_up(scaled) + zero, kind)


def dequantize(q: IntArray, frac: int, zero: int = 0) -> FloatArray:
    """``(q - zero) * 2**-frac`` as float64 (exact)."""
    return (q.astype(np.int64) - zero) * 2.0**-frac
