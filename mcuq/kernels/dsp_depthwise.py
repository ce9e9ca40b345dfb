"""depthwise_conv2d with the DSP extension: ``mcuq_depthwise_conv2d_s8_dsp_3x3`` and ``..._dsp``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp_blocks import Window, window
from mcuq.kernels.variant import Call, ConstArray, Field, Variant
from mcuq.qir import QGraph


@dataclass(frozen=True)
class Walk:
    """A window seen along its rows, or (``turned``) along its columns; pitches in bytes."""

    turned: bool
    in_line_pitch: int
    in_step_pitch: int
    out_line_pitch: int
    out_step_pitch: int
    in_lines: int
    in_steps: int
    out_lines: int
    out_steps: int
    channels: int
    pad_lines: int
    pad_steps: int
    kernel_lines: int
    kernel_steps: int
    stride_lines: int
    stride_steps: int


_FIELDS = tuple(Walk.__dataclass_fields__)[1:]


def _walk(at: Window, turned: bool) -> Walk:
    pairs = (
        (at.in_w * at.in_c, at.in_c),
        (at.out_w * at.in_c, at.in_c),
        (at.in_h, at.in_w),
        (at.out_h, at.out_w),
        (at.pad_top, at.pad_left),
        (at.kernel_h, at.kernel_w),
        (at.stride_h, at.stride_w),
    )
    pitches_in, pitches_out, in_size, out_size, pads, kernel, strides = (
        pair[::-1] if turned else pair for pair in pairs
    )
    return Walk(turned, *pitches_in, *pitches_out, *in_size, *out_size, at.in_c, *pads, *kernel,
                *strides)  # fmt: skip


def _best(node: Node, qgraph: QGraph) -> Walk:
    """The cheaper walk of those that the kernel does."""
    at = window(node, qgraph)
    walks = [w for w in (_walk(at, False), _walk(at, True)) if w.stride_steps <= 2]
    return min(walks, key=_cost_3x3)


def _words(walk: Walk) -> int:
    """Words of two neighbours in a line of scratch."""
    return (walk.out_steps + 1) // 2 + 1 if walk.stride_steps == 1 else walk.out_steps + 1


def _cost_3x3(walk: Walk) -> float:
    pairs, rest = divmod(walk.out_steps, 2)
    channel_line = 27 + 20.5 * pairs + 13 * rest if walk.stride_steps == 1 else (
        24 + 13 * walk.out_steps
    )  # fmt: skip
    groups = -(-walk.channels // 4)
    read = min(walk.in_lines + walk.kernel_lines - 1, (walk.out_lines - 1) * walk.stride_lines + 3)
    group = read * (50 + 18 * _words(walk)) + walk.out_lines * 50
    return walk.channels * (walk.out_lines * channel_line + 60) + groups * group


def _scales_fit(node: Node, qgraph: QGraph) -> bool:
    """Whether every channel may be scaled so that its shift becomes 8 or 16."""
    weights = qgraph.data(node.inputs[1]).astype(np.int64)
    bias = qgraph.data(node.inputs[2]).astype(np.int64)
    shift = np.array(node.ints("shift"))
    bound = (np.abs(bias) + 128 * np.abs(weights).sum((0, 1))) << (
        np.where(shift > 8, 16, 8) - shift
    ).clip(0)
    return bool((shift <= 16).all() and (bound < 2**31).all())


def _accepts_3x3(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    shape = (at.kernel_h, at.kernel_w, at.dilation_h, at.dilation_w) == (3, 3, 1, 1)
    stride = min(at.stride_h, at.stride_w) <= 2
    return at.in_c == at.out_c and shape and stride and _scales_fit(node, qgraph)


def pack_weights(weights: Array, turned: bool) -> Array:
    """(kh, kw, c) -> (c, lines, steps)."""
    return np.ascontiguousarray(
        weights.transpose(2, 1, 0) if turned else weights.transpose(2, 0, 1)
    )


def _call(node: Node, qgraph: QGraph, symbol: str, walk: Walk, scratch: int) -> Call:
    arrays = (
        ConstArray("weights", "int8_t", pack_weights(qgraph.data(node.inputs[1]), walk.turned)),
        ConstArray("bias", "int32_t", qgraph.data(node.inputs[2])),
        ConstArray("shift", "int8_t", np.array(node.ints("shift"), np.int8)),
    )
    fields = (
        *(Field(a.suffix, a.suffix) for a in arrays),
        *(Field(name, getattr(walk, name)) for name in _FIELDS),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    return Call(symbol, "mcuq_depthwise_conv2d_dsp_params", fields, node.inputs[:1], node.output,
                arrays, scratch)  # fmt: skip


def _lower_3x3(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    walk = _best(node, qgraph)
    symbol = "mcuq_depthwise_conv2d_s8_dsp_3x3"
    copy = 4 * walk.in_steps if walk.channels < 4 else 0
    return (_call(node, qgraph, symbol, walk, 192 + 48 * _words(walk) + copy),)


def in_place(walk: Walk) -> bool:
    """Whether no line overwrites pixels of its channels that a later line reads.

    Both images have the same channels, so a pixel of the output lies on one of the input.
    """
    if walk.turned:
        same = (walk.in_lines, walk.in_steps) == (walk.out_lines, walk.out_steps)
        ahead = walk.kernel_lines - 1 - walk.pad_lines
        return same and walk.stride_lines == 1 and ahead >= 0
    for line in range(walk.out_lines):
        loaded = line * walk.stride_lines - walk.pad_lines + walk.kernel_lines
        written = (line + 1) * walk.out_steps
        if written > min(loaded, walk.in_lines) * walk.in_steps and loaded < walk.in_lines:
            return False
    return walk.out_lines * walk.out_steps <= walk.in_lines * walk.in_steps


def _gap_3x3(node: Node, qgraph: QGraph, index: int) -> int | None:
    return 0 if index == 0 and in_place(_best(node, qgraph)) else None


VARIANTS = (
    Variant(
        "depthwise_conv2d",
        "mcuq_depthwise_conv2d_s8_dsp_3x3",
        _lower_3x3,
        lambda node, qgraph, cpu: _cost_3x3(_best(node, qgraph)),
        _accepts_3x3,
        frozenset({"dsp"}),
        _gap_3x3,
        gap_exact=True,
    ),
)
