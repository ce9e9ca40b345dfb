"""1x1 conv2d by Strassen's method: ``mcuq_conv2d_s8_dsp_strassen``, 3.5 bytes a weight.

The letters are those of the C file.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import ConvShapes, window
from mcuq.kernels.dsp.conv2d_wide import INT16_ORDER
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant, looped
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8_dsp_strassen"


def pack_weights(weights: Array, bias: Array, shift: Array) -> Array:
    """(out_c, in_c) int8 -> words per 8 channels, in the order of their use."""
    halves = weights.astype(np.int64).reshape(-1, 2, 4, 2, weights.shape[1] // 2)
    b11, b21, b12, b22 = (halves[:, c, :, k] for c in (0, 1) for k in (0, 1))
    t1, t3 = b12 - b11, b22 - b12
    t2 = b22 - t1
    pairs = bias.astype(np.int64).reshape(-1, 2, 4)
    low, high = (
        np.ascontiguousarray(s).view("<u4") for s in _each(shift.astype(np.uint8).reshape(-1, 2, 4))
    )
    parts = (
        _words(pairs[:, 0]), _matrix(b11), _matrix(b21), low, _matrix(t2), _matrix(t3),
        _matrix(b21 - t2), low, _words(pairs[:, 1] - pairs[:, 0]), _matrix(t1), _matrix(b22), high,
        high,
    )  # fmt: skip
    return np.concatenate(parts, axis=1).astype(np.uint32).ravel()


def _each(values: Array) -> tuple[Array, Array]:
    """Those of channels 0-3 and those of channels 4-7."""
    return values[:, 0], values[:, 1]


def _words(values: Array) -> Array:
    """int64 as 32 bits, wrapped around."""
    words: Array = (values & 0xFFFFFFFF).astype(np.uint32)
    return words


def _matrix(values: Array) -> Array:
    """(groups, 4, n) -> (groups, 2 n) words: [n / 2][4 channels] pairs in int16 order."""
    groups, channels, count = values.shape
    ordered = values.reshape(groups, channels, count // 4, 4)[..., INT16_ORDER]
    pairs = ordered.reshape(groups, channels, count // 2, 2).transpose(0, 2, 1, 3)
    words: Array = np.ascontiguousarray(pairs.astype("<i2")).reshape(groups, -1).view("<u4")
    return words


def _accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    kernel = (at.kernel_h, at.kernel_w, *node.ints("strides"), node.int("groups"))
    same = (at.out_h, at.out_w, at.pad_top, at.pad_left) == (at.in_h, at.in_w, 0, 0)
    sizes = at.in_c % 64 == 0 and at.out_c % 8 == 0 and at.representable
    return kernel == (1, 1, 1, 1, 1) and same and sizes


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at = window(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    shift: Array = np.array(node.ints("shift"))
    packed = pack_weights(weights.reshape(len(weights), -1), bias, shift)
    fields = (
        Field("weights", "weights"),
        Field("pixels", at.pixels),
        Field("in_c", at.in_c),
        Field("out_c", at.out_c),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    params = "mcuq_conv2d_strassen_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, 14 * at.in_c),)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """Four pixels are read before they are written."""
    if index != 0:
        return None
    at = window(node, qgraph)
    last = (at.pixels - 1) // 4 * 4
    return max(0, last * (at.out_c - at.in_c))


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _quad_cost(window(node, qgraph)) * math.ceil(window(node, qgraph).pixels / 4)


_CODE = 6500
"""Bytes of code of eight channels."""


def _quad_cost(at: ConvShapes) -> float:
    """Instructions of four pixels."""
    words = at.in_c // 4
    group = 7 * (13 * words + 3 * (words // 16) + 3) + 184
    return 140 + 2 * (37 * at.in_c / 8 + 20) + at.out_c / 8 * group


def _fetches(node: Node, qgraph: QGraph, cache: int) -> float:
    """Each product has 16 steps of its own, which are held while it goes on."""
    at = window(node, qgraph)
    quads = math.ceil(at.pixels / 4)
    return looped(_CODE, quads * _quad_cost(at) * 16 / (at.in_c // 4), cache)


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """All weights for every four pixels."""
    return math.ceil(window(node, qgraph).pixels / 4)


VARIANTS: tuple[Variant, ...] = (
    Variant(
        "conv2d",
        _SYMBOL,
        _lower,
        _cost,
        _accepts,
        frozenset({"dsp"}),
        _gap,
        cycles=1.27,
        fetches=_fetches,
        readings=_readings,
    ),
)
