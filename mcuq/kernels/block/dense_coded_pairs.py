"""dense from codes of 4 bits on cores without SIMD: ``mcuq_dense_s8_coded4_pairs``.

A byte of codes is looked up as the weights of two outputs in one word, and multiplied once.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats.codes import Codes, bits_of, encode, has_few_values
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_coded4_pairs"
_BLOCK = 4
_TABLE = 1024


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Two products fit 16 bits unless both have the least weight and input."""
    weights = qgraph.data(node.inputs[1])
    few = has_few_values(node, qgraph) and bits_of(weights) == 4
    return few and bool(weights.min() > -128)


def _encode(weights: Array) -> Codes:
    """(out, in) -> codes [out / 4][in, to even][4]."""
    out_len, in_len = weights.shape
    padded = np.pad(weights, ((0, -out_len % _BLOCK), (0, in_len % 2)), mode="edge")
    return encode(padded.reshape(-1, _BLOCK, padded.shape[1]).swapaxes(1, 2))


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = qgraph.data(node.inputs[1])
    codes = _encode(weights)
    _, *constants = weighted.constants(node, qgraph)
    arrays = (
        ConstArray("codes", "uint8_t", codes.codes, "[out_len / 4][in_len][2], two outputs a byte"),
        ConstArray("values", "int8_t", codes.values),
        *constants,
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field("in_len", weights.shape[1]), Field("out_len", weights.shape[0])),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params = "mcuq_dense_coded_pairs_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, _TABLE),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """The table; per block of four outputs, and its inputs in twos."""
    out_len, in_len = qgraph.data(node.inputs[1]).shape
    table, block, two = weighted.pick(
        cpu, (1607.0, 182.0, 22.0), (2627.0, 363.0, 32.1), (2174.0, 174.0, 35.0)
    )
    blocks = -(-out_len // _BLOCK)
    return float(table + blocks * (block + two * -(-in_len // 2)))


VARIANTS = (
    Variant("dense", _SYMBOL, _lower, _cost, _accepts, cycles=1.2, multiplies=weighted.half),
)
