"""Variants that store no zero weights, by format; see ``sparse_layer``."""

from __future__ import annotations

from mcuq.kernels import sparse_2of4, sparse_blocks, sparse_dsp, sparse_mve, sparse_single
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *sparse_blocks.VARIANTS,
    *sparse_single.VARIANTS,
    *sparse_dsp.VARIANTS,
    *sparse_mve.VARIANTS,
    *sparse_2of4.VARIANTS,
)
