"""The variants of softmax, of whole rows and of what a mask keeps, and of log_softmax."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_LOG_CALL, _LOG_ROW = Rate(30, 18, 17, 36), Rate(132.4, 97.1, 105, 74.7)
_LOG_VALUE = Rate(33.9, 26.9, 23.9, 24.9)


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
            symbol="mcuq_softmax_s8_masked",
            params_type="mcuq_softmax_masked_params",
            arrays=(*call.arrays, mask),
            fields=(*call.fields, Field("mask", "mask"), Field("mask_rows", len(kept))),
        ),
    )


def _masked(node: Node, qgraph: QGraph) -> bool:
    return len(node.inputs) == 3


def _unmasked(node: Node, qgraph: QGraph) -> bool:
    return not _masked(node, qgraph)


def _lower_wide(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table, *masks = node.inputs
    points = ConstArray("table", "int16_t", qgraph.data(table), "32767 * exp(-k / 32)")
    kept = [ConstArray("mask", "int8_t", qgraph.data(name), "1 where it counts") for name in masks]
    length = qgraph.tensor(source).shape[-1]
    fields = (
        Field("table", "table"),
        Field("rows", elementwise.output_size(node, qgraph) // length),
        Field("length", length),
        Field("mask", "mask" if kept else 0),
        Field("mask_rows", len(kept[0].data) if kept else 0),
        *(Field(key, node.int(key)) for key in ("mul", "shift", "frac")),
    )
    symbol, params = "mcuq_softmax_s16", "mcuq_softmax_s16_params"
    return (Call(symbol, params, fields, (source,), node.output, (points, *kept)),)


def _lower_log(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table, logs = node.inputs
    exp = qgraph.data(table).astype(np.uint16)
    arrays = (
        ConstArray("table", "uint16_t", exp, "32767 * exp(-d) by distance d to the largest"),
        ConstArray("logs", "int32_t", qgraph.data(logs), "log(1 + i / 64)"),
    )
    length = qgraph.tensor(source).shape[-1]
    rows = elementwise.output_size(node, qgraph) // length
    names = ("mul", "log_2", "log_one", "bias", "shift")
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("rows", rows),
        Field("length", length),
        *(Field(name, node.int(name)) for name in names),
    )
    symbol, params = "mcuq_log_softmax_s8", "mcuq_log_softmax_params"
    return (Call(symbol, params, fields, (source,), node.output, arrays),)


def _log_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    size, length = elementwise.output_size(node, qgraph), qgraph.tensor(node.output).shape[-1]
    return _LOG_CALL.on(cpu) + size / length * _LOG_ROW.on(cpu) + size * _LOG_VALUE.on(cpu)


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


WIDE = Variant(
    "softmax",
    "mcuq_softmax_s16",
    _lower_wide,
    lambda node, qgraph, cpu: 3.1 * _cost(node, qgraph, cpu),
    gap=_gap,
    kinds=S16,
)
VARIANTS = (
    Variant("softmax", "mcuq_softmax_s8", _lower, _cost, _unmasked, gap=_gap),
    Variant("softmax", "mcuq_softmax_s8_masked", _lower_masked, _cost, _masked, gap=_gap),
    Variant("log_softmax", "mcuq_log_softmax_s8", _lower_log, _log_cost, gap=_gap),
)
