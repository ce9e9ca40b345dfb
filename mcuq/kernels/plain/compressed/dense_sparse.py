"""Sparse layers on any core, single weights.

``mcuq_dense_s8_sparse`` stores 1.5 bytes for each; ``mcuq_dense_s8_sparse_narrow`` stores 2, is
faster, and is for at most 256 inputs.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats import sparse
from mcuq.kernels.formats.sparse import Entries, entries
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_sparse"
_NARROW = "mcuq_dense_s8_sparse_narrow"
_REACH = 15
_RATES = (
    (90.0, 2.5, 29.9, 12.0, 8.7),
    (154.0, 3.3, 36.5, 14.3, 9.5),
    (60.0, 8.7, 23.0, 14.1, 8.0),
)
_RATES_NARROW = (
    (61.0, 26.0, -6.1, 5.5, 9.0),
    (92.0, 33.8, -9.8, 5.8, 13.1),
    (57.0, 18.0, 0.6, 7.0, 8.0),
)
_MOST_PAIRS = 2**16
_MOST_NARROW = 255  # weights of an output: a byte counts them
_BIAS_LIMIT = 2**23  # of the narrow one, which keeps the shift in the same word


def _stored(weights: Array) -> tuple[Entries, Array]:
    """The weights that are not zero, and their values."""
    row, column = np.nonzero(weights)
    kept = entries(row, column, len(weights), _REACH)
    return kept, kept.values(weights[row, column])


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Less than dense is stored."""
    if not sparse.is_layer(node, qgraph):
        return False
    weights = sparse.matrix(node, qgraph)
    return bool(1.5 * np.count_nonzero(weights) < weights.size and weights.shape[1] < _MOST_PAIRS)


def pack(weights: Array, shift: Array) -> Array:
    """(out, in), (out,) -> the stream of mcuq_sparse_params.

    >>> pack(np.array([[0, 5, 0, -1, 2], [0, 0, 0, 0, 0]]), np.array([9, 10])).tolist()
    [2, 0, 18, 5, 255, 16, 2, 0, 9, 0, 0, 10]
    """
    kept, values = _stored(weights)
    pairs = -(-kept.counts // 2)
    starts = 3 * (np.cumsum(pairs) - pairs + np.arange(len(pairs)))
    stream = np.zeros(3 * int(pairs.sum() + len(pairs)), np.uint8)
    stream[starts], stream[starts + 1] = pairs % 256, pairs // 256
    stream[starts + 2 + 3 * pairs] = shift
    half = kept.place % 2
    at = starts[kept.row] + 2 + 3 * (kept.place // 2)
    np.add.at(stream, at, (kept.distance << (4 * (1 - half))).astype(np.uint8))
    stream[at + 1 + half] = values & 255
    return stream


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = sparse.matrix(node, qgraph)
    out_len, in_len = weights.shape
    bias = qgraph.data(node.inputs[2]) - 128 * weights.sum(1)
    stream = pack(weights, np.array(node.ints("shift")))
    arrays = (
        ConstArray("weights", "uint8_t", stream),
        ConstArray("bias", "int32_t", bias.astype(np.int32)),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        Field("in_len", in_len),
        Field("out_len", out_len),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    params, data, scratch = "mcuq_sparse_params", node.inputs[:1], -(-in_len // 4) * 4
    return (Call(_SYMBOL, params, fields, data, node.output, arrays, scratch),)


def _terms(node: Node, qgraph: QGraph) -> tuple[int, ...]:
    """Of a pixel: itself, its inputs, outputs, pairs of weights, outputs that are clamped."""
    weights = sparse.matrix(node, qgraph)
    pairs = -(-_stored(weights)[0].counts // 2)
    clamped = len(weights) * sparse.is_narrow(node)
    return 1, weights.shape[1], len(weights), int(pairs.sum()), clamped


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    rates = weighted.pick(cpu, *_RATES)
    return sparse.per_pixel(node, qgraph, rates, _terms(node, qgraph))


def _accepts_narrow(node: Node, qgraph: QGraph) -> bool:
    """Less than dense is stored, and a byte holds the place of an input."""
    if not sparse.is_layer(node, qgraph):
        return False
    weights = sparse.matrix(node, qgraph)
    counts = np.count_nonzero(weights, axis=1)
    fits = weights.shape[1] <= 256 and counts.max() <= _MOST_NARROW
    fits = fits and np.abs(qgraph.data(node.inputs[2]).astype(np.int64)).max() < _BIAS_LIMIT
    return bool(fits and 2 * counts.sum() < weights.size)


def pack_narrow(weights: Array) -> Array:
    """(out, in) -> the stream of mcuq_sparse_narrow_params.

    >>> pack_narrow(np.array([[0, 5, 0, -1], [0, 0, 0, 0]])).tolist()
    [2, 1, 5, 3, 255, 0]
    """
    row, column = np.nonzero(weights)
    counts = np.bincount(row, minlength=len(weights))
    stream = np.zeros(2 * len(row) + len(counts), np.uint8)
    stream[2 * (np.cumsum(counts) - counts) + np.arange(len(counts))] = counts
    at = 2 * np.arange(len(row)) + row + 1
    stream[at], stream[at + 1] = column, weights[row, column] & 255
    return stream


def _lower_narrow(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = sparse.matrix(node, qgraph)
    bias = 256 * qgraph.data(node.inputs[2]) + np.array(node.ints("shift"), np.int32)
    arrays = (
        ConstArray("weights", "uint8_t", pack_narrow(weights)),
        ConstArray("bias", "int32_t", bias.astype(np.int32), "256 * bias + shift"),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        Field("out_len", len(weights)),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    params = "mcuq_sparse_narrow_params"
    return (Call(_NARROW, params, fields, node.inputs[:1], node.output, arrays),)


def _terms_narrow(node: Node, qgraph: QGraph) -> tuple[int, ...]:
    """Of a pixel: itself, outputs, those without weights, weights, outputs that are clamped."""
    weights = sparse.matrix(node, qgraph)
    clamped = len(weights) * sparse.is_narrow(node)
    none = int(np.count_nonzero(~weights.any(1)))
    return 1, len(weights), none, int(np.count_nonzero(weights)), clamped


def _cost_narrow(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    rates = weighted.pick(cpu, *_RATES_NARROW)
    return sparse.per_pixel(node, qgraph, rates, _terms_narrow(node, qgraph))


VARIANTS = (
    *(
        Variant(
            op,
            _SYMBOL,
            _lower,
            _cost,
            _accepts,
            gap=sparse.gap,
            compressed=True,
            multiplies=weighted.of_nonzero,
        )
        for op in ("dense", "conv2d")
    ),
    *(
        Variant(
            op,
            _NARROW,
            _lower_narrow,
            _cost_narrow,
            _accepts_narrow,
            compressed=True,
            multiplies=weighted.of_nonzero,
        )
        for op in ("dense", "conv2d")
    ),
)
