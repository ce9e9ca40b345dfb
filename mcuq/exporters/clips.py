"""The limits that operators carry, written behind them."""

from __future__ import annotations

import math

import numpy as np

from mcuq.exporters.values import Values
from mcuq.ir import Node
from mcuq.ops.spec import NO_CLIP, fused_clip


def bare(node: Node) -> str:
    """The name of the node's value before its clip."""
    return node.output if fused_clip(node) == NO_CLIP else f"{node.output}.unclipped"


def clip_to(
    values: Values, limits: tuple[float, float], label: str, source: str, output: str
) -> str:
    """``source`` within ``limits``: a Relu, a Clip or nothing."""
    low, high = limits
    if (low, high) == NO_CLIP:
        return source
    if (low, high) == (0.0, math.inf):
        return values.emit_as("Relu", label, output, [source])
    ends = [
        "" if math.isinf(v) else values.constant(f"{label}.{key}", np.array(v))
        for key, v in (("min", low), ("max", high))
    ]
    return values.emit_as("Clip", label, output, [source, *(ends if ends[1] else ends[:1])])
