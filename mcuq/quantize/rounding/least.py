"""Integers of least error for the inputs that arrive: each rounding's error moves on.

One input's weights after the other are rounded, and the error of each is spread over the weights
not yet rounded, as the covariance of the inputs allows (the optimal brain surgeon's update, Hassibi
and Stork 1993; column by column as in GPTQ, Frantar et al. 2022).
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.exact import product
from mcuq.quantize.factors import Factored, factored, settled, solved
from mcuq.quantize.rounding.layers import Moments

DAMPING_GROWTH = (1.0, 100.0, 10_000.0)
"""So many times as much where the covariance has no factors."""


def compensated(target: Array, free: Array, hessian: Factored, fracs: Array) -> Array:
    """(groups, outputs, depth) reals -> integers, each rounding's error spread over the rest.

    Where ``free`` is False the integer is 0: that, too, is made up for (SparseGPT, Frantar and
    Alistarh 2023). ``fracs`` (groups, outputs, depth), or of a whole row (groups, outputs, 1).
    """
    scale = np.broadcast_to(2.0 ** fracs.astype(np.float64), target.shape)

    def settle(k: int, column: Array) -> Array:
        steps = np.clip(np.floor(column * scale[:, :, k] + 0.5), -128, 127)
        rounded: Array = steps * free[:, :, k] / scale[:, :, k]
        return rounded

    return settled(target, hessian, settle) * scale


def aimed(real: Array, known: Moments, hessian: Factored) -> Array:
    """(groups, outputs, depth) weights that do what ``real`` did, for the inputs that arrive."""
    return real + solved(product(real, known.cross), hessian)


def damped(known: Moments, share: float) -> Factored | None:
    """The covariance of the inputs with ``share`` of its mean diagonal added to the diagonal.

    That of constant inputs counts by their size. More is added where that has no factors; None if
    even that fails, as with numbers beyond float64.
    """
    covariance = known.covariance
    if not bool(np.isfinite(covariance).all()):
        return None
    level = np.einsum("gkk->gk", covariance).mean(axis=1)
    level = np.maximum(level, 1e-12) * share
    level = np.maximum(level, 1e-5 * np.square(known.mean_rounded).mean(axis=1))
    for growth in DAMPING_GROWTH:
        extra = growth * level[:, None, None] * np.eye(covariance.shape[1])
        found = factored(covariance + extra)
        if found is not None:
            return found
    return None
