"""from_u8: u8 -> s8 with zero -128, y = x XOR 0x80 (= x - 128); stands behind u8 inputs.

C: mcuq_from_u8_s8.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.ir import Array, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, OpSpec, Schema
from mcuq.qir import QGraph


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(u8) -> (s8)."""
    return (inputs[0].astype(np.uint8) ^ np.uint8(0x80)).view(np.int8)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """It reads u8 and writes s8."""
    yield from forms.kinds(node, qgraph, "u8", "s8")


OP = OpSpec(
    "from_u8", (), infer, run_int=run_int, along=along.same, schema=Schema(None, Form(), faults)
)
