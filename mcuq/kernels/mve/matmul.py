"""matmul with Helium (MVE): the columns of b are packed as the weights of a 1x1 convolution."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.mve.blocks import NEEDS, block_scratch, blocks_cost, round_up
from mcuq.kernels.plain import matmul
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_matmul_s8_mve"


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Products next to each other in a, columns in the output; b is read forward."""
    *_, columns, depth = node.ints("sizes")
    near = node.ints("steps_a")[-1] == 1 and node.ints("steps_out")[-1] == 1
    small = max(columns, depth) < 2**15 and 0 <= node.ints("steps_b")[-1] < 2**12
    return near and small


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    *_, columns, depth = node.ints("sizes")
    steps = -(-depth // 16)
    packed = 32 * steps * (round_up(columns, 2) // 2) + round_up(columns, 4)
    call = Call(
        _SYMBOL, "mcuq_matmul_params", matmul.fields(node), node.inputs, node.output, (),
        block_scratch(steps, columns) + packed,
    )  # fmt: skip
    return (call,)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Columns, then blocks of four rows."""
    *batch, rows, columns, depth = node.ints("sizes")
    steps = -(-depth // 16)
    column = 40 + (15 if node.int("zero_a") == 0 else 18) * steps
    load = 90 + 9 * (depth // 16)
    blocks = -(-rows // 4) * load + blocks_cost(rows, steps, columns)
    zero = 0 if node.int("zero_b") == 0 else -(-rows // 4) * (4 * columns + 60 + 12 * steps)
    return 100 + prod(batch) * (40 + columns * column + blocks + zero)


VARIANTS = (Variant("matmul", _SYMBOL, _lower, _cost, _accepts, NEEDS),)
