"""matmul, softmax, normalize and tables of s16 data with Helium (MVE)."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mcuq.ir import Node
from mcuq.kernels.dsp.rows_int16 import COLUMNS, fits, lower_matmul, whole
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import elementwise, int16, normalize, softmax
from mcuq.kernels.variant import Cpu, Variant, lower_as
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


_MATMUL, _SOFTMAX, _NORMALIZE, _LUT = (
    f"mcuq_{op}_s16_mve" for op in ("matmul", "softmax", "normalize", "lut")
)
VARIANTS: tuple[Variant, ...] = (
    replace(
        int16.MATMUL,
        symbol=_MATMUL,
        lower=lower_matmul(_MATMUL, _EIGHT),
        cost=_matmul_cost,
        accepts=_accepts,
        needs=NEEDS,
    ),
    replace(
        softmax.WIDE,
        symbol=_SOFTMAX,
        lower=lower_as(softmax.WIDE, _SOFTMAX),
        cost=_softmax_cost,
        accepts=whole,
        needs=NEEDS,
    ),
    replace(
        int16.NORMALIZE,
        symbol=_NORMALIZE,
        lower=lower_as(int16.NORMALIZE, _NORMALIZE),
        cost=_normalize_cost,
        accepts=normalize.side_by_side,
        needs=NEEDS,
    ),
    replace(
        int16.LUT,
        symbol=_LUT,
        lower=lower_as(int16.LUT, _LUT),
        cost=_lut_cost,
        needs=NEEDS,
    ),
)
