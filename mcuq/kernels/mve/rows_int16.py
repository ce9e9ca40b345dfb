"""matmul, softmax, normalize and tables of s16 data with Helium (MVE)."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mcuq.ir import Node
from mcuq.kernels.dsp.rows_int16 import COLUMNS, fits, lower_matmul, whole
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import elementwise, int16, normalize, softmax
from mcuq.kernels.variant import Cpu, Variant
from mcuq.qir import QGraph

_EIGHT = 8


def _accepts(node: Node, qgraph: QGraph) -> bool:
    """Columns lie next to each other in the output; b is read forward."""
    near = node.ints("steps_out")[-1] == 1 and 0 <= node.ints("steps_b")[-1] < 2**12
    return near and fits(node, qgraph)


def _matmul_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Four columns: those, and the rows."""
    *batch, rows, columns, depth = node.ints("sizes")
    steps = -(-depth // _EIGHT)
    fours = prod(batch) * -(-columns // COLUMNS)
    return 100.0 + fours * (120 + 28 * steps + rows * (26 + 10 * steps))


def _softmax_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row; its vectors of 8 and of 4 values."""
    length = qgraph.tensor(node.output).shape[-1]
    rows = elementwise.output_size(node, qgraph) / length
    return 20 + rows * (45 + 30 * -(-length // _EIGHT) + 13 * -(-length // 4))


def _normalize_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row; its vectors of 8 and 4 values."""
    outer, count, _, inner = node.ints("sizes")
    width = count * inner
    return 20.0 + outer * (190.0 + 4 * -(-width // _EIGHT) + 12 * -(-width // 4))


def _lut_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return 20.0 + 21 * -(-elementwise.output_size(node, qgraph) // _EIGHT)


_MATMUL = "mcuq_matmul_s16_mve"
VARIANTS: tuple[Variant, ...] = (
    replace(
        int16.ported(int16.MATMUL, "mve", _matmul_cost, NEEDS),
        lower=lower_matmul(_MATMUL, _EIGHT),
        accepts=_accepts,
    ),
    replace(int16.ported(softmax.WIDE, "mve", _softmax_cost, NEEDS), accepts=whole),
    replace(
        int16.ported(int16.NORMALIZE, "mve", _normalize_cost, NEEDS),
        accepts=normalize.side_by_side,
    ),
    int16.ported(int16.LUT, "mve", _lut_cost, NEEDS),
)
