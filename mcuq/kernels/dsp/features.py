"""features with the DSP extension: products with halves of words, two samples at a time."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain.signal import features as plain
from mcuq.kernels.variant import Cpu
from mcuq.qir import QGraph

_NEEDS = frozenset({"dsp"})
_RATES = (10.0, 17.0, 32.0, 45.0, 9.0, 60.0, 5.0)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return plain.of_frames(node, qgraph, _RATES)


VARIANTS = tuple(
    plain.variant(f"{symbol}_dsp", kind, _cost, _NEEDS) for symbol, kind in plain.KINDS
)
