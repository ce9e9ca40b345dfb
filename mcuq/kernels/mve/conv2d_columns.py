"""conv2d with Helium (MVE) whose pixels are read in place: ``mcuq_conv2d_s8_mve_columns``."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import NEEDS, forward_gap, minus_shift, pack_pairs, round_up
from mcuq.kernels.mve.conv2d import Shape, direct_shape, is_direct, ring_gap, shape_of
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

SYMBOL = "mcuq_conv2d_s8_mve_columns"
_MOST_STEPS = 16  # that the immediate offsets of VLDRB reach


def _columns_shape(node: Node, qgraph: QGraph) -> Shape:
    """The sizes, as one long row where the input itself can be read."""
    s = shape_of(node, qgraph)
    before = 16 if s.depth <= 16 else 0  # bytes before its fourth pixel that a block reads
    fits = is_direct(s) and 3 * s.strides[1] * s.in_c >= before
    return direct_shape(s) if fits else s


def _together(s: Shape) -> int:
    """Pixels that 16 consecutive inputs fill."""
    return max(1, 16 // s.in_c)


def _offsets(s: Shape) -> Array:
    """Where 16 consecutive inputs go, from each 16th channel on, relative to the first of them."""
    first = np.arange(0, s.in_c, 16)[:, None]
    pixel, channel = np.divmod(first + np.arange(16), s.in_c)
    return (pixel * s.kernel[0] * s.in_c + channel - first).ravel()


def _copy_w(s: Shape) -> int:
    """Pixels of an input row that the window holds."""
    return min(s.in_w, s.window_w - s.pads[1])


def _last_bytes(s: Shape) -> int:
    """Bytes of ``_copy_w`` pixels in vectors of 16 from the last multiple of 16 channels on."""
    full, rest = divmod(_copy_w(s) - 1, _together(s))
    return 16 * full + (rest + 1) * ((s.in_c - 1) % 16 + 1)


def _last_w(s: Shape) -> int:
    """Pixels of the last row whose last step ends inside the input."""
    if not s.direct:
        return s.out_w
    end = s.in_w * s.in_c - 16 * s.steps
    return min(s.out_w, end // (s.strides[1] * s.in_c) + 1 if end >= 0 else 0)


def _accepts(node: Node, qgraph: QGraph) -> bool:
    s = _columns_shape(node, qgraph)
    close = all(k == 1 or d == 1 for k, d in zip(s.kernel, s.dilations, strict=True))
    plain = node.int("groups") == 1 and close and s.fits_halfwords
    return plain and s.steps <= _MOST_STEPS and s.pads[1] < s.window_w and _offsets(s).max() < 256


def _window(s: Shape) -> int:
    """Bytes of the window."""
    return 0 if s.direct else s.in_c * (s.window_w * s.kernel[0] + (s.out_h - 1) * s.strides[0])


def _aside(s: Shape) -> bool:
    """Some pixels are copied to form a block."""
    return s.out_w % 4 != 0 or _last_w(s) < s.out_w


def _packed(node: Node, qgraph: QGraph, s: Shape) -> Array:
    """[pair][steps][2][16], the last step first."""
    columns = qgraph.data(node.inputs[1]).swapaxes(1, 2).reshape(s.out_c, s.depth)
    return np.roll(pack_pairs(columns), 1, axis=1)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    s = _columns_shape(node, qgraph)
    bias = np.pad(qgraph.data(node.inputs[2]), (0, -s.out_c % 4))
    windows = () if s.direct else (ConstArray("offsets", "uint8_t", _offsets(s).astype(np.uint8)),)
    arrays = (
        ConstArray("weights", "int8_t", _packed(node, qgraph, s), "[pair][step][2][16]"),
        ConstArray("bias", "int32_t", bias),
        minus_shift(node.ints("shift")),
        *windows,
    )
    sizes = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
    numbers = {
        **{name: getattr(s, name) for name in sizes},
        "pad_top": s.pads[0],
        "pad_left": s.pads[1],
        "window_w": 0 if s.direct else s.window_w,
        "copy_w": _copy_w(s),
        "last_w": _last_w(s),
        "steps": s.steps,
        "last_bytes": _last_bytes(s),
        "kernel_h": s.kernel[0],
        "kernel_w": s.kernel[1],
        "stride_h": s.strides[0],
        "stride_w": s.strides[1],
        "together": _together(s),
        "pad_value": node.int("pad_value"),
    }
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field(name, value) for name, value in numbers.items()),
        Field("out_range", (node.int("out_min"), node.int("out_max"))),
    )
    aside = 64 * s.steps if _aside(s) else 16
    scratch = round_up(16 * round_up(s.out_c, 4) + aside + _window(s) + 16, 4)
    params = "mcuq_conv2d_columns_mve_params"
    return (Call(SYMBOL, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    s = _columns_shape(node, qgraph)
    return 130 + _rows_cost(s) + _pixels_cost(s)


def _rows_cost(s: Shape) -> float:
    """Instructions that bring the rows into the window."""
    if s.direct:
        return 0
    rows = min(s.all_rows, s.out_h * s.kernel[0])
    width = _copy_w(s)
    sides = (s.pads[1] > 0) + (s.window_w > s.pads[1] + width)
    strips = -(-s.in_c // 16)
    copy = strips * (25 + 5 * -(-width // _together(s))) + 11 * sides * strips
    row = 35 + copy + 4 * strips * (s.window_w - width)
    padding = 20 + strips * (11 + 4 * s.window_w)
    inside = max(0, min(rows - s.pads[0], s.in_h))
    return inside * row + (rows - inside) * padding


def _pixels_cost(s: Shape) -> float:
    """Instructions of all blocks, and of the pixels that are copied for theirs."""
    pairs, fours = -(-s.out_c // 2), -(-s.out_c // 4)
    block = 24 + pairs * (14 * s.steps + (0 if s.steps > 1 else 1)) + 27 * fours
    pixel = 10 + pairs * (6 * s.steps + 7) + 9 * fours
    full, rest = divmod(s.pixels, 4)
    blocks = full * block + (pixel if rest == 1 else block if rest else 0)
    copied, depth = _copied(s), divmod(s.depth, 16)
    aside = copied * (24 + 3 * depth[0] + (5 if depth[1] else 0)) + 40 * (copied // 4)
    return s.out_h * 80 + (aside if copied else 0) + blocks


def _copied(s: Shape) -> int:
    """Pixels that are copied to form a block."""
    count, ready = 0, 0
    for y in range(s.out_h):
        width = _last_w(s) if y == s.out_h - 1 else s.out_w
        first = min(-ready % 4, s.out_w)
        in_place = max(0, width - first) // 4 * 4
        count += s.out_w - in_place
        ready = (ready + s.out_w) % 4
    return count


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    s = _columns_shape(node, qgraph)
    if not s.direct:
        return ring_gap(s)
    first = np.arange(0, s.pixels, 4)
    y, x = np.divmod(first, s.out_w)
    starts = (y * s.strides[0] * s.in_w + x * s.strides[1]) * s.in_c
    return forward_gap(np.minimum(first + 4, s.pixels) * s.out_c, starts)


VARIANTS = (Variant("conv2d", SYMBOL, _lower, _cost, _accepts, NEEDS, _gap),)
