"""The variants for cores with Helium (MVE), by operator."""

from __future__ import annotations

from mcuq.kernels import (
    mve_columns,
    mve_conv2d,
    mve_dense,
    mve_depthwise_conv2d,
    mve_elementwise,
    mve_pool2d,
)
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *mve_conv2d.VARIANTS,
    *mve_columns.VARIANTS,
    *mve_depthwise_conv2d.VARIANTS,
    *mve_dense.VARIANTS,
    *mve_pool2d.VARIANTS,
    *mve_elementwise.VARIANTS,
)
