"""Sparse layers with the DSP extension, blocks of four weights.

``mcuq_dense_s8_sparse4_dsp`` runs any layer, ``mcuq_conv2d_s8_sparse4_dsp`` a convolution, four
pixels at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.dense import rows
from mcuq.kernels.formats import sparse
from mcuq.kernels.formats.sparse import Entries, blocks, entries
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_sparse4_dsp"
_SYMBOL_CONV = "mcuq_conv2d_s8_sparse4_dsp"
_PIXELS = 4  # of the convolution
_REACH = 31
_EXIT = (8, 0, 0, 0)
_AHEAD = 1  # words of weights that the dense kernel loads before it meets the exit


def _stored(weights: Array) -> tuple[Entries, Array]:
    """The blocks that are not zero, and the weights of each.

    256 * -128 less something does not fit 16 bits: -1 of it goes to a second block for the same
    inputs.
    """
    first = blocks(weights).copy()
    extra = (first[..., 1::2] == -128) & (first[..., 0::2] < 0)
    first[..., 1::2] += extra
    second = np.zeros_like(first)
    second[..., 1::2] = -extra.astype(np.int64)
    places = [np.nonzero(part.any(2)) for part in (first, second)]
    row, column = (np.concatenate(pair) for pair in zip(*places, strict=True))
    values = np.concatenate([first[places[0]], second[places[1]]])
    order = np.lexsort((column, row))
    kept = entries(row[order], column[order], len(weights), _REACH)
    return kept, kept.values(values[order])


def representable(node: Node, qgraph: QGraph) -> bool:
    """Whether sums fit 32 bits 256-fold, and bytes count the blocks."""
    weights, bias = rows(node, qgraph)
    bound = np.abs(bias) + 128 * np.abs(weights).sum(1)
    fits = bound.max() < 2**23 and max(node.ints("shift")) <= 23
    return bool(fits and _stored(weights)[0].counts.max() < 8 * 256)


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Less than dense is stored."""
    if not sparse.is_layer(node, qgraph):
        return False
    weights = rows(node, qgraph)[0]
    less = 5 * np.count_nonzero(blocks(weights).any(2)) < weights.size
    return bool(less and representable(node, qgraph))


def pack(weights: Array, bias: Array, shift: Array) -> tuple[Array, Entries]:
    """(out, in), (out,), (out,) -> the words of mcuq_sparse4_dsp_params, and what is stored."""
    kept, values = _stored(weights)
    halves = (256 * values[:, 1::2] + values[:, 0::2]).astype("<i2")
    even = np.bincount(kept.row, values[:, 0::2].sum(1), len(weights)).astype(np.int64)
    heads = 256 * bias - 127 * even + shift + 8
    words = np.zeros(len(kept.row) + len(weights), np.uint32)
    starts = np.cumsum(kept.counts) - kept.counts
    words[np.arange(len(kept.row)) + kept.row + 1] = halves.view("<u4").ravel()
    words[starts + np.arange(len(weights))] = (heads & 0xFFFFFFFF).astype(np.uint32)
    return words, kept


def index_in_fours(kept: Entries) -> Array:
    """Per row two counts, then the distances; each four, and before them what is left, reversed."""
    left = kept.counts[kept.row] % 4
    behind = kept.place - left
    four = left + behind // 4 * 4 + 3 - behind % 4
    place = np.where(behind < 0, left - 1 - kept.place, four)
    index = _index(kept, place, kept.counts % 8, kept.counts // 8)
    return np.append(index, np.array(_EXIT, np.uint8))


def index_in_order(kept: Entries) -> Array:
    """Per row a count of two bytes, then the distances."""
    return _index(kept, kept.place, kept.counts % 256, kept.counts // 256)


def _index(kept: Entries, place: Array, first: Array, second: Array) -> Array:
    """Per row two bytes, then the distances, each in its place."""
    rows_before = np.arange(len(kept.counts))
    starts = np.cumsum(kept.counts) - kept.counts + 2 * rows_before
    index = np.zeros(len(kept.row) + 2 * len(starts), np.uint8)
    index[starts], index[starts + 1] = first, second
    index[starts[kept.row] + 2 + place] = 8 * kept.distance
    return index


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    return _call(_SYMBOL, node, qgraph, index_in_fours, 16, _AHEAD)


def _lower_conv(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    return _call(_SYMBOL_CONV, node, qgraph, index_in_order, 16 * _PIXELS)


def _call(
    symbol: str,
    node: Node,
    qgraph: QGraph,
    order: Callable[[Entries], Array],
    turn_bytes: int,
    ahead: int = 0,
) -> tuple[Call, ...]:
    weights, bias = rows(node, qgraph)
    words, kept = pack(weights, bias, np.array(node.ints("shift"), np.int64))
    words = np.pad(words, (0, ahead))
    out_len, in_len = weights.shape
    turns = -(-in_len // 8)
    arrays = (ConstArray("weights", "uint32_t", words), ConstArray("index", "uint8_t", order(kept)))
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        *(Field("in_len", in_len), Field("out_len", out_len), Field("turns", turns)),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params, data, scratch = "mcuq_sparse4_dsp_params", node.inputs[:1], turn_bytes * turns
    return (Call(symbol, params, fields, data, node.output, arrays, scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per pixel: inputs; outputs, their blocks in eights, fours and what is left."""
    weights = rows(node, qgraph)[0]
    count = _stored(weights)[0].counts
    each = 11 + 5 * count + 2 * (-(-count // 4)) + (count % 4 > 0) + 2 * (count // 8)
    turns, left = divmod(weights.shape[1], 8)
    terms = (1, turns, left > 0, int(each.sum()), len(weights) * sparse.is_narrow(node))
    return 40 + sparse.per_pixel(node, qgraph, (45.0, 14.0, 70.0, 1.0, 1.75), terms)


def _cost_conv(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per four pixels: inputs; outputs, their blocks, alone or in twos."""
    weights = rows(node, qgraph)[0]
    count = _stored(weights)[0].counts
    pixels = sparse.pixels(node, qgraph).count
    turns, left = divmod(weights.shape[1], 8)
    each = 33 + 15 * count + 2 * (count // 2) + (count % 2)
    clamped = 1.75 * pixels * len(weights) * sparse.is_narrow(node)
    inputs = 4 * (14 * turns + 30 + 70 * (left > 0))
    return float(40 + clamped + -(-pixels // _PIXELS) * (25 + inputs + each.sum()))


def _gap_conv(node: Node, qgraph: QGraph, index: int) -> int | None:
    return sparse.gap_of_groups(node, qgraph, index, _PIXELS)


_NEEDS = frozenset({"dsp"})
VARIANTS = (
    *(
        Variant(
            op,
            _SYMBOL,
            _lower,
            _cost,
            _accepts,
            _NEEDS,
            sparse.gap,
            cycles=1.65,
            compressed=True,
        )
        for op in ("dense", "conv2d")
    ),
    Variant(
        "conv2d",
        _SYMBOL_CONV,
        _lower_conv,
        _cost_conv,
        _accepts,
        _NEEDS,
        _gap_conv,
        cycles=1.6,
        compressed=True,
    ),
)
