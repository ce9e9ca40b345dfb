"""Variants for weights of few distinct values, which are kept as codes of 4 or 2 bits."""

from __future__ import annotations

from mcuq.kernels.block import conv2d_coded, dense_coded_pairs
from mcuq.kernels.dsp import conv2d_coded as coded_dsp_conv2d
from mcuq.kernels.dsp import dense_coded, dense_linear
from mcuq.kernels.mve import coded
from mcuq.kernels.plain.compressed import dense_coded_sums
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d_coded.VARIANTS,
    *coded_dsp_conv2d.VARIANTS,
    *dense_coded_pairs.VARIANTS,
    *dense_coded_sums.VARIANTS,
    *dense_coded.VARIANTS,
    *dense_linear.VARIANTS,
    *coded.VARIANTS,
)
