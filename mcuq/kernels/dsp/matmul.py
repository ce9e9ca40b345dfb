"""matmul with the DSP extension: a row by four columns, whose values are int16 in scratch."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.plain import matmul
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_matmul_s8_dsp"


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """The products of a row lie next to each other in a."""
    return node.ints("steps_a")[-1] == 1


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    scratch = 8 * node.ints("sizes")[-1]
    call = Call(
        _SYMBOL, "mcuq_matmul_params", matmul.fields(node), node.inputs, node.output, (), scratch
    )
    return (call,)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Measured: a row by four columns, a column of b, and the products left over."""
    *batch, rows, columns, depth = node.ints("sizes")
    near = node.ints("steps_out")[-1] == 1 and depth % 4 == 0
    block = (34.0 if near else 57.0) + 16.0 * (depth // 4) + 24.0 * (depth % 4)
    column = 30.0 + 4.0 * depth
    return 100.0 + prod(batch) * -(-columns // 4) * (rows * block + 4 * column)


VARIANTS = (Variant("matmul", _SYMBOL, _lower, _cost, _accepts, frozenset({"dsp"})),)
