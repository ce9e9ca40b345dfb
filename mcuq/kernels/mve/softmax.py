"""softmax with Helium (MVE): sums by gathers from the table, divisions by one inverse a row."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import elementwise, softmax
from mcuq.kernels.variant import Cpu, Variant, lower_as
from mcuq.qir import QGraph

_SYMBOL = "mcuq_softmax_s8_mve"
_PLAIN = softmax.VARIANTS[0]


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row; its vectors of 16, 8 and 4 values."""
    length = qgraph.tensor(node.output).shape[-1]
    rows = elementwise.output_size(node, qgraph) / length
    return 20 + rows * (26 + 6 * -(-length // 16) + 8 * -(-length // 8) + 19 * -(-length // 4))


VARIANTS = (
    Variant(
        "softmax", _SYMBOL, lower_as(_PLAIN, _SYMBOL), _cost, _PLAIN.accepts, NEEDS, _PLAIN.gap
    ),
)
