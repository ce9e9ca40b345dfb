"""The reals that integer weights stand for."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array
from mcuq.qir import QTensor


def dequantized(weights: QTensor) -> Array:
    """The reals that integer weights stand for, float32."""
    if weights.data is None or isinstance(weights.frac, int):
        raise TypeError(f"{weights.name} holds no weights with a frac per channel")
    shape = weights.shape
    axis = next(i for i in weight_axes(shape) if shape[i] == len(weights.frac))
    spread = [-1 if i == axis else 1 for i in range(len(shape))]
    scale = 2.0 ** -np.array(weights.frac, np.float64).reshape(spread)
    return (weights.data * scale).astype(np.float32)


def weight_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where the channel axis may be: first, but last for depthwise weights (rank 3)."""
    return (2,) if len(shape) == 3 else (0,)
