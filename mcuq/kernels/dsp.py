"""All kernel variants for cores with the DSP extension (Cortex-M4, M7, M33)."""

from __future__ import annotations

from mcuq.kernels import (
    dsp_conv2d,
    dsp_dense,
    dsp_dense_parts,
    dsp_depthwise_conv2d,
    dsp_depthwise_planes,
    dsp_elementwise,
    dsp_int16,
    dsp_pool,
    dsp_quad,
    dsp_speed,
    dsp_winograd,
)
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *dsp_conv2d.VARIANTS,
    *dsp_quad.VARIANTS,
    *dsp_winograd.VARIANTS,
    *dsp_depthwise_conv2d.VARIANTS,
    *dsp_depthwise_planes.VARIANTS,
    *dsp_dense.VARIANTS,
    *dsp_dense_parts.VARIANTS,
    *dsp_elementwise.VARIANTS,
    *dsp_int16.VARIANTS,
    *dsp_pool.VARIANTS,
    *dsp_speed.VARIANTS,
)
