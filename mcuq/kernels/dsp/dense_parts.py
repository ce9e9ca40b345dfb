"""dense with the DSP extension for any weights: ``mcuq_dense_s8_dsp_parts``.

Also runs a conv2d with one output pixel.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.dense import gap, pack_weights, sizes
from mcuq.kernels.plain import weighted
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_dsp_parts"
_MOST = 63  # turns of a part: 256 * 63 * 8 * 128 * 128 < 2**31
_ROWS = 4


def _part(turns: int) -> int:
    """Turns of a part: all are about equal.

    >>> _part(63), _part(256)
    (63, 52)
    """
    return -(-turns // -(-turns // _MOST))


def pack(weights: Array, part: int) -> Array:
    """(out, in) -> per group of outputs and part of the inputs: biases and weights."""
    groups = -(-len(weights) // _ROWS)
    zeros = np.zeros(len(weights), np.int64)
    parts = []
    for first in range(0, weights.shape[1], 8 * part):
        piece = weights[:, first : first + 8 * part]
        words = pack_weights(piece, zeros, zeros, zeros, _ROWS).reshape(groups, -1)
        parts.append(words[:, :-2])  # no shifts and centers
    return np.concatenate(parts, axis=1).ravel()


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    out_len, in_len = sizes(node, qgraph)
    turns = -(-in_len // 8)
    part = _part(turns)
    weights = qgraph.data(node.inputs[1]).reshape(out_len, in_len)
    _, *constants = weighted.constants(node, qgraph)
    arrays = (ConstArray("weights", "uint32_t", pack(weights, part)), *constants)
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field("in_len", in_len), Field("out_len", out_len)),
        *(Field("turns", turns), Field("part", part)),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params, scratch = "mcuq_dense_dsp_parts_params", 16 * turns + 4 * -(-turns // part)
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    out_len, in_len = sizes(node, qgraph)
    turns = -(-in_len // 8)
    parts = -(-turns // _part(turns))
    group = 27 * turns + 3 * (turns // 8) + 63 * parts + 85
    return 110 + 16 * turns + 40 * parts + -(-out_len // _ROWS) * group


_NEEDS = frozenset({"dsp"})
VARIANTS = (
    Variant("dense", _SYMBOL, _lower, _cost, needs=_NEEDS, gap=gap, cycles=1.45),
    Variant("conv2d", _SYMBOL, _lower, _cost, is_dense, _NEEDS, gap, cycles=1.45),
)
