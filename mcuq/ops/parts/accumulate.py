"""Exact integer sums at BLAS speed, and the way of sums to integers of a kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcuq.ir import Array, Node

FloatType = type[np.floating[Any]]


def exact_type(weights: Array, inputs: np.dtype[Any] | None = None) -> FloatType:
    """The cheapest float in which ``weights`` (rows, depth) times any vector sums exactly.

    ``inputs``: the vector's type, else s8. Every partial sum is an integer of at most
    128 (s16: 32768) * sum |w|, which float32 holds below 2**24.

    >>> exact_type(np.full((1, 1000), 127, np.int8)).__name__
    'float32'
    >>> exact_type(np.full((1, 2000), 127, np.int8)).__name__
    'float64'
    """
    peak = -int(np.iinfo(inputs or np.int8).min)
    reach = peak * np.abs(weights.astype(np.int32)).sum(axis=1, dtype=np.int64).max(initial=0)
    return np.float32 if reach < 2**24 else np.float64


def requantize(acc: Array, bias: Array, node: Node, dtype: np.dtype[Any]) -> Array:
    """(..., out_c) int32 sums, overwritten -> ``dtype``: add bias, shift, clamp."""
    acc += bias
    acc >>= np.array(node.ints("shift"), np.int32)
    np.clip(acc, node.int("out_min"), node.int("out_max"), out=acc)
    return acc.astype(dtype)


def limited(acc: Array, node: Node, dtype: npt.DTypeLike) -> Array:
    """``acc`` clamped to out_min..out_max, as ``dtype``."""
    return acc.clip(node.int("out_min"), node.int("out_max")).astype(dtype)


def rows_per_chunk(elements: int, limit: int = 1 << 19) -> int:
    """How many images of ``elements`` fit the cache together, at least 1."""
    return max(1, limit // max(1, elements))
