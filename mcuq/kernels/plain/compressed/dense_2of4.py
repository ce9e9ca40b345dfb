"""Sparse layers with at most two of four weights: ``mcuq_dense_s8_sparse_2of4``, any core.

It stores 5 bytes for 8 weights. Finding the inputs costs more than the products that it saves.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats import sparse
from mcuq.kernels.formats.sparse import blocks
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_sparse_2of4"
_RATES = ((75.0, 36.8, 22.0), (120.0, 52.4, 36.0), (70.0, 34.4, 32.0))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """No four inputs have more than two weights, and not just a few inputs have any."""
    if not sparse.is_layer(node, qgraph):
        return False
    fours = blocks(sparse.matrix(node, qgraph))
    return bool(np.count_nonzero(fours, axis=2).max() <= 2)


def pack(weights: Array) -> Array:
    """(out, in) -> the stream of mcuq_sparse_2of4_params.

    >>> pack(np.array([[0, 5, 0, -1, 7, 0, 0, 0]])).tolist()
    [13, 5, 255, 7, 0]
    """
    padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % 8))).reshape(len(weights), -1, 4)
    order = np.argsort(padded == 0, axis=2, kind="stable")[..., :2]
    values = np.take_along_axis(padded, order, 2).reshape(-1, 4)
    places = np.where(values, order.reshape(-1, 4), 0) << np.array([0, 2, 4, 6])
    return np.column_stack([places.sum(1), values & 255]).astype(np.uint8).ravel()


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = sparse.matrix(node, qgraph)
    _, *constants = weighted.constants(node, qgraph)
    arrays = (ConstArray("weights", "uint8_t", pack(weights)), *constants)
    out_len, in_len = weights.shape
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("pixels", sparse.pixels(node, qgraph).field),
        *(Field("in_len", in_len), Field("out_len", out_len)),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params = "mcuq_sparse_2of4_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays),)


def _terms(node: Node, qgraph: QGraph) -> tuple[int, ...]:
    """Of a pixel: itself, outputs, eights of weights."""
    out_len, in_len = sparse.matrix(node, qgraph).shape
    return 1, out_len, out_len * -(-in_len // 8)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    rates = weighted.pick(cpu, *_RATES)
    return sparse.per_pixel(node, qgraph, rates, _terms(node, qgraph))


VARIANTS = tuple(
    Variant(op, _SYMBOL, _lower, _cost, _accepts, compressed=True, multiplies=weighted.half)
    for op in ("dense", "conv2d")
)
