"""The plain variant of matmul."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph

_CALL, _ROW = Rate(87, 63, 58, 65), Rate(9, 8, 7, 5)
_VALUE, _PRODUCT = Rate(60, 37, 38, 31), Rate(15, 9, 8, 10)


def fields(node: Node) -> tuple[Field, ...]:
    """The members of mcuq_matmul_params."""
    return (
        Field("size", node.ints("sizes"), "batch, batch, m, n, k"),
        Field("start_a", node.int("start_a")),
        Field("start_b", node.int("start_b")),
        Field("step_a", node.ints("steps_a"), "batch, batch, m, k"),
        Field("step_b", node.ints("steps_b"), "batch, batch, n, k"),
        Field("step_out", node.ints("steps_out"), "batch, batch, m, n"),
        *(Field(key, node.int(key)) for key in ("zero_a", "zero_b", "bias", "shift")),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    symbol, params = "mcuq_matmul_s8", "mcuq_matmul_params"
    return (Call(symbol, params, fields(node), node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Rows, values, and a product and a sum for each."""
    *batch, rows, columns, depth = node.ints("sizes")
    value = _VALUE.on(cpu) + depth * _PRODUCT.on(cpu)
    return _CALL.on(cpu) + prod(batch) * rows * (_ROW.on(cpu) + columns * value)


VARIANTS = (Variant("matmul", "mcuq_matmul_s8", _lower, _cost),)
