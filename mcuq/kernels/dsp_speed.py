"""Kernel variants of cores with the DSP extension that spend flash to be faster.

Their constants are wider than a byte a weight, so only ``prefer="speed"`` takes them.
"""

from __future__ import annotations

from mcuq.kernels import dsp_strassen, dsp_wide, dsp_winograd_2x2
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *dsp_wide.VARIANTS,
    *dsp_strassen.VARIANTS,
    *dsp_winograd_2x2.VARIANTS,
)
