"""depthwise_conv2d with the DSP extension (Cortex-M4, M7, M33), and what its kernels need."""

from __future__ import annotations

from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = ()
