"""The variants of maximum and minimum."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (
        elementwise.spread_field(node, qgraph),
        Field("larger", int(node.op == "maximum")),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    return (Call("mcuq_extremum_s8", "mcuq_extremum_params", fields, node.inputs, node.output),)


VARIANTS = tuple(
    Variant(
        op,
        "mcuq_extremum_s8",
        _lower,
        elementwise.spread_cost(Rate(38, 16, 16, 15), Rate(18, 13, 12, 12), Rate(23, 22, 22, 14)),
        elementwise.spreads,
        gap=elementwise.gap,
    )
    for op in ("maximum", "minimum")
)
