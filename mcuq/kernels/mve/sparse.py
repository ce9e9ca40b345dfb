"""Sparse layers with Helium (MVE): ``mcuq_dense_s8_sparse4_mve``, fours of blocks of weights."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats import sparse
from mcuq.kernels.formats.sparse import blocks
from mcuq.kernels.mve.blocks import CHUNK, NEEDS, minus_shift, round_up
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_sparse4_mve"
_SPAN = 256  # blocks that a byte tells apart


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Less than dense is stored."""
    if not sparse.is_layer(node, qgraph):
        return False
    weights = sparse.matrix(node, qgraph)
    return bool(20 * int(_fours(weights).sum()) < weights.size)


def _spans(weights: Array) -> Array:
    """(out, in) -> (out, spans, blocks of a span, 4), padded with zeros."""
    cut = blocks(weights)
    padded = np.pad(cut, ((0, 0), (0, -cut.shape[1] % _SPAN), (0, 0)))
    return padded.reshape(len(weights), -1, _SPAN, 4)


def _fours(weights: Array) -> Array:
    """(out, spans) fours of blocks to store."""
    counts = np.count_nonzero(_spans(weights).any(3), axis=2)
    fours: Array = -(-counts // 4)
    return fours


def pack(weights: Array) -> tuple[Array, Array, Array]:
    """(out, in) -> weights, index and counts of mcuq_sparse4_mve_params."""
    cut, fours = _spans(weights), _fours(weights)
    chunks = [range(at, min(at + CHUNK, len(weights))) for at in range(0, len(weights), CHUNK)]
    order = [(o, s) for chunk in chunks for s in range(cut.shape[1]) for o in chunk]
    values, index = [np.zeros((0, 4), np.int8)], [np.zeros(0, np.uint8)]
    for place in order:
        (kept,) = np.nonzero(cut[place].any(1))
        fill = 4 * int(fours[place]) - len(kept)
        values.append(np.pad(cut[place][kept], ((0, fill), (0, 0))).astype(np.int8))
        index.append(np.pad(kept, (0, fill)).astype(np.uint8))
    counts = np.array([fours[place] for place in order], np.uint8)
    return np.concatenate(values).ravel(), np.concatenate(index), counts


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = sparse.matrix(node, qgraph)
    out_len, in_len = weights.shape
    values, index, counts = pack(weights)
    arrays = (
        ConstArray("weights", "int8_t", values),
        ConstArray("index", "uint8_t", index),
        ConstArray("counts", "uint8_t", counts),
        ConstArray("bias", "int32_t", qgraph.data(node.inputs[2])),
        minus_shift(node.ints("shift")),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        *(Field("in_len", in_len), Field("out_len", out_len)),
        Field("out_range", (node.int("out_min"), node.int("out_max"))),
    )
    params, scratch = "mcuq_sparse4_mve_params", 4 * min(CHUNK, out_len) + round_up(in_len, 16)
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per pixel: itself, its inputs, chunks of outputs and spans; outputs, fours of blocks."""
    weights = sparse.matrix(node, qgraph)
    fours = _fours(weights)
    chunks = -(-len(weights) // CHUNK)
    terms = (1, weights.shape[1] // 16, chunks, chunks * fours.shape[1], fours.size, len(weights))
    rates = (50.0, 3.0, 35.0, 12.0, 6.0, 1.75)
    vectors = 5.0 * int(fours.sum()) * sparse.pixels(node, qgraph).count
    return vectors + sparse.per_pixel(node, qgraph, rates, terms)


VARIANTS = tuple(
    Variant(
        op,
        _SYMBOL,
        _lower,
        _cost,
        _accepts,
        NEEDS,
        sparse.gap,
        cycles=2.6,  # a gather takes a cycle or more for each of its four words
        compressed=True,
    )
    for op in ("dense", "conv2d")
)
