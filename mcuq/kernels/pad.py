"""The variant of pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from mcuq.ir import Node
from mcuq.kernels import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.pad import pairs
from mcuq.qir import QGraph

_T = TypeVar("_T")


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """Fewer than 4 dimensions get sizes of 1 behind the batch."""
    in_h, in_w, in_c = _three(qgraph.tensor(node.inputs[0]).shape[1:], 1)
    _, out_w, out_c = _three(qgraph.tensor(node.output).shape[1:], 1)
    rows, columns, channels = _three(pairs(node)[1:], (0, 0))
    numbers = {"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_w": out_w, "out_c": out_c,
               "top": rows[0], "bottom": rows[1], "left": columns[0],
               "front": channels[0]}  # fmt: skip
    fields = tuple(Field(name, value) for name, value in numbers.items())
    values = node.ints("value")
    if len(values) == 1:
        fields = (*fields, Field("pad_value", values[0]))
        return (Call("mcuq_pad_s8", "mcuq_pad_params", fields, node.inputs, node.output),)
    array = ConstArray("values", "int8_t", np.array(values, np.int8), "padding per channel")
    fields = (Field("values", "values"), *fields)
    return (Call("mcuq_pad_s8", "mcuq_pad_params", fields, node.inputs, node.output, (array,)),)


def _three(values: Sequence[_T], fill: _T) -> tuple[_T, _T, _T]:
    """``values`` with ``fill`` in front, so that there are three."""
    first, second, third = [*[fill] * (3 - len(values)), *values]
    return first, second, third


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A memcpy or memset per pixel."""
    size = elementwise.output_size(node, qgraph)
    return 60.0 * size / qgraph.tensor(node.output).shape[-1] + 1.5 * size


VARIANTS = (Variant("pad", "mcuq_pad_s8", _lower, _cost),)
