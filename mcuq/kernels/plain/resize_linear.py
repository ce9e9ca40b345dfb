"""The variant of resize_linear."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_resize_linear_s8"
_TABLES = {
    "rows": "the first row that each row of the output lies between",
    "columns": "the first column",
    "row_weights": "of the next row, in 1 / 2048",
    "column_weights": "of the next column",
}


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    _, in_h, in_w, channels = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    arrays = tuple(
        ConstArray(name, "uint16_t", np.array(node.ints(name), np.uint16), comment)
        for name, comment in _TABLES.items()
    )
    sizes = {"in_h": in_h, "in_w": in_w, "channels": channels, "out_h": out_h, "out_w": out_w}
    fields = (
        *(Field(name, name) for name in _TABLES),
        *(Field(name, value) for name, value in sizes.items()),
    )
    return (Call(_SYMBOL, "mcuq_resize_linear_params", fields, node.inputs, node.output, arrays),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So much per element, and 40 per pixel."""
    size = elementwise.output_size(node, qgraph)
    pixels = size // qgraph.tensor(node.output).shape[-1]
    return elementwise.instructions(cpu, size, 12.0, 26.0) + 40.0 * pixels


VARIANTS = (Variant("resize_linear", _SYMBOL, _lower, _cost),)
