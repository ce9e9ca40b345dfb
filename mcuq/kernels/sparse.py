"""Variants that store no zero weights, by format; see ``sparse_layer``."""

from __future__ import annotations

from mcuq.kernels.dsp import sparse
from mcuq.kernels.mve import sparse as sparse_mve
from mcuq.kernels.plain.compressed import dense_2of4, dense_sparse, dense_sparse4
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *dense_sparse4.VARIANTS,
    *dense_sparse.VARIANTS,
    *sparse.VARIANTS,
    *sparse_mve.VARIANTS,
    *dense_2of4.VARIANTS,
)
