"""The variant of lookup."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import S8, S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, name = node.inputs
    index, table = qgraph.tensor(source), qgraph.data(name)
    array = ConstArray("table", "int8_t", table, "a row for each index")
    fields = (
        Field("table", "table"),
        Field("rows", table.shape[0]),
        Field("width", table.shape[1]),
        Field("count", index.size),
        Field("bytes", index.item_bytes),
    )
    symbol, params = "mcuq_lookup_s8", "mcuq_lookup_params"
    return (Call(symbol, params, fields, (source,), node.output, (array,)),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    size = elementwise.output_size(node, qgraph)
    return elementwise.instructions(cpu, size, 0.7, 1.2) + 45.0 * qgraph.tensor(node.inputs[0]).size


VARIANTS = (Variant("lookup", "mcuq_lookup_s8", _lower, _cost, kinds=S8 | S16),)
