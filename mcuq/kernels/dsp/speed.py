"""Kernel variants of cores with the DSP extension that spend flash to be faster.

Their constants are wider than a byte a weight, so only ``prefer="speed"`` takes them.
"""

from __future__ import annotations

from mcuq.kernels.dsp import conv2d_strassen, conv2d_wide, conv2d_winograd_2x2
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d_wide.VARIANTS,
    *conv2d_strassen.VARIANTS,
    *conv2d_winograd_2x2.VARIANTS,
)
