"""dense with Helium (MVE): 8 outputs share the load of 16 inputs; conv2d of one pixel, too."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import CHUNK, NEEDS, minus_shift, round_up
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

SYMBOL = "mcuq_dense_s8_mve"


def _outputs(out_len: int) -> int:
    """Outputs with those that fill the last block, of 8 or of 4.

    >>> _outputs(12), _outputs(10), _outputs(5)
    (12, 12, 8)
    """
    return round_up(out_len, 4) if 0 < out_len % 8 <= 4 else round_up(out_len, 8)


def _pack(weights: Array) -> Array:
    """(out, in) -> blocks [steps][8][16], the last one [steps][4][16] if 4 rows are enough."""
    out_len, in_len = weights.shape
    rows, steps = _outputs(out_len), round_up(in_len, 16) // 16
    padded = np.zeros((rows, 16 * steps), np.int8)
    padded[:out_len, :in_len] = weights
    cuts = np.split(padded, range(8, rows, 8))
    return np.concatenate([c.reshape(len(c), steps, 16).swapaxes(0, 1).ravel() for c in cuts])


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = (qgraph.data(n) for n in node.inputs[1:])
    weights = weights.reshape(len(weights), -1)
    out_len, in_len = weights.shape
    padded = np.zeros(_outputs(out_len), np.int32)
    padded[:out_len] = bias
    arrays = (
        ConstArray("weights", "int8_t", _pack(weights), "[block][step][8][16]"),
        ConstArray("bias", "int32_t", padded),
        minus_shift(node.ints("shift")),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field("in_len", in_len), Field("out_len", out_len)),
        Field("out_range", (node.int("out_min"), node.int("out_max"))),
    )
    copied = round_up(in_len, 16) if in_len % 16 else 0
    scratch = 4 * min(CHUNK, round_up(out_len, 8)) + copied
    params = "mcuq_dense_mve_params"
    return (Call(SYMBOL, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    weights = qgraph.tensors[node.inputs[1]]
    out_len = weights.shape[0]
    in_len = weights.size // out_len
    steps = round_up(in_len, 16) // 16
    blocks, fours = divmod(_outputs(out_len), 8)
    turns = steps // 4 if steps % 4 == 0 else steps
    block = 6 + 17 * steps + 2 * turns
    tail = 15 + 10 * steps if fours else 0
    copied = 40 + 3 * steps if in_len % 16 else 0
    chunks = -(-out_len // CHUNK)
    return 40 + copied + 60 * chunks + blocks * block + tail + 7 * round_up(out_len, 4) / 4


VARIANTS = (
    Variant("dense", SYMBOL, _lower, _cost, needs=NEEDS),
    Variant("conv2d", SYMBOL, _lower, _cost, is_dense, NEEDS),
)
