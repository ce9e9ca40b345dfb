"""The variant of prelu."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_CALL, _PIXEL, _VALUE = Rate(28, 14, 16, 5), Rate(28, 8, 7, 5), Rate(26, 19, 19, 17.5)


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


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Pixels and values: about half of these are below zero."""
    size, channels = elementwise.output_size(node, qgraph), len(qgraph.data(node.inputs[1]))
    return _CALL.on(cpu) + size / channels * _PIXEL.on(cpu) + size * _VALUE.on(cpu)


VARIANTS = (Variant("prelu", "mcuq_prelu_s8", _lower, _cost, gap=elementwise.gap),)
