"""clip: y = min(max(x, low), high); relu is (0, inf), relu6 (0, 6).

In integers a table, in s16 a requant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Graph, Node, Shape
from mcuq.ops import lut, requant
from mcuq.ops.spec import Form, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QTensor, frac_of
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


def out_range(clip: Any, output: QTensor) -> tuple[int, int]:
    """The integers (out_min, out_max) that ``clip`` = (low, high) allows in ``output``.

    >>> out_range((0.0, 6.0), QTensor("y", (1, 4), "s8", 4))
    (0, 96)
    """
    bounds = np.array(clip, np.float64)
    low, high = quantize(bounds, frac_of(output), output.zero, output.kind).tolist()
    return low, high


def to_int(
    node: Node, graph: Graph, acts: Mapping[str, QTensor], weights: Mapping[str, QTensor]
) -> IntForm:
    """A table; where an s16 comes in or goes out, a requant with the limits as its range."""
    x, y = acts[node.inputs[0]], acts[node.output]
    if "s16" not in (x.kind, y.kind):
        return _table(node, graph, acts, weights)
    return requant.form(node.name, x, y, out_range((node.float("low"), node.float("high")), y))


_table = lut.from_function(run_float)
_SCHEMA = Schema(Form({"low": LIMIT, "high": LIMIT}))
OP = OpSpec("clip", ("Relu", "Clip"), infer, run_float, to_int, schema=_SCHEMA)
