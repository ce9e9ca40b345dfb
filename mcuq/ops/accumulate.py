"""Exact integer sums at BLAS speed, and their way to s8: what the weighted operators share."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuq.ir import Array, Node

FloatType = type[np.floating[Any]]


def exact_type(weights: Array) -> FloatType:
    """The cheapest float in which ``weights`` (rows, depth) times any s8 vector sums exactly.

    Every partial sum is an integer of at most 128 * sum |w|, which float32 holds below 2**24.

    >>> exact_type(np.full((1, 1000), 127, np.int8)).__name__
    'float32'
    >>> exact_type(np.full((1, 2000), 127, np.int8)).__name__
    'float64'
    """
    reach = 128 * np.abs(weights.astype(np.int32)).sum(axis=1, dtype=np.int64).max(initial=0)
    return np.float32 if reach < 2**24 else np.float64


def requantize(acc: Array, bias: Array, node: Node) -> Array:
    """(..., out_c) int32 sums, overwritten -> s8: add bias, shift, clamp."""
    acc += bias
    acc >>= np.array(node.ints("shift"), np.int32)
    np.clip(acc, node.int("out_min"), node.int("out_max"), out=acc)
    return acc.astype(np.int8)


def rows_per_chunk(elements: int, limit: int = 1 << 19) -> int:
    """How many images of ``elements`` fit the cache together, at least 1."""
    return max(1, limit // max(1, elements))
