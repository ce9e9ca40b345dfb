"""Register-blocked variants for cores without SIMD: Cortex-M0 to M3 and RV32."""

from __future__ import annotations

from mcuq.kernels.block import conv2d, dense, depthwise_conv2d, recurrent
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d.VARIANTS,
    *depthwise_conv2d.VARIANTS,
    *dense.VARIANTS,
    *recurrent.VARIANTS,
)
