"""The variant of resize_linear."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_resize_linear_s8"
_CALL, _ROW = Rate(30, 24, 22, 41), Rate(37.8, 26, 24, 19)
_PIXEL, _VALUE = Rate(57, 36, 39, 26), Rate(30, 13, 12, 20)
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
    """Rows, pixels and values."""
    _, rows, columns, channels = qgraph.tensor(node.output).shape
    pixel = _PIXEL.on(cpu) + channels * _VALUE.on(cpu)
    return _CALL.on(cpu) + rows * (_ROW.on(cpu) + columns * pixel)


VARIANTS = (Variant("resize_linear", _SYMBOL, _lower, _cost),)
