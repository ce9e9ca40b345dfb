"""clip: y = min(max(x, low), high); relu is (0, inf), relu6 (0, 6).

In integers a table, in s16 a requant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import lut, requant
from mcuq.ops.parts import along
from mcuq.ops.spec import (
    NO_CLIP,
    Bounds,
    Flow,
    Form,
    IntForm,
    OpSpec,
    Scaling,
    Schema,
    TorchTensor,
    always,
    fused_clip,
)
from mcuq.qir import QTensor, QTensors, frac_of
from mcuq.schema import LIMIT


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x`` limited to [low, high]."""
    return clamp(inputs[0], (node.float("low"), node.float("high")))


def clamp(values: TorchTensor, clip: Any) -> TorchTensor:
    """``values`` limited to ``clip`` = (low, high), the fused activation of other operators."""
    low, high = (float(v) for v in clip)
    if (low, high) == (0.0, np.inf):
        return values.relu()  # the same, and its gradient costs less
    return values if (low, high) == (-np.inf, np.inf) else values.clamp(low, high)


def clamp_(values: TorchTensor, clip: Any) -> TorchTensor:
    """``values``, which nobody else reads, limited to ``clip`` = (low, high) where they lie."""
    low, high = (float(v) for v in clip)
    return values if (low, high) == (-np.inf, np.inf) else values.clamp_(low, high)


def out_range(clip: Any, output: QTensor) -> tuple[int, int]:
    """The integers (out_min, out_max) that ``clip`` = (low, high) allows in ``output``.

    >>> out_range((0.0, 6.0), QTensor("y", (1, 4), "s8", 4))
    (0, 96)
    """
    bounds = np.array(clip, np.float64)
    low, high = quantize(bounds, frac_of(output), output.zero, output.kind).tolist()
    return low, high


def both_clips(first: Bounds, then: Bounds) -> Bounds:
    """One clip for ``first`` followed by ``then``.

    >>> both_clips((-1.0, np.inf), (0.0, 6.0))
    (0.0, 6.0)
    """
    (low, high), (floor, ceiling) = first, then
    return min(max(low, floor), ceiling), min(max(high, floor), ceiling)


def fuse(node: Node, then: Bounds) -> Node:
    """``node`` with the clip ``then`` after its own, in the attribute ``clip``."""
    return node.with_attrs(clip=both_clips(fused_clip(node), then))


def scaled(bounds: Bounds, factor: Array) -> Bounds:
    """``bounds`` in a new scale; infinite and 0 stay.

    They go with the least factor: channels with a larger one stay below their own.
    """
    least = float(factor.min())
    low, high = (b if np.isinf(b) or b == 0 else b * least for b in bounds)
    return low, high


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """A table; where an s16 comes in or goes out, a requant with the limits as its range."""
    x, y = acts[node.inputs[0]], acts[node.output]
    if "s16" not in (x.kind, y.kind):
        return _table(node, graph, acts, weights)
    return requant.form(node.name, x, y, out_range((node.float("low"), node.float("high")), y))


_table = lut.from_function(run_float)


def bounds(node: Node) -> Bounds:
    """The attributes ``low`` and ``high``."""
    return node.float("low"), node.float("high")


def joined(node: Node, then: Bounds) -> Node:
    """One clip for two in a row."""
    low, high = both_clips(bounds(node), then)
    return node.with_attrs(low=low, high=high)


def rescaled(node: Node, factor: Array) -> Node:
    """Its bounds in the new scale."""
    low, high = scaled(bounds(node), factor)
    return node.with_attrs(low=low, high=high)


OP = OpSpec(
    "clip",
    ("Relu", "Clip"),
    infer,
    run_float,
    to_int,
    flow=Flow.POINTWISE,
    bounds=bounds,
    keeps_sign=always,
    fuse_clip=joined,
    is_identity=lambda node, graph: bounds(node) == NO_CLIP,
    runs_s16=True,
    scaling=Scaling.CHANNELS,
    rescaled=rescaled,
    along=along.same,
    schema=Schema(Form({"low": LIMIT, "high": LIMIT})),
)
