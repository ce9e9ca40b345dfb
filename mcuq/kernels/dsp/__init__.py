"""All kernel variants for cores with the DSP extension (Cortex-M4, M7, M33)."""

from __future__ import annotations

from mcuq.kernels.dsp import (
    conv2d,
    conv2d_int16,
    conv2d_quad,
    conv2d_winograd,
    dense,
    dense_parts,
    depthwise_conv2d,
    depthwise_planes,
    elementwise,
    features,
    int16,
    matmul,
    pool2d,
    recurrent,
    rows,
    rows_int16,
    speed,
)
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d.VARIANTS,
    *conv2d_quad.VARIANTS,
    *conv2d_winograd.VARIANTS,
    *depthwise_conv2d.VARIANTS,
    *depthwise_planes.VARIANTS,
    *dense.VARIANTS,
    *dense_parts.VARIANTS,
    *elementwise.VARIANTS,
    *matmul.VARIANTS,
    *conv2d_int16.VARIANTS,
    *int16.VARIANTS,
    *pool2d.VARIANTS,
    *speed.VARIANTS,
    *recurrent.VARIANTS,
    *features.VARIANTS,
    *rows.VARIANTS,
    *rows_int16.VARIANTS,
)
