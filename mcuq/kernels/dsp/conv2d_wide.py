"""conv2d with int16 weights and the DSP extension.

``mcuq_conv2d_s8_dsp_wide`` reads windows from the input, ``mcuq_conv2d_s8_dsp_rows`` from rows that
it keeps as int16: for few input channels.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import ConvShapes, window
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant, looped
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8_dsp_wide"
_SYMBOL_ROWS = "mcuq_conv2d_s8_dsp_rows"
_MOST_RING = 4096  # bytes of rows
_TURN = 32  # words
INT16_ORDER = (0, 2, 1, 3)


def pack_weights(weights: Array, bias: Array, shift: Array) -> Array:
    """(out_c, ...) int8 -> words per 4 channels: 4 biases, [2 * units][4] pairs, the shifts."""
    flat = weights.reshape(len(weights), -1)
    flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4)))
    ordered = flat.reshape(len(flat), -1, 4)[..., INT16_ORDER]
    return _groups(ordered.reshape(flat.shape), bias, shift)


def pack_rows(weights: Array, bias: Array, shift: Array) -> Array:
    """(out_c, kh, kw, in_c) int8 -> as above, but each row padded to whole pairs, in order."""
    rows = weights.reshape(*weights.shape[:2], -1)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, rows.shape[2] % 2)))
    return _groups(rows.reshape(len(rows), -1), bias, shift)


def _groups(values: Array, bias: Array, shift: Array) -> Array:
    """(out_c, even) int8 -> words per 4 channels: biases, pairs, shifts."""
    halves = values.reshape(len(values) // 4, 4, -1, 2).transpose(0, 2, 1, 3).astype("<i2")
    body = np.ascontiguousarray(halves).reshape(len(halves), -1).view("<u4")
    heads = bias.astype("<i4").view("<u4").reshape(-1, 4)
    shifts = shift.astype(np.uint8).view("<u4").reshape(-1, 1)
    return np.concatenate([heads, body, shifts], axis=1).astype(np.uint32).ravel()


def _taps(at: ConvShapes) -> int:
    return at.kernel_w if at.dilation_w == 1 else 1


def _units(at: ConvShapes) -> int:
    return math.ceil(at.kernel_h * at.kernel_w * at.in_c / 4)


def _whole(at: ConvShapes) -> tuple[int, int]:
    """The last input row and column where a window can be read as it lies, or -1."""
    if _taps(at) != at.kernel_w or at.kernel_w * at.in_c % 4:
        return -1, -1
    return at.in_h - (at.kernel_h - 1) * at.dilation_h - 1, at.in_w - at.kernel_w


def _accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    sizes = _units(at) < 2**13 and at.kernel_w * at.in_c < 2**15 and at.representable
    return node.int("groups") == 1 and at.out_c % 4 == 0 and sizes


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at = window(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_weights(weights, bias, np.array(node.ints("shift")))
    shapes = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left")
    kernel = ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w")
    fields = (
        Field("weights", "weights"),
        *(Field(name, getattr(at, name)) for name in shapes),
        Field("run", _taps(at) * at.in_c),
        Field("taps", _taps(at)),
        Field("units", _units(at)),
        Field("whole_y", _whole(at)[0]),
        Field("whole_x", _whole(at)[1]),
        Field("row_pitch", at.dilation_h * at.in_w * at.in_c),
        *(Field(name, getattr(at, name)) for name in kernel),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    return (
        Call(_SYMBOL, "mcuq_conv2d_wide_params", fields, node.inputs[:1], node.output, arrays,
             24 * _units(at)),
    )  # fmt: skip


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """Two pixels are read before they are written, and all later ones read further on."""
    if index != 0:
        return None
    at = window(node, qgraph)
    ends = range(2, at.pixels, 2)
    return max([0, *(pixel * at.out_c - at.first_read(pixel) for pixel in ends)])


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at = window(node, qgraph)
    pairs, words = math.ceil(at.pixels / 2), 2 * _units(at)
    group = _group_cost(words)
    lying = 8 * _units(at) + 8 * at.kernel_h
    gathered = 8 * _units(at) + 2 * at.kernel_h * (40 + 1.5 * at.kernel_w * at.in_c)
    share = _whole_share(at)
    each = at.out_c / 4 * group + 120 + share * lying + (1 - share) * gathered
    return 100 + 3 * _units(at) + pairs * each


def _whole_share(at: ConvShapes) -> float:
    """The share of output pixels whose window lies whole in the input and can be read there."""
    last_y, last_x = _whole(at)
    rows = sum(0 <= y * at.stride_h - at.pad_top <= last_y for y in range(at.out_h))
    columns = sum(0 <= x * at.stride_w - at.pad_left <= last_x for x in range(at.out_w))
    return rows * columns / at.pixels


def _group_cost(words: int) -> float:
    """Instructions of two pixels and four channels."""
    return 13 * words + 43 + 3 * ((words - 1) // _TURN)


def _group_code(words: int) -> int:
    """Bytes of code of two pixels and four channels."""
    return 208 + 52 * min(words - 1, _TURN)


def _fetches(node: Node, qgraph: QGraph, cache: int) -> float:
    at = window(node, qgraph)
    words = 2 * _units(at)
    return looped(
        _group_code(words), at.out_c / 4 * math.ceil(at.pixels / 2) * _group_cost(words), cache
    )


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """All weights for every two pixels."""
    return math.ceil(window(node, qgraph).pixels / 2)


# ---- rows ----


def _row_words(at: ConvShapes) -> int:
    return math.ceil(at.kernel_w * at.in_c / 2)


def _padded(at: ConvShapes) -> int:
    """Columns of the input, padding included, that the windows of a row cover."""
    return (at.out_w - 1) * at.stride_w + at.kernel_w


def _pitch(at: ConvShapes) -> int:
    return math.ceil((_padded(at) * at.in_c + 1) / 2) * 2


def _accepts_rows(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    apart = (at.dilation_h, at.dilation_w) != (1, 1) or at.pad_left > _padded(at)
    ring = 2 * at.kernel_h * _pitch(at)
    return _accepts(node, qgraph) and not apart and ring <= _MOST_RING


def _lower_rows(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at = window(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_rows(weights, bias, np.array(node.ints("shift")))
    shapes = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left")
    kernel = ("kernel_h", "kernel_w", "stride_h", "stride_w")
    fields = (
        Field("weights", "weights"),
        *(Field(name, getattr(at, name)) for name in shapes),
        Field("row_words", _row_words(at)),
        Field("pitch", _pitch(at)),
        *(Field(name, getattr(at, name)) for name in kernel),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    scratch = at.kernel_h * (2 * _pitch(at) + 8 * _row_words(at))
    params = "mcuq_conv2d_rows_params"
    return (Call(_SYMBOL_ROWS, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _gap_rows(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A row is written when its inputs are in the ring; later ones read rows that are not."""
    if index != 0:
        return None
    at, gap = window(node, qgraph), 0
    for y in range(1, at.out_h):
        read = max((y - 1) * at.stride_h + at.kernel_h, y * at.stride_h) - at.pad_top
        if read < at.in_h:
            gap = max(gap, y * at.out_w * at.out_c - max(read, 0) * at.in_w * at.in_c)
    return gap


