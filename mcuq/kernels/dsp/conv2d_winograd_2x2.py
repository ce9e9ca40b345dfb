"""conv2d 3x3 of stride 1 by Winograd's F(2x2, 3x3): ``mcuq_conv2d_s8_dsp_winograd_2x2``.

Weights become 16/9 as many int16: 3.6 bytes each.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import ConvShapes, window
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8_dsp_winograd_2x2"
# Twice Winograd's matrix G, as the C file has it.
_TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
_INT16_ORDER = (0, 2, 1, 3)
_LAST = 1 << 31  # marks the last channel of a group


def transform(weights: Array) -> Array:
    """(out_c, 3, 3, in_c) int8 -> (out_c, 4, 4, in_c): 4 G w G^T, at most 1152 in size."""
    twice = _TWICE_G
    result: Array = np.einsum("ik,oklc,jl->oijc", twice, weights, twice)
    return result


def pack_weights(weights: Array, bias: Array, shift: Array) -> Array:
    """Words per 4 channels: [16][in_c / 2][4] pairs of int16, then 4 x (4 * bias, shift + 2)."""
    out_c, in_c = len(weights), weights.shape[3]
    products = transform(weights.astype(np.int64)).reshape(out_c, 16, in_c // 4, 4)
    ordered = products[..., _INT16_ORDER].reshape(out_c // 4, 4, 16, in_c // 2, 2)
    halves = np.ascontiguousarray(ordered.transpose(0, 2, 3, 1, 4)).astype("<i2")
    body = halves.reshape(out_c // 4, -1).view("<u4")
    marks = np.tile(np.array([0, 0, 0, _LAST], np.uint32), out_c // 4)
    shifts = (shift + 2).astype(np.uint32) | marks
    biases = (4 * bias.astype(np.int64)).astype("<i4").view("<u4")
    head = np.stack([biases, shifts], axis=1).reshape(out_c // 4, 8)
    return np.concatenate([body, head], axis=1).astype(np.uint32).ravel()


def _pairs(at: ConvShapes) -> int:
    """Pairs of tiles of two rows of outputs."""
    return math.ceil(at.out_w / 4)


def _whole(at: ConvShapes) -> bool:
    return at.out_h % 2 == 0 and at.out_w % 4 == 0


def _scratch(at: ConvShapes) -> int:
    edge = 0 if _whole(at) else 8 * at.out_c
    return at.in_c * (8 * (4 * _pairs(at) + 2) + 64 + at.in_w) + 512 + edge


def _accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    kernel = (at.kernel_h, at.kernel_w, *node.ints("strides"), *node.ints("dilations"))
    channels = at.in_c % 16 == 0 and at.out_c % 4 == 0 and node.int("groups") == 1
    inside = at.pad_left < at.out_w and at.representable
    return kernel == (3, 3, 1, 1, 1, 1) and channels and inside and _fits(node, qgraph)


def _fits(node: Node, qgraph: QGraph) -> bool:
    """Whether four times an output's sum fits 32 bits."""
    weights = np.abs(qgraph.data(node.inputs[1]).astype(np.int64))
    bias = np.abs(qgraph.data(node.inputs[2]).astype(np.int64))
    bound = bias + 128 * weights.sum((1, 2, 3))
    return bool(4 * bound.max() < 2**31) and max(node.ints("shift")) <= 29


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at = window(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_weights(weights, bias, np.array(node.ints("shift")))
    names = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left")
    fields = (
        Field("weights", "weights"),
        *(Field(name, getattr(at, name)) for name in names),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    params = "mcuq_conv2d_winograd_2x2_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, _scratch(at)),)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """Two rows are written when their inputs have been read; later ones read further on."""
    if index != 0:
        return None
    at = window(node, qgraph)
    ends = range(2, at.out_h, 2)
    row = at.out_w * at.out_c
    return max([0, *(y * row - at.first_read(y * at.out_w) for y in ends)])


_CODE = 1600
"""Bytes of code that go round: of four channels of a pair of tiles."""


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at = window(node, qgraph)
    lines, words = math.ceil(at.out_h / 2), at.in_c // 2
    turns = words // 8 - 1
    group = 16 * (13 * words + 7 + 5 * turns) + 500
    pair = at.out_c / 4 * group + 60 * words + 110 + (0 if _whole(at) else 40)
    line = 120 + at.in_w * at.in_c / 4 * 27 + _pairs(at) * pair
    return 200 + 2 * at.in_c * 40 + lines * line


def _fetches(node: Node, qgraph: QGraph, cache: int) -> float:
    """What makes sums is held while it does; what makes outputs of them takes its place."""
    at = window(node, qgraph)
    rounds = math.ceil(at.out_h / 2) * _pairs(at) * at.out_c / 4
    return 0.0 if cache >= _CODE else rounds * _CODE


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """All weights for each pair of tiles."""
    at = window(node, qgraph)
    return math.ceil(at.out_h / 2) * _pairs(at)


VARIANTS: tuple[Variant, ...] = (
    Variant(
        "conv2d",
        _SYMBOL,
        _lower,
        _cost,
        _accepts,
        frozenset({"dsp"}),
        _gap,
        cycles=1.3,
        fetches=_fetches,
        readings=_readings,
    ),
)
