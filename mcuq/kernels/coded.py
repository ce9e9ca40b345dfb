"""Variants for weights of few distinct values, which are kept as codes of 4 or 2 bits."""

from __future__ import annotations

from mcuq.kernels import (
    coded_blocked_conv2d,
    coded_dense_pairs,
    coded_dense_sums,
    coded_dsp_conv2d,
    coded_dsp_dense,
    coded_dsp_linear,
    coded_mve,
)
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *coded_blocked_conv2d.VARIANTS,
    *coded_dsp_conv2d.VARIANTS,
    *coded_dense_pairs.VARIANTS,
    *coded_dense_sums.VARIANTS,
    *coded_dsp_dense.VARIANTS,
    *coded_dsp_linear.VARIANTS,
    *coded_mve.VARIANTS,
)
