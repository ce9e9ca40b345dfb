"""Sigmoid and tanh in integers: lines between points, the same for every recurrent layer."""

from __future__ import annotations

from functools import cache

import numpy as np

from mcuq.fixed import IntArray, between, round_half_up
from mcuq.ir import Array

GATE_FRAC = 12
"""Of z: beyond +-8 both curves are flat to 16 bits."""

POINTS = 513
_STEP_BITS = 7


@cache
def points(curve: str) -> IntArray:
    """The 513 points of "sigmoid", within 1..32767, or "tanh", within +-32767, as s16.

    >>> points("sigmoid")[[0, 256, 512]].tolist(), points("tanh")[[0, 256, 512]].tolist()
    ([11, 16384, 32757], [-32767, 0, 32767])
    """
    at = (np.arange(POINTS) - POINTS // 2) / 2.0 ** (GATE_FRAC - _STEP_BITS)
    value, low = (np.tanh(at), -32767) if curve == "tanh" else (1 / (1 + np.exp(-at)), 1)
    return np.clip(round_half_up(value * 2.0**15), low, 32767).astype(np.int16)


def along_curve(table: Array, z: IntArray) -> IntArray:
    """The curve at ``z``, as int64.

    >>> along_curve(points("tanh"), np.array([0, 64, -64, 32767])).tolist()
    [0, 512, -512, 32767]
    """
    middle = np.int64(POINTS // 2 << _STEP_BITS)
    return between(table.astype(np.int64), z + middle, _STEP_BITS)
