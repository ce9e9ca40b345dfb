"""The variants of softmax: of whole rows, and of what a mask keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table = node.inputs[:2]
    data = qgraph.data(table).astype(np.uint16)
    array = ConstArray("table", "uint16_t", data, "32767 * exp(-d) by distance d to the largest")
    length = qgraph.tensor(source).shape[-1]
    rows = elementwise.output_size(node, qgraph) // length
    fields = (Field("table", "table"), Field("rows", rows), Field("length", length))
    call = Call("mcuq_softmax_s8", "mcuq_softmax_params", fields, (source,), node.output, (array,))
    return (call,)


def _lower_masked(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    (call,) = _lower(node, qgraph)
    kept = qgraph.data(node.inputs[2])
    mask = ConstArray("mask", "int8_t", kept, "1 where a value counts")
    return (
        replace(
            call,
            symbol="mcuq_softmax_masked_s8",
            params_type="mcuq_softmax_masked_params",
            arrays=(*call.arrays, mask),
            fields=(*call.fields, Field("mask", "mask"), Field("mask_rows", len(kept))),
        ),
    )


def _masked(node: Node, qgraph: QGraph) -> bool:
    return len(node.inputs) == 3


def _unmasked(node: Node, qgraph: QGraph) -> bool:
    return not _masked(node, qgraph)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Measured, a row and a value; a core without a division has a longer one."""
    size, length = elementwise.output_size(node, qgraph), qgraph.tensor(node.output).shape[-1]
    if "riscv" in cpu.features:
        per_row, per_value = 41.0, 29.0
    else:
        per_row, per_value = (28.0, 25.4) if "div" in cpu.features else (85.0, 76.4)
    return per_row * size / length + per_value * size


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place: a value is read for the last time just before its result is written."""
    return 0 if index == 0 else None


VARIANTS = (
    Variant("softmax", "mcuq_softmax_s8", _lower, _cost, _unmasked, gap=_gap),
    Variant("softmax", "mcuq_softmax_masked_s8", _lower_masked, _cost, _masked, gap=_gap),
)
