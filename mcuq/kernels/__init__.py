"""Every kernel variant, listed by hand; ``lower`` picks the cheapest accepted one per step."""

from __future__ import annotations

from mcuq.kernels import block, coded, dsp, mve, sparse
from mcuq.kernels.plain import (
    add,
    argmax,
    avg_pool2d,
    conv2d,
    dense,
    depthwise_conv2d,
    extremum,
    int16,
    lut,
    matmul,
    max_pool2d,
    mul,
    normalize,
    prelu,
    recurrent,
    resize_linear,
    softmax,
    top,
)
from mcuq.kernels.plain.movement import concat, copy, from_u8, lookup, pad, push, transpose
from mcuq.kernels.plain.signal import biquad, decide, features, nms, statistics
from mcuq.kernels.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *conv2d.VARIANTS,
    *depthwise_conv2d.VARIANTS,
    *dense.VARIANTS,
    *max_pool2d.VARIANTS,
    *avg_pool2d.VARIANTS,
    *add.VARIANTS,
    *mul.VARIANTS,
    *matmul.VARIANTS,
    *extremum.VARIANTS,
    *prelu.VARIANTS,
    *lut.VARIANTS,
    *softmax.VARIANTS,
    *normalize.VARIANTS,
    *argmax.VARIANTS,
    *top.VARIANTS,
    *lookup.VARIANTS,
    *concat.VARIANTS,
    *pad.VARIANTS,
    *transpose.VARIANTS,
    *copy.VARIANTS,
    *push.VARIANTS,
    *resize_linear.VARIANTS,
    *recurrent.VARIANTS,
    *features.VARIANTS,
    *decide.VARIANTS,
    *nms.VARIANTS,
    *statistics.VARIANTS,
    *biquad.VARIANTS,
    *from_u8.VARIANTS,
    *int16.VARIANTS,
    *block.VARIANTS,
    *dsp.VARIANTS,
    *mve.VARIANTS,
    *coded.VARIANTS,
    *sparse.VARIANTS,
)


def variants(op: str) -> tuple[Variant, ...]:
    """The variants of ``op``, in the order in which equal costs are decided."""
    return tuple(v for v in VARIANTS if v.op == op)