def _cost_rows(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at = window(node, qgraph)
    words = _row_words(at)
    pairs = math.ceil(at.out_w / 2)
    copied = at.kernel_h * (3.5 * words + 8) + (10 if at.stride_h % at.kernel_h else 0)
    each = at.out_c / 4 * _group_cost(at.kernel_h * words) + copied + 80
    rows = min(at.stride_h, at.kernel_h) * (30 + 2.6 * at.in_w * at.in_c)
    return 100 + 5 * at.kernel_h * _pitch(at) + at.out_h * (pairs * each + rows + 60)


def _fetches_rows(node: Node, qgraph: QGraph, cache: int) -> float:
    at = window(node, qgraph)
    words = at.kernel_h * _row_words(at)
    groups = at.out_h * math.ceil(at.out_w / 2) * at.out_c / 4
    return looped(_group_code(words), groups * _group_cost(words), cache)


def _readings_rows(node: Node, qgraph: QGraph, cache: int) -> float:
    """All weights for every two pixels of a row."""
    at = window(node, qgraph)
    return at.out_h * math.ceil(at.out_w / 2)


_NEEDS = frozenset({"dsp"})
VARIANTS: tuple[Variant, ...] = (
    Variant(
        "conv2d",
        _SYMBOL,
        _lower,
        _cost,
        _accepts,
        _NEEDS,
        _gap,
        cycles=1.28,
        fetches=_fetches,
        readings=_readings,
    ),
    Variant(
        "conv2d",
        _SYMBOL_ROWS,
        _lower_rows,
        _cost_rows,
        _accepts_rows,
        _NEEDS,
        _gap_rows,
        cycles=1.28,
        fetches=_fetches_rows,
        readings=_readings_rows,
    ),
)
