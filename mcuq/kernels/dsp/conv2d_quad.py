"""conv2d by four pixels with the DSP extension: ``mcuq_conv2d_s8_dsp_quad``."""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import conv2d as matrix
from mcuq.kernels.dsp.blocks import ConvShapes, blocks, gap_of_blocks, scratch_budget, window
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s8_dsp_quad"
_MOST_PIXELS = 256
_MOST_SHIFT = 23
_MOST_SUM = 2**23
_NEAR_UNITS, _NEAR_BLOCK = 30, 16
"""Weights of a pair of channels are brought to scratch if they are more than small caches in front
of flash hold, and serve some pixels; the kernel has the same numbers."""


def pack_weights(weights: Array, bias: Array, shift: Array, run: int) -> Array:
    """(out_c, kh, kw, in_c) int8 -> words: per pair of channels a head and interleaved weights.

    Head: from bit 0 on both shifts (5 bits each), whether something has to be made good, the step
    from channel 0 of the pair before (11 bits), the distance from channel 0 to channel 1 (10
    bits); then the biases for sums of 256 times the weights, where the inputs of even weights are
    127 too large. Two neighbours are bytes of 256 * w1 + w0; where that is too small by 256, it is
    made good by what follows the weights.
    """
    flat = _in_fours(weights, run)
    low, high = flat[:, 0::2], flat[:, 1::2] - (flat[:, 0::2] < 0)
    joined = np.stack([low, np.maximum(high, -128)], axis=2).reshape(flat.shape)
    pairs = matrix.channel_pairs(2 * shift + (high < -128).any(axis=1))
    units = joined[pairs].astype(np.int8).reshape(len(pairs), 2, -1, 4).transpose(0, 2, 1, 3)
    body = np.ascontiguousarray(units).reshape(len(pairs), -1).view("<i4")
    more = [_more(high[pair] < -128) for pair in pairs]
    first, second = pairs.T
    step = np.diff(first, prepend=0)
    info = shift[first] | shift[second] << 5 | np.array([len(m) > 0 for m in more]) << 10
    info = info | (step & 0x7FF) << 11 | (second - first) << 22
    sums = 256 * _saturated(flat, bias, shift) - 127 * low.sum(axis=1)
    head = np.column_stack([info, sums[pairs]])
    parts = [part for row in zip(head, body, more, strict=True) for part in row]
    return np.concatenate(parts).astype(np.int32)


def _in_fours(weights: Array, run: int) -> Array:
    """(out_c, inputs): the fours of all runs, then what is left: the first of each run first."""
    runs = weights.reshape(len(weights), -1, run).astype(np.int64)
    fours, left = np.split(runs, [run // 4 * 4], axis=2)
    parts = [fours.reshape(len(runs), -1), left.transpose(0, 2, 1).reshape(len(runs), -1)]
    flat = np.concatenate(parts, axis=1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4)))


def _more(small: Array) -> Array:
    """(2, half the inputs), where 256 is missing -> words: where, weights of both channels; 0s."""
    words: Array = np.asarray(small.reshape(2, -1, 2).any(axis=(0, 2)))
    if not words.any():
        return np.zeros(0, np.int64)
    lanes = -256 * small.reshape(2, -1, 2).astype(np.int64)
    factors = (lanes[..., 0] & 0xFFFF) | lanes[..., 1] << 16
    (at,) = np.nonzero(words)
    rows = np.column_stack([32 * (at - len(words)), factors[0, at], factors[1, at]])
    return np.append(rows, [[0, 0, 0]], axis=0).ravel()


def _saturated(flat: Array, bias: Array, shift: Array) -> Array:
    """The biases, none larger than it takes to saturate every output."""
    most = (129 << shift.astype(np.int64)) + 128 * np.abs(flat).sum(axis=1)
    return np.clip(bias.astype(np.int64), -most, most)


def _budget(node: Node, qgraph: QGraph) -> int:
    return scratch_budget(node, qgraph) - _patches(window(node, qgraph))


def _block(node: Node, qgraph: QGraph) -> int:
    """Pixels of a block: in fours, all about equal."""
    at, budget = window(node, qgraph), _budget(node, qgraph)
    if matrix.units_of(at) <= _NEAR_UNITS:
        return _even(at, budget)
    brought = _even(at, budget - _pair_bytes(at))
    return brought if brought >= _NEAR_BLOCK else _even(at, budget, _NEAR_BLOCK - 4)


