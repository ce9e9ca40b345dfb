"""normalize and softmax with the DSP extension."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.dsp.elementwise import NEEDS
from mcuq.kernels.plain import elementwise, normalize, softmax
from mcuq.kernels.variant import Cpu, Variant, lower_as
from mcuq.qir import QGraph

_NORMALIZE, _SOFTMAX = "mcuq_normalize_s8_dsp", "mcuq_softmax_s8_dsp"
_PLAIN = softmax.VARIANTS[0]


def _normalize_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Measured: the call, a row, its values by fours, and those that are left."""
    outer, count, _, inner = node.ints("sizes")
    fours, left = divmod(count * inner, 4)
    return 61.0 + outer * (155.4 + 47.8 * fours + 24.8 * left)


def _softmax_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Measured: the call, a row, its values by fours, and those that are left."""
    length = qgraph.tensor(node.output).shape[-1]
    fours, left = divmod(length, 4)
    row = 44.0 + 25.0 * left + (19.0 + 54.0 * fours if fours else 0.0)
    return 32.0 + elementwise.output_size(node, qgraph) / length * row


VARIANTS = (
    Variant(
        "normalize",
        _NORMALIZE,
        lower_as(normalize.PLAIN, _NORMALIZE),
        _normalize_cost,
        normalize.side_by_side,
        NEEDS,
        normalize.PLAIN.gap,
    ),
    Variant(
        "softmax",
        _SOFTMAX,
        lower_as(_PLAIN, _SOFTMAX),
        _softmax_cost,
        _PLAIN.accepts,
        NEEDS,
        _PLAIN.gap,
    ),
)
