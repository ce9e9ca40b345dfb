"""dense on cores without SIMD: ``mcuq_dense_s8_block4`` and ``mcuq_dense_s8_block8``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

BLOCKS = (4, 8)


def pack(weights: Array, block: int) -> Array:
    """(out, in) s8 -> (blocks, in, block) u8, plus 128; 128 where there is no output.

    >>> pack(np.array([[1, -128]]), 4).tolist()
    [[[129, 128, 128, 128], [0, 128, 128, 128]]]
    """
    out_len, in_len = weights.shape
    rows = np.pad(weights.astype(np.int32), ((0, -out_len % block), (0, 0))) + 128
    return rows.reshape(-1, block, in_len).transpose(0, 2, 1).astype(np.uint8)


def _lower(block: int) -> Callable[[Node, QGraph], tuple[Call, ...]]:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        weights = qgraph.data(node.inputs[1])
        out_len, in_len = weights.shape
        about = f"[out_len / {block}][in_len][{block}], plus 128"
        _, *constants = weighted.constants(node, qgraph)
        arrays = (ConstArray("weights", "uint8_t", pack(weights, block), about), *constants)
        fields = (
            *(Field(array.suffix, array.suffix) for array in arrays),
            Field("in_len", in_len),
            Field("out_len", out_len),
            Field("out_min", node.int("out_min")),
            Field("out_max", node.int("out_max")),
        )
        symbol, params = f"mcuq_dense_s8_block{block}", "mcuq_dense_block_params"
        return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays),)

    return lower


def _cost(block: int) -> Callable[[Node, QGraph, Cpu], float]:
    rates = {
        4: ((12.0, 3.6, 122.0, 9.8), (22.0, 5.4, 236.0, 15.1), (21.0, 3.5, 114.0, 16.3)),
        8: ((69.0, 3.2, 266.0, 17.7), (120.0, 4.8, 357.0, 27.1), (106.0, 3.0, 222.0, 28.4)),
    }[block]

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """Per call, its inputs, block of outputs, and its inputs."""
        out_len, in_len = qgraph.tensor(node.inputs[1]).shape
        blocks = -(-out_len // block)
        counts = (1, in_len, blocks, blocks * in_len)
        chosen = weighted.pick(cpu, *rates)
        return float(sum(rate * count for rate, count in zip(chosen, counts, strict=True)))

    return cost


VARIANTS = tuple(
    Variant("dense", f"mcuq_dense_s8_block{block}", _lower(block), _cost(block)) for block in BLOCKS
)
