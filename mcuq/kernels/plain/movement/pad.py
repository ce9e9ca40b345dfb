"""The variant of pad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from mcuq.fixed import DTYPES
from mcuq.ir import Node
from mcuq.kernels.plain.movement.library import copied, filled
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import S8, S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.movement.pad import pairs
from mcuq.qir import QGraph

_CALL, _FILL_PIXELS = Rate(11, 7, 8, 38), Rate(10.4, 8.1, 8.7, 5)
_PIXEL, _INPUT = Rate(24.4, 17, 19, 10.8), Rate(35.4, 30.6, 31, 25.1)

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
    """The C's loops, with a memset or memcpy for each run that is filled and copied."""
    (call,) = _lower(node, qgraph)
    size = {field.name: field.value for field in call.fields}
    walk = _Walk(cpu, {k: v for k, v in size.items() if isinstance(v, int)}, "values" in size)
    return walk.cost()


class _Walk:
    """mcuq_pad_s8 step by step, for what its runs cost depends on where they begin."""

    def __init__(self, cpu: Cpu, size: Mapping[str, int], by_channel: bool) -> None:
        self.cpu, self.size, self.by_channel = cpu, size, by_channel
        self.at, self.source, self.total = 0, 0, _CALL.on(cpu)

    def cost(self) -> float:
        size = self.size
        right = size["out_w"] - size["left"] - size["in_w"]
        self._pixels(size["top"] * size["out_w"])
        for _ in range(size["in_h"]):
            self._pixels(size["left"])
            for _ in range(size["in_w"]):
                self._pixel()
            self._pixels(right)
        self._pixels(size["bottom"] * size["out_w"])
        return self.total

    def _pixels(self, count: int) -> None:
        self.total += _FILL_PIXELS.on(self.cpu)
        for _ in range(count):
            self.total += _PIXEL.on(self.cpu)
            self._fill(0, self.size["out_c"])

    def _pixel(self) -> None:
        size, cpu = self.size, self.cpu
        behind = size["front"] + size["in_c"]
        self._fill(0, size["front"])
        self.total += _INPUT.on(cpu) + copied(cpu, size["in_c"], self.at, self.source)
        self.at += size["in_c"]
        self.source += size["in_c"]
        self._fill(behind, size["out_c"] - behind)

    def _fill(self, first: int, count: int) -> None:
        by_channel = self.by_channel
        self.total += (
            copied(self.cpu, count, self.at, first)
            if by_channel
            else filled(self.cpu, count, self.at)
        )
        self.at += count


VARIANTS = (Variant("pad", "mcuq_pad_s8", _lower, _cost, kinds=S8 | S16),)
