"""The variant of pad."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeVar

import numpy as np

from mcuq.fixed import DTYPES
from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import S8, S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.movement.pad import pairs
from mcuq.qir import QGraph

_T = TypeVar("_T")
_Three = tuple[int, int, int]
_Edges = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """Where all is padded with one value, a row's columns count as channels: fewer, longer copies.

    Fewer than 4 dimensions get sizes of 1 behind the batch.
    """
    source = _three(qgraph.tensor(node.inputs[0]).shape[1:], 1)
    output = _three(qgraph.tensor(node.output).shape[1:], 1)
    edges = _three(pairs(node)[1:], (0, 0))
    values, item = _values(node, qgraph)
    if len(values) == 1 and edges[2] == (0, 0):
        channels = source[2]
        source = (source[0], 1, source[1] * channels)
        output = (output[0], 1, output[1] * channels)
        edges = (edges[0], (0, 0), (edges[1][0] * channels, edges[1][1] * channels))
    edges = (*edges[:2], (edges[2][0] * item, edges[2][1] * item))
    source, output = (*source[:2], source[2] * item), (*output[:2], output[2] * item)
    fields = _sizes(source, output, edges)
    if len(values) == 1:
        fields = (*fields, Field("pad_value", values[0]))
        return (Call("mcuq_pad_s8", "mcuq_pad_params", fields, node.inputs, node.output),)
    array = ConstArray("values", "int8_t", np.array(values, np.int8), "padding per channel")
    fields = (Field("values", "values"), *fields)
    return (Call("mcuq_pad_s8", "mcuq_pad_params", fields, node.inputs, node.output, (array,)),)


def _values(node: Node, qgraph: QGraph) -> tuple[tuple[int, ...], int]:
    """The bytes of the padding, one for all or those of a pixel, and the bytes of an element."""
    tensor = qgraph.tensor(node.output)
    values = np.array(node.ints("value"), DTYPES[tensor.kind])
    if tensor.item_bytes > 1 and values.any():
        values = np.broadcast_to(values, tensor.shape[-1:])
    found = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).view(np.int8)
    return tuple(found.tolist()) if values.any() else (0,), tensor.item_bytes


def _sizes(source: _Three, output: _Three, edges: _Edges) -> tuple[Field, ...]:
    in_h, in_w, in_c = source
    numbers = {"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_w": output[1], "out_c": output[2],
               "top": edges[0][0], "bottom": edges[0][1], "left": edges[1][0],
               "front": edges[2][0]}  # fmt: skip
    return tuple(Field(name, value) for name, value in numbers.items())


def _three(values: Sequence[_T], fill: _T) -> tuple[_T, _T, _T]:
    """``values`` with ``fill`` in front, so that there are three."""
    first, second, third = [*[fill] * (3 - len(values)), *values]
    return first, second, third


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A copy and two fills, each a call, per row (one value) or per pixel."""
    shape = qgraph.tensor(node.output).shape
    by_row = len(_values(node, qgraph)[0]) == 1 and pairs(node)[-1] == (0, 0)
    calls = prod(shape[:-2] if by_row else shape[:-1])
    return elementwise.instructions(cpu, qgraph.tensor(node.output).bytes, 0.9, 1.3) + 60.0 * calls


VARIANTS = (Variant("pad", "mcuq_pad_s8", _lower, _cost, kinds=S8 | S16),)
