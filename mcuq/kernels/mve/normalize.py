"""normalize with Helium (MVE): sums of 16 values, and 4 results at a time."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import normalize
from mcuq.kernels.variant import Cpu, Variant, lower_as
from mcuq.qir import QGraph

_SYMBOL = "mcuq_normalize_s8_mve"


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row; its vectors of 16 and 4 values."""
    outer, count, _, inner = node.ints("sizes")
    width = count * inner
    return 25.0 + outer * (130.0 + 3.8 * -(-width // 16) + 12 * -(-width // 4))


VARIANTS = (
    Variant(
        "normalize",
        _SYMBOL,
        lower_as(normalize.PLAIN, _SYMBOL),
        _cost,
        normalize.side_by_side,
        NEEDS,
        normalize.PLAIN.gap,
    ),
)
