"""Triangular factors of covariances, and what is solved with them, element by element.

LAPACK's sums depend on the processor. Here every sum has one order: columns are subtracted one
after the other, and products of blocks are exact (``ops/exact.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.exact import product, snap_rows

BLOCK = 48
"""So many columns are subtracted at once from those behind them."""

LEAST_PIVOT = 1e-12
"""What must be left of a diagonal element, as a share of it: less is but rounding."""


@dataclass(frozen=True, eq=False)
class Factored:
    """A positive definite ``matrix`` (groups, n, n), with its rows and columns in ``order`` the
    product of ``upper``, which is upper triangular, and its transpose.
    """

    matrix: Array
    order: Array
    upper: Array


def factored(matrix: Array) -> Factored | None:
    """The factors of symmetric ``matrix``, largest diagonal first; None if there are none."""
    order = np.argsort(-np.einsum("gkk->gk", matrix).sum(axis=0), kind="stable")
    turned = order[::-1]
    lower = cholesky(matrix[:, turned][:, :, turned])
    return None if lower is None else Factored(matrix, order, lower[:, ::-1, ::-1])


def cholesky(matrix: Array) -> Array | None:
    """(groups, n, n) lower triangular L with L L' = ``matrix``; None if it is not definite."""
    left, size = matrix.copy(), matrix.shape[1]
    least = LEAST_PIVOT * np.einsum("gkk->gk", matrix)
    for first in range(0, size, BLOCK):
        last = min(first + BLOCK, size)
        for k in range(first, last):
            pivot = left[:, k, k].copy()
            if not bool((pivot > least[:, k]).all()):
                return None
            left[:, k:, k] /= np.sqrt(pivot)[:, None]
            left[:, k + 1 :, k + 1 : last] -= (
                left[:, k + 1 :, k, None] * left[:, None, k + 1 : last, k]
            )
        if last < size:
            behind = snap_rows(left[:, last:, first:last])
            left[:, last:, first:last] = behind
            left[:, last:, last:] -= behind @ behind.transpose(0, 2, 1)
    return np.tril(left)


def solved(wanted: Array, known: Factored) -> Array:
    """(groups, m, n) ``wanted`` times the inverse of the matrix."""
    upper, size = known.upper, known.upper.shape[1]
    left = wanted[:, :, known.order].copy()
    for k in range(size - 1, -1, -1):
        left[:, :, k] /= upper[:, None, k, k]
        left[:, :, :k] -= left[:, :, k, None] * upper[:, None, :k, k]
    for k in range(size):
        left[:, :, k] /= upper[:, None, k, k]
        left[:, :, k + 1 :] -= left[:, :, k, None] * upper[:, None, k, k + 1 :]
    found = np.empty_like(left)
    found[:, :, known.order] = left
    return found


def settled(target: Array, known: Factored, settle: Callable[[int, Array], Array]) -> Array:
    """``target`` with the weights of one input after the other replaced as ``settle`` says.

    ``settle(k, column)``: (groups, outputs) reals of input ``k`` -> what they become. The error
    moves the weights of the inputs that are still to come to where it does least.
    """
    diagonal = np.einsum("gkk->gk", known.upper)
    shares = known.upper / diagonal[:, None, :]
    left = target[:, :, known.order].copy()
    found = np.empty_like(target)
    for place, k in enumerate(known.order.tolist()):
        found[:, :, k] = settle(k, left[:, :, place])
        error = target[:, :, k] - found[:, :, k]
        left[:, :, place + 1 :] += error[:, :, None] * shares[:, None, place, place + 1 :]
    return found


def power_of(gap: Array, matrix: Array) -> Array:
    """(groups, m, n), (groups, n, n) -> (groups, m) of ``gap matrix gap'``."""
    found: Array = (product(gap, matrix) * gap).sum(axis=2)
    return found
