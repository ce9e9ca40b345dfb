"""The variant of prelu."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, slopes = node.inputs
    data = qgraph.data(slopes)
    array = ConstArray("slopes", "int32_t", data, f"times {node.int('one')}")
    names = ("one", "bias", "zero_x", "shift", "out_min", "out_max")
    fields = (
        Field("slopes", "slopes"),
        Field("rows", elementwise.output_size(node, qgraph) // len(data)),
        Field("channels", len(data)),
        *(Field(name, node.int(name)) for name in names),
    )
    return (Call("mcuq_prelu_s8", "mcuq_prelu_params", fields, (source,), node.output, (array,)),)


VARIANTS = (
    Variant("prelu", "mcuq_prelu_s8", _lower, elementwise.cost((13.0, 19.0)), gap=elementwise.gap),
)
