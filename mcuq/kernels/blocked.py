"""Register-blocked variants for cores without SIMD: Cortex-M0 to M3 and RV32."""

from __future__ import annotations

from mcuq.kernels import blocked_conv2d, blocked_dense, blocked_depthwise_conv2d
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *blocked_conv2d.VARIANTS,
    *blocked_depthwise_conv2d.VARIANTS,
    *blocked_dense.VARIANTS,
)
