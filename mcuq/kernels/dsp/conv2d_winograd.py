"""conv2d of kernel width 3 with the DSP extension: ``mcuq_conv2d_s8_dsp_winograd``."""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import ConvShapes, blocks, scratch_budget, window
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8_dsp_winograd"
_TURN = 12
_MOST_PIXELS = 64
_LEAST_SCRATCH = 4700  # for the inputs of a block; larger blocks share the weights' cost


def _units(at: ConvShapes) -> int:
    """The inputs of an output per column of the kernel, in fours."""
    return at.kernel_h * at.in_c // 4


def _block(node: Node, qgraph: QGraph) -> int:
    """Pixels of a block: a multiple of 4, all blocks about equal."""
    at = window(node, qgraph)
    room = max(_LEAST_SCRATCH, scratch_budget(node, qgraph)) // (16 * _units(at))
    most = max(4, min(_MOST_PIXELS, room) // 4 * 4)
    return 4 * math.ceil(at.pixels / math.ceil(at.pixels / most) / 4)


def _accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    shape = at.kernel_w == 3 and at.stride_w == at.dilation_h == at.dilation_w == 1
    sizes = at.in_c % 4 == 0 and at.out_w % 2 == 0 and _units(at) < 2**12 and at.representable
    return node.int("groups") == 1 and shape and sizes and _doubled_fits(node, qgraph)


def _doubled_fits(node: Node, qgraph: QGraph) -> bool:
    weights = np.abs(qgraph.data(node.inputs[1]).astype(np.int64))
    bias = np.abs(qgraph.data(node.inputs[2]).astype(np.int64))
    bound = bias + 128 * weights.reshape(len(weights), -1).sum(1)
    return bool(2 * bound.max() < 2**31) and max(node.ints("shift")) <= 30


def pack_weights(weights: Array, bias: Array, shift: Array) -> Array:
    """(out_c, kh, 3, in_c) int8 -> words: per pair of channels a head and interleaved weights.

    Head: both biases, doubled; both shifts + 1, and the distance of the outputs (0 for an odd last
    channel, which is its own partner). Weights: [kh][in_c / 4][3 columns][2 channels][4].
    """
    count = len(weights)
    pairs = np.minimum(np.arange(count + count % 2), count - 1).reshape(-1, 2)
    kh, channels = weights.shape[1], weights.shape[3]
    fours = weights[pairs].reshape(len(pairs), 2, kh, 3, channels // 4, 4)
    body = np.ascontiguousarray(fours.transpose(0, 2, 4, 3, 1, 5)).reshape(len(pairs), -1)
    low, high = pairs[:, 0], pairs[:, 1]
    info = (shift[low] + 1) | (shift[high] + 1) << 8 | (high - low) << 16
    head = np.column_stack([2 * bias[pairs].astype(np.int64), info]).astype(np.int32)
    return np.concatenate([head, body.view("<i4")], axis=1).ravel().astype(np.int32)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at, block = window(node, qgraph), _block(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_weights(weights, bias, np.array(node.ints("shift")))
    names = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left")
    fields = (
        Field("weights", "weights"),
        *(Field(name, getattr(at, name)) for name in names),
        Field("block", block, "pixels a block"),
        Field("kernel_h", at.kernel_h),
        Field("stride_h", at.stride_h),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    units = _units(at)
    stream = 40 + 16 * (4 * units + math.ceil(units / _TURN))
    arrays = (ConstArray("weights", "int32_t", packed),)
    return (
        Call(_SYMBOL, "mcuq_conv2d_winograd_params", fields, node.inputs[:1], node.output, arrays,
             stream + 16 * units * (block + 1)),
    )  # fmt: skip


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A block is read as a whole before it is written, and all later blocks read further on."""
    if index != 0:
        return None
    at, gap, pixel = window(node, qgraph), 0, 0
    for count in blocks(at.pixels, _block(node, qgraph)):
        pixel += count
        if pixel < at.pixels:
            gap = max(gap, pixel * at.out_c - at.first_read(pixel))
    return gap


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at, block = window(node, qgraph), _block(node, qgraph)
    units, channel_pairs = _units(at), math.ceil(at.out_c / 2)
    counts = [math.ceil(count / 4) for count in blocks(at.pixels, block)]
    products = sum(counts) * channel_pairs * (40 * units + 58 + 4 * (units // _TURN))
    weights = len(counts) * channel_pairs * (52 * units + 60)
    tiles = 2 * sum(counts) * (32 * units + 100)
    return products + weights + tiles


VARIANTS = (
    Variant("conv2d", _SYMBOL, _lower, _cost, _accepts, frozenset({"dsp"}), _gap, cycles=1.7),
)
