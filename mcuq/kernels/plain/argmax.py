"""The variants of argmax."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, Cpu, Field, Variant, lower_as
from mcuq.ops.argmax import takes_last
from mcuq.qir import QGraph

_CALL, _ROW, _VALUE = Rate(22, 13, 14, 12), Rate(48.3, 4.1, 5.1, 14.2), Rate(7, 9, 9, 7)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    length = qgraph.tensor(node.inputs[0]).shape[-1]
    fields = (Field("rows", elementwise.output_size(node, qgraph)), Field("length", length))
    return (Call("mcuq_argmax_s8", "mcuq_argmax_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    size = qgraph.tensor(node.inputs[0]).size
    rows = elementwise.output_size(node, qgraph)
    return _CALL.on(cpu) + rows * _ROW.on(cpu) + size * _VALUE.on(cpu)


def _first(node: Node, qgraph: QGraph) -> bool:
    return not takes_last(node)


def _last(node: Node, qgraph: QGraph) -> bool:
    return takes_last(node)


_FIRST = Variant("argmax", "mcuq_argmax_s8", _lower, _cost, _first)
_LAST = "mcuq_argmax_s8_last"
VARIANTS = (_FIRST, Variant("argmax", _LAST, lower_as(_FIRST, _LAST), _cost, _last))
