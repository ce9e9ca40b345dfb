"""conv2d with the DSP extension: ``mcuq_conv2d_s8_dsp`` (any shape of one group)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import (
    ConvShapes,
    block_pixels,
    blocks,
    gap_of_blocks,
    scratch_budget,
    window,
)
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant, looped
from mcuq.qir import QGraph
from mcuq.targets.cores import GENERIC

_COPY = ("h", "w", "top", "left")
_STATE_BYTES = 4 * (2 + 8)
_SORTED = 512
_MOST_PADDED = 1200  # bytes of an input that is padded before anything else


def channel_pairs(shift: Array) -> Array:
    """(pairs, 2) channels that are made together, an odd last one with itself.

    Channels of one shift are made with the least instructions, so they are sorted by it, in
    groups so small that the distances fit 11 bits.
    """
    order: list[int] = []
    for first in range(0, len(shift), _SORTED):
        group = shift[first : first + _SORTED]
        order += (first + np.argsort(group, kind="stable")).tolist()
    order += order[-1:] * (len(order) % 2)
    return np.array(order).reshape(-1, 2)


def pack_weights(weights: Array, bias: Array, shift: Array, run: int) -> Array:
    """(out_c, kh, kw, in_c) int8 -> words: per pair of channels a head and interleaved weights.

    Head: both biases, then from bit 0 on both shifts (5 bits each), the step from channel 0 of
    the pair before and the distance from channel 0 to channel 1 (11 bits each). Order of a
    channel's inputs: of all runs the whole fours, then of all runs what is left, then zeros up to
    a multiple of 8.
    """
    runs = weights.reshape(len(weights), -1, run)
    fours = run // 4 * 4
    flat = np.concatenate([v.reshape(len(runs), -1) for v in np.split(runs, [fours], axis=2)], 1)
    flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 8)))
    pairs = channel_pairs(shift)
    units = flat[pairs].reshape(len(pairs), 2, -1, 4).transpose(0, 2, 1, 3)
    body = np.ascontiguousarray(units).reshape(len(pairs), -1).view("<i4")
    first, second = pairs.T
    step = np.diff(first, prepend=0)
    info = shift[first] | shift[second] << 5 | (step & 0x7FF) << 10 | (second - first) << 21
    head = np.column_stack([bias[pairs], info]).astype(np.int32)
    return np.concatenate([head, body], axis=1).ravel().astype(np.int32)


def run_bytes(at: ConvShapes) -> int:
    """Input bytes of a patch that lie side by side."""
    return at.in_c * (at.kernel_w if at.dilation_w == 1 else 1)


def units_of(at: ConvShapes) -> int:
    return -(-at.kernel_h * at.kernel_w * at.in_c // 4)


def _whole(at: ConvShapes) -> tuple[int, int]:
    """The last input row and column where a patch that can be read as it lies may begin."""
    if run_bytes(at) != at.kernel_w * at.in_c:
        return -1, -1
    return at.in_h - (at.kernel_h - 1) * at.dilation_h - 1, at.in_w - at.kernel_w


def padded_window(at: ConvShapes) -> ConvShapes:
    """The window over an image that holds the padding: nothing outside is ever read."""
    return replace(
        at,
        in_h=(at.out_h - 1) * at.stride_h + (at.kernel_h - 1) * at.dilation_h + 1,
        in_w=(at.out_w - 1) * at.stride_w + (at.kernel_w - 1) * at.dilation_w + 1,
        pad_top=0,
        pad_left=0,
    )


def image_bytes(at: ConvShapes) -> int:
    """Bytes of the padded input, or 0 if none is made: where it is large, or changes nothing."""
    padded = padded_window(at)
    size = -(-padded.in_h * padded.in_w * at.in_c // 4) * 4
    covers = padded.in_h >= at.in_h + at.pad_top and padded.in_w >= at.in_w + at.pad_left
    worth = math.prod(whole_places(at)) < at.pixels == math.prod(whole_places(padded))
    return size if size <= _MOST_PADDED and covers and worth else 0


def _block(node: Node, qgraph: QGraph) -> int:
    at = window(node, qgraph)
    budget = scratch_budget(node, qgraph) - image_bytes(at)
    return block_pixels(at.pixels, 8 * units_of(at), budget)


def accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    fits = at.representable and units_of(at) < 2**13 and run_bytes(at) < 2**15
    return node.int("groups") == 1 and fits


def as_they_lie(at: ConvShapes) -> bool:
    """Whether the patches are the input's pixels, one after the other, in whole fours."""
    same = (at.out_h, at.out_w) == (at.in_h, at.in_w) and at.pad_top == at.pad_left == 0
    return same and at.kernel_h * at.kernel_w == 1 and at.in_c % 4 == 0


def _scratch(at: ConvShapes, block: int) -> int:
    units = units_of(at)
    patches = 0 if as_they_lie(at) else 12 * units + image_bytes(at)
    return _STATE_BYTES + 16 * (units + units % 2) + 8 * units * block + patches


