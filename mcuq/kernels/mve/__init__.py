"""The variants for cores with Helium (MVE), by operator."""

from __future__ import annotations

from mcuq.kernels.mve import (
    conv2d,
    conv2d_columns,
    dense,
    depthwise_conv2d,
    elementwise,
    features,
    int16,
    matmul,
    normalize,
    pool2d,
    recurrent,
    rows_int16,
    softmax,
)
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d.VARIANTS,
    *conv2d_columns.VARIANTS,
    *depthwise_conv2d.VARIANTS,
    *dense.VARIANTS,
    *pool2d.VARIANTS,
    *elementwise.VARIANTS,
    *int16.VARIANTS,
    *matmul.VARIANTS,
    *recurrent.VARIANTS,
    *rows_int16.VARIANTS,
    *softmax.VARIANTS,
    *normalize.VARIANTS,
    *features.VARIANTS,
)