def _even(at: ConvShapes, budget: int, limit: int = _MOST_PIXELS) -> int:
    most = max(4, min(limit, budget // (8 * matrix.units_of(at))) // 4 * 4)
    count = -(-at.pixels // most)
    return -(-at.pixels // count // 4) * 4


def _pair_bytes(at: ConvShapes) -> int:
    """The biases and weights of two channels."""
    return 8 * matrix.units_of(at) + 8


def _is_near(node: Node, qgraph: QGraph) -> bool:
    """Whether a pair's weights are brought to scratch."""
    many = matrix.units_of(window(node, qgraph)) > _NEAR_UNITS
    return many and _block(node, qgraph) >= _NEAR_BLOCK


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Sums of 256 times the weights have to fit, on the way too."""
    at = window(node, qgraph)
    shift: Array = np.array(node.ints("shift"))
    if not matrix.accepts(node, qgraph) or shift.max() > _MOST_SHIFT:
        return False
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    flat = _in_fours(weights, matrix.run_bytes(at))
    sums = np.abs(_saturated(flat, bias, shift)) + 130 * np.abs(flat).sum(axis=1)
    return bool(sums.max() < _MOST_SUM)


def _patches(at: ConvShapes) -> int:
    """Scratch bytes beside the block."""
    if matrix.as_they_lie(at):
        return 4 * at.in_c if at.pixels % 4 else 0
    units, run = matrix.units_of(at), matrix.run_bytes(at)
    left = units - at.kernel_h * at.kernel_w * at.in_c // run * (run // 4)
    return 16 * units + 16 * left * (at.out_w // 4 + 1) + matrix.image_bytes(at)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at, block = window(node, qgraph), _block(node, qgraph)
    weights, bias = (qgraph.data(name) for name in node.inputs[1:])
    packed = pack_weights(weights, bias, np.array(node.ints("shift")), matrix.run_bytes(at))
    near = _pair_bytes(at) if _is_near(node, qgraph) else 0
    scratch = 8 * matrix.units_of(at) * block + _patches(at) + near
    return matrix.call(_SYMBOL, node, at, packed, block, scratch)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    if index != 0:
        return None
    at = window(node, qgraph)
    return 0 if matrix.image_bytes(at) else gap_of_blocks(at, _block(node, qgraph))


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at, block = window(node, qgraph), _block(node, qgraph)
    units = matrix.units_of(at)
    counts = list(blocks(at.pixels, block))
    quads, single = sum(c // 4 for c in counts), sum(c % 4 for c in counts)
    weights = _in_fours(qgraph.data(node.inputs[1]), matrix.run_bytes(at))
    bad = ((weights[:, 1::2] == -128) & (weights[:, 0::2] < 0)).sum(axis=1)
    shift: Array = np.array(node.ints("shift"))
    pairs = matrix.channel_pairs(2 * shift + (bad > 0))
    more = bad[pairs].sum(axis=1)
    first, second = shift[pairs].T
    fast = (first == second) & (first >= 3) & (first < 10) & (more == 0)
    turns = (units - 1) // 8
    each = 24 * units - 1 + np.where(fast, 25, 34) + 4 * turns + np.where(more, 17 * more + 3, 0)
    products = (quads * each + single * (50 + 11.5 * units + 8 * more)).sum()
    brought = 2 * units + 20 if _is_near(node, qgraph) else 0
    heads = len(counts) * len(pairs) * (85 + brought)
    image = 60 * at.in_h + 2 * matrix.image_bytes(at) if matrix.image_bytes(at) else 0
    patches = sum(-(-c // 4) for c in counts) * _patch_cost(at)
    return float(products) + heads + patches + image


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """A pair of channels goes over a whole block of pixels, if its weights are held."""
    at = window(node, qgraph)
    held = _pair_bytes(at) <= cache or _is_near(node, qgraph)
    return math.ceil(at.pixels / (_block(node, qgraph) if held else 4))


def _fetches(node: Node, qgraph: QGraph, cache: int) -> float:
    """The loop over quads, anew for each pair of channels of a block: what goes on between two of
    them takes as much of a cache.
    """
    at = window(node, qgraph)
    loop = 220 + 96 * min(matrix.units_of(at), 8)
    rounds = math.ceil(at.pixels / _block(node, qgraph)) * math.ceil(at.out_c / 2)
    return 0.0 if 2 * loop <= cache else float(rounds * loop)


def _patch_cost(at: ConvShapes) -> float:
    """Instructions that bring four patches to scratch."""
    units = matrix.units_of(at)
    if matrix.as_they_lie(at):
        return 19 * units + 8
    if matrix.image_bytes(at):
        at = matrix.padded_window(at)
    run = matrix.run_bytes(at)
    runs = at.kernel_h * at.kernel_w * at.in_c // run
    left = run % 4
    four = 19 * units + 8 * runs + 15 + (left > 0) * (20 + left * (25 + 14 * runs))
    rows, columns = matrix.whole_places(at)
    together = rows * (columns // 4 * 4) / at.pixels  # in fours of one row
    gathered = 60 + 50 * runs + run * runs
    return four + 240 / max(1, columns // 4) + (1 - together) * (100 + 4 * gathered)


VARIANTS = (
    Variant(
        "conv2d",
        _SYMBOL,
        _lower,
        _cost,
        _accepts,
        frozenset({"dsp"}),
        _gap,
        cycles=1.4,
        fetches=_fetches,
        readings=_readings,
    ),
)