def _copied(at: ConvShapes) -> tuple[int, int, int, int]:
    """The size of the input and its place in the padded one; zeros if there is none."""
    made = image_bytes(at) > 0
    return (at.in_h, at.in_w, at.pad_top, at.pad_left) if made else (0, 0, 0, 0)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at, block = window(node, qgraph), _block(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_weights(weights, bias, np.array(node.ints("shift")), run_bytes(at))
    return call("mcuq_conv2d_s8_dsp", node, at, packed, block, _scratch(at, block))


def call(
    symbol: str, node: Node, at: ConvShapes, packed: Array, block: int, scratch: int
) -> tuple[Call, ...]:
    """The call of a kernel that takes ``mcuq_conv2d_dsp_params``."""
    copied = _copied(at)
    at = padded_window(at) if copied[0] else at
    run = run_bytes(at)
    pitch, runs = at.dilation_h * at.in_w * at.in_c, at.kernel_h * at.kernel_w * at.in_c // run
    arrays = (ConstArray("weights", "int32_t", packed),)
    numbers = (
        "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left",
    )  # fmt: skip
    geometry = (
        "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w",
    )  # fmt: skip
    fields = (
        *(Field(a.suffix, a.suffix) for a in arrays),
        *(Field(name, getattr(at, name)) for name in numbers),
        *(Field(f"copy_{name}", value) for name, value in zip(_COPY, copied, strict=True)),
        Field("run", run_bytes(at)),
        Field("runs", runs),
        Field("units", units_of(at)),
        Field("block", block, "pixels a block"),
        Field("whole_y", _whole(at)[0]),
        Field("whole_x", _whole(at)[1]),
        Field("row_pitch", pitch),
        Field("whole_skip", pitch - run_bytes(at)),
        Field("whole_next", 3 * at.stride_w * at.in_c - runs * pitch),
        *(Field(name, getattr(at, name)) for name in geometry),
        Field("pixels_as_they_lie", int(as_they_lie(at))),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    params = "mcuq_conv2d_dsp_params"
    return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A block is read as a whole before it is written, and all later blocks read further on."""
    if index != 0:
        return None
    at, block = window(node, qgraph), _block(node, qgraph)
    if image_bytes(at):  # the input is read as a whole before anything is written
        return 0
    return gap_of_blocks(at, block)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at, block, units = window(node, qgraph), _block(node, qgraph), units_of(window(node, qgraph))
    threes = sum(-(-count // 3) for count in blocks(at.pixels, block))
    every: Array = np.array(node.ints("shift"))
    shift: Array = every[channel_pairs(every)]
    fast = (shift[:, 0] == shift[:, 1]) & (shift[:, 0] >= 4) & (shift[:, 0] < 12)
    turns = (units - 1) // 16
    each = 16 * units + np.where(fast, 22, 29) + (3 * turns + 1 if turns else 0)
    products = threes * float(each.sum())
    widen_weights = -(-at.pixels // block) * len(shift) * (50 + 6 * (units + units % 2))
    image = 60 * at.in_h + 2 * image_bytes(at) if image_bytes(at) else 0
    return products + widen_weights + threes * _patch_cost(at) + image


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """Weights are widened to scratch once for each block of pixels."""
    return math.ceil(window(node, qgraph).pixels / _block(node, qgraph))


def _fetches(node: Node, qgraph: QGraph, cache: int) -> float:
    """16 units of code, for those beyond the first one."""
    units = units_of(window(node, qgraph))
    return looped(180 + 64 * min(units - 1, 16), _cost(node, qgraph, GENERIC), cache)


def _patch_cost(at: ConvShapes) -> float:
    """Instructions that bring three patches to scratch."""
    if as_they_lie(at):
        return 12 * units_of(at) + 11
    if image_bytes(at):
        at = padded_window(at)
    runs, left = at.kernel_h * at.kernel_w * at.in_c // run_bytes(at), run_bytes(at) % 4
    three = 24 + 12 * units_of(at) + runs * (11 + (2 + 10 * left if left else 0))
    rows, columns = whole_places(at)
    together = rows * (columns // 3 * 3) / at.pixels  # in threes of one row
    outside = 1 - rows * columns / at.pixels
    gathered = 180 + runs * (70 + 2 * run_bytes(at))
    return three + 70 / max(1, columns // 3) + (1 - together) * 230 + 1.5 * outside * gathered


def whole_places(at: ConvShapes) -> tuple[int, int]:
    """How many rows and columns of outputs have patches that lie whole in the input."""
    last_y, last_x = _whole(at)
    rows = sum(0 <= y * at.stride_h - at.pad_top <= last_y for y in range(at.out_h))
    columns = sum(0 <= x * at.stride_w - at.pad_left <= last_x for x in range(at.out_w))
    return rows, columns


VARIANTS = (
    Variant(
        "conv2d",
        "mcuq_conv2d_s8_dsp",
        _lower,
        _cost,
        accepts,
        frozenset({"dsp"}),
        _gap,
        cycles=1.67,
        fetches=_fetches,
        readings=_readings,
    ),
)
