"""Weights of few distinct values as codes of 4 or 2 bits and the table of their values.

Nothing but its numbers marks such a layer: k-means clusters, signed powers of two, or int4 on a
linear scale. Each kernel packs its weights as its dense twin does, zeros that fill up included, and
these bytes are what is coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.qir import QGraph

MOST = 16  # distinct values that 4 bits tell apart
FEW = 4  # and 2 bits
LEAST = 64  # weights below which a table gains nothing


@dataclass(frozen=True, eq=False)
class Codes:
    """``codes``: bytes of two or four codes each, the first in the lowest bits."""

    codes: Array
    values: Array
    bits: int


def bits_of(weights: Array) -> int:
    """The bits that tell the values of ``weights`` apart: 2 or 4, or 8, which are no codes."""
    count = len(np.unique(weights))
    return 2 if count <= FEW else 4 if count <= MOST else 8


def has_few_values(node: Node, qgraph: QGraph) -> bool:
    """Whether coding the weights of ``node`` can pay, before anything fills them up."""
    weights = qgraph.data(node.inputs[1])
    return weights.size >= LEAST and bits_of(weights) < 8


def encode(packed: Array, values: Sequence[int] | None = None) -> Codes:
    """int8 -> codes of a whole number of bytes; ``values``: more than occur, sorted.

    >>> found = encode(np.array([5, -1, 5, 0, 0, 5, -1, -1], np.int8))
    >>> found.values.tolist(), found.bits, [f"{byte:08b}" for byte in found.codes.tolist()]
    ([-1, 0, 5, 5], 2, ['01100010', '00001001'])
    """
    known = np.unique(packed) if values is None else np.array(values, np.int8)
    bits = bits_of(known)
    of = np.searchsorted(known, packed.ravel()).astype(np.uint8).reshape(-1, 8 // bits)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    joined = np.bitwise_or.reduce(of << shifts, axis=1)
    filled = np.pad(known.astype(np.int8), (0, 2**bits - len(known)), mode="edge")
    return Codes(joined.astype(np.uint8), filled, bits)
