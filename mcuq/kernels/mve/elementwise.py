"""add, lut and from_u8 on cores with Helium (MVE): a vector of elements at a time."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _count(node: Node, qgraph: QGraph) -> int:
    return elementwise.output_size(node, qgraph)


# ---- add ----


def _accepts_add(node: Node, qgraph: QGraph) -> bool:
    return all(qgraph.tensors[n].size == _count(node, qgraph) for n in node.inputs)


def _lower_add(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    names = ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max")
    fields = (Field("count", _count(node, qgraph)), *(Field(n, node.int(n)) for n in names))
    return (Call("mcuq_add_s8_mve", "mcuq_add_params", fields, node.inputs, node.output),)


def _cost_add(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Nine instructions a vector of 8 lanes, or of 4 where sums exceed 16 bits."""
    largest = 128 * (abs(node.int("mul_a")) + abs(node.int("mul_b"))) + abs(node.int("bias"))
    return 45 + 9 * _count(node, qgraph) / (8 if largest < 2**15 else 4)


# ---- lut ----


def _lower_lut(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table = node.inputs
    turned = np.roll(qgraph.data(table), 128)
    array = ConstArray("table", "int8_t", turned, f"{node.output} for 0..127, -128..-1")
    fields = (Field("table", "table"), Field("count", _count(node, qgraph)))
    return (Call("mcuq_lut_s8_mve", "mcuq_lut_params", fields, (source,), node.output, (array,)),)


def _cost_lut(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Four instructions for 16 elements, and what is left."""
    vectors, left = divmod(_count(node, qgraph), 16)
    return 12 + 4 * vectors + 5 * (left > 0)


# ---- from_u8 ----


def _lower_from_u8(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (Field("count", _count(node, qgraph)),)
    symbol = "mcuq_from_u8_s8_mve"
    return (Call(symbol, "mcuq_from_u8_params", fields, node.inputs, node.output),)


def _cost_copy(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Four instructions for 16 elements."""
    return 25 + _count(node, qgraph) / 4


VARIANTS = (
    Variant("add", "mcuq_add_s8_mve", _lower_add, _cost_add, _accepts_add, NEEDS, elementwise.gap),
    Variant("lut", "mcuq_lut_s8_mve", _lower_lut, _cost_lut, needs=NEEDS, gap=elementwise.gap),
    Variant(
        "from_u8",
        "mcuq_from_u8_s8_mve",
        _lower_from_u8,
        _cost_copy,
        needs=NEEDS,
        gap=elementwise.gap,
    ),
)
