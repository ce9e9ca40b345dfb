"""matmul, softmax, normalize and tables of s16 data with the DSP extension."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mcuq.ir import Node
from mcuq.kernels.dsp.elementwise import NEEDS
from mcuq.kernels.plain import elementwise, int16, normalize, softmax
from mcuq.kernels.variant import Call, Cpu, Lower, Variant
from mcuq.qir import QGraph

COLUMNS = 4


def fits(node: Node, qgraph: QGraph) -> bool:
    """Four columns, k next to each other in a, sums that 32 bits hold once they are shifted."""
    *_, columns, depth = node.ints("sizes")
    shift, largest = node.int("shift"), depth * 2**30 + abs(node.int("bias"))
    small = shift > 0 and largest < 2 ** (31 + shift)
    return columns >= COLUMNS and node.ints("steps_a")[-1] == 1 and small


def lower_matmul(symbol: str, step: int) -> Lower:
    """The call of ``symbol``, whose scratch holds four columns of whole steps of so many k."""

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        scratch = 2 * COLUMNS * step * -(-node.ints("sizes")[-1] // step)
        (call,) = int16.MATMUL.lower(node, qgraph)
        return (replace(call, symbol=symbol, scratch=scratch),)

    return lower


def _matmul_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Four columns: those, and the rows."""
    *batch, rows, columns, depth = node.ints("sizes")
    fours, left = divmod(depth, 4)
    row = 44 + 16 * fours + 4 * left
    return 100.0 + prod(batch) * -(-columns // COLUMNS) * (60 + 14 * depth + rows * row)


def whole(node: Node, qgraph: QGraph) -> bool:
    """Whether all values of a row count."""
    return len(node.inputs) == 2


def _softmax_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    size, length = elementwise.output_size(node, qgraph), qgraph.tensor(node.output).shape[-1]
    return 40.0 + 60.0 * size / length + 27.0 * size


def _normalize_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return 170.0 * node.ints("sizes")[0] + 13.0 * elementwise.output_size(node, qgraph)


def _lut_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return 40.0 + 10.0 * elementwise.output_size(node, qgraph)


_MATMUL = "mcuq_matmul_s16_dsp"
VARIANTS: tuple[Variant, ...] = (
    replace(
        int16.ported(int16.MATMUL, "dsp", _matmul_cost, NEEDS),
        lower=lower_matmul(_MATMUL, 2),
        accepts=fits,
    ),
    replace(
        int16.ported(softmax.WIDE, "dsp", _softmax_cost, NEEDS),
        accepts=lambda node, qgraph: whole(node, qgraph) and node.int("shift") > 0,
    ),
    replace(
        int16.ported(int16.NORMALIZE, "dsp", _normalize_cost, NEEDS),
        accepts=normalize.side_by_side,
    ),
    int16.ported(int16.LUT, "dsp", _lut_cost, NEEDS),
)
