"""Sparse layers on any core: ``mcuq_dense_s8_sparse4``, blocks of four weights."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats import sparse
from mcuq.kernels.formats.sparse import Entries, blocks, entries
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_sparse4"
_REACH = 63
_MOST = 252  # outputs of a chunk, so that a byte counts its blocks and reaches across a quarter

_RATES = (
    (121.0, 18.6, 7.8, 19.2, 14.6),
    (192.0, 20.3, 10.4, 31.2, 17.7),
    (69.0, 38.6, 6.9, 16.8, 18.0),
)


def _chunk(out_len: int) -> int:
    """Outputs of a chunk: all chunks are about equal.

    >>> _chunk(1024), _chunk(252)
    (205, 252)
    """
    return -(-out_len // -(-out_len // _MOST))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Less than dense is stored."""
    if not sparse.is_layer(node, qgraph):
        return False
    weights = sparse.matrix(node, qgraph)
    return bool(5 * np.count_nonzero(blocks(weights).any(2)) < weights.size)


def _chunks(weights: Array) -> list[Array]:
    step = _chunk(len(weights))
    return [weights[first : first + step] for first in range(0, len(weights), step)]


def _stored(weights: Array) -> tuple[Entries, Array]:
    """The blocks of a chunk by their place in the inputs, and the weights of each."""
    by_place = blocks(weights).swapaxes(0, 1)
    place, out = np.nonzero(by_place.any(2))
    kept = entries(place, out, len(by_place), _REACH)
    return kept, kept.values(by_place[place, out])


def pack(weights: Array) -> Array:
    """(out, in) -> the stream of one chunk.

    >>> pack(np.array([[0, 0, 0, 0], [1, 0, -1, 2]])).tolist()
    [1, 4, 129, 128, 127, 130]
    """
    kept, values = _stored(weights)
    stream = np.zeros(5 * len(kept.row) + len(kept.counts), np.uint8)
    starts = 5 * np.arange(len(kept.row)) + kept.row + 1
    stream[starts] = 4 * kept.distance
    stream[starts[:, None] + np.arange(1, 5)] = values + 128
    heads = 5 * (np.cumsum(kept.counts) - kept.counts) + np.arange(len(kept.counts))
    stream[heads] = kept.counts
    return stream


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = sparse.matrix(node, qgraph)
    out_len, in_len = weights.shape
    stream = np.concatenate([pack(chunk) for chunk in _chunks(weights)])
    _, *constants = weighted.constants(node, qgraph)
    arrays = (ConstArray("weights", "uint8_t", stream), *constants)
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        Field("in_len", in_len),
        Field("out_len", out_len),
        Field("chunk", _chunk(out_len)),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    params, data, scratch = "mcuq_sparse4_params", node.inputs[:1], 4 * _chunk(out_len)
    return (Call(_SYMBOL, params, fields, data, node.output, arrays, scratch),)


def _terms(node: Node, qgraph: QGraph) -> tuple[int, ...]:
    """Of a pixel: itself, its outputs, places of blocks, those that have any, blocks."""
    chunks = _chunks(sparse.matrix(node, qgraph))
    counts = np.concatenate([_stored(chunk)[0].counts for chunk in chunks])
    out_len = sum(map(len, chunks))
    return 1, out_len, len(counts), int(np.count_nonzero(counts)), int(counts.sum())


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    rates = weighted.pick(cpu, *_RATES)
    return sparse.per_pixel(node, qgraph, rates, _terms(node, qgraph))


def _multiplies(node: Node, qgraph: QGraph, macs: int) -> float:
    """Those of the blocks of four that are stored."""
    stored = sparse.blocks(sparse.matrix(node, qgraph)).any(2)
    return macs * float(stored.mean())


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """Later chunks read the inputs again."""
    out_len = qgraph.tensor(node.output).shape[-1]
    return sparse.gap(node, qgraph, index) if out_len <= _MOST else None


VARIANTS = tuple(
    Variant(op, _SYMBOL, _lower, _cost, _accepts, gap=_gap, compressed=True, multiplies=_multiplies)
    for op in ("dense", "conv2d")
)
