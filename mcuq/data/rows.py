"""Rows of arrays by input name: how many there are, and some of many."""

from __future__ import annotations

from collections.abc import Mapping, Sized

import numpy as np

from mcuq.ir import Array


def rows_of(feeds: Mapping[str, Sized]) -> int:
    """The number of rows, 0 without any input."""
    return len(next(iter(feeds.values()))) if feeds else 0


def evenly(count: int, most: int) -> Array:
    """At most ``most`` of ``count`` places, evenly spaced from the first to the last.

    >>> evenly(9, 3).tolist(), evenly(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def thinned(feeds: Mapping[str, Array], most: int) -> dict[str, Array]:
    """At most ``most`` rows of each input, evenly spaced."""
    chosen = evenly(rows_of(feeds), most)
    return {name: values[chosen] for name, values in feeds.items()}
