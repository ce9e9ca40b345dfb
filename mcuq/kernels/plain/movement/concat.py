"""The variant of concat: one call per input, which copies it into its place."""

from __future__ import annotations

from itertools import accumulate
from math import prod

from mcuq.ir import Node
from mcuq.kernels.plain.movement import runs
from mcuq.kernels.plain.movement.library import copied
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import S8, S16, Call, Cpu, Field, Variant
from mcuq.qir import QGraph

_CALL, _MEMCPY = Rate(30, 20.5, 20, 31), Rate(11, 8.5, 12.9, 7.2)
_ROW, _WORDS, _BYTES = Rate(7, 12.2, 12.6, 5.1), Rate(7, 0.9, 4.7, 5.1), Rate(0, 1.5, 1.3, 0)
_WORD, _BYTE = Rate(4, 4, 3, 5), Rate(5, 3.7, 3.7, 5)


def _chunks(node: Node, qgraph: QGraph) -> tuple[int, tuple[int, ...]]:
    """(rows, bytes that each input gives to a row of the output)."""
    axis = node.int("axis")
    shapes = [qgraph.tensor(name).shape for name in node.inputs]
    item = qgraph.tensor(node.output).item_bytes
    return prod(shapes[0][:axis]), tuple(item * prod(shape[axis:]) for shape in shapes)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    rows, chunks = _chunks(node, qgraph)
    return tuple(
        Call(
            "mcuq_concat_s8",
            "mcuq_concat_params",
            (Field("rows", rows), Field("chunk", chunk), Field("out_stride", sum(chunks))),
            (name,),
            node.output,
            out_offset=sum(chunks[:index]),
        )
        for index, (name, chunk) in enumerate(zip(node.inputs, chunks, strict=True))
    )


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    rows, chunks = _chunks(node, qgraph)
    places = accumulate(chunks, initial=0)
    return sum(
        _CALL.on(cpu) + _chunk_cost(cpu, rows, chunk, at, sum(chunks))
        for chunk, at in zip(chunks, places, strict=False)
    )


def _chunk_cost(cpu: Cpu, rows: int, chunk: int, at: int, stride: int) -> float:
    """Words and the bytes behind them, or a memcpy for each row."""
    if not runs.is_long(cpu, chunk) and runs.in_words(cpu, at, chunk, stride):
        words, left = divmod(chunk, 4)
        first = (words > 0) * _WORDS.on(cpu) + (left > 0) * _BYTES.on(cpu)
        each = words * _WORD.on(cpu) + left * _BYTE.on(cpu)
        return rows * (_ROW.on(cpu) + first + each)
    whole = sum(copied(cpu, chunk, at + row * stride, row * chunk) for row in range(rows))
    return _MEMCPY.on(cpu) * rows + whole


VARIANTS = (Variant("concat", "mcuq_concat_s8", _lower, _cost, kinds=S8 | S16),)
