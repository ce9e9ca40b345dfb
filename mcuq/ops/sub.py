"""sub: y = clip(a - b)."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node
from mcuq.ops import broadcast
from mcuq.ops.clip import clamp
from mcuq.ops.spec import OpSpec, TorchTensor


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a - b)``."""
    return clamp(inputs[0] - inputs[1], node.attrs["clip"])


OP = OpSpec("sub", ("Sub",), broadcast.infer, run_float, limits=(broadcast.spreads,))
