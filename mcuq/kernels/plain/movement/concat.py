"""The variant of concat: one call per input, which copies it into its place."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.plain.elementwise import instructions
from mcuq.kernels.variant import S8, S16, Call, Cpu, Field, Variant
from mcuq.qir import QGraph


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
    """Words, or a memcpy for each long chunk."""
    rows, chunks = _chunks(node, qgraph)
    long = sum(chunk > 64 for chunk in chunks)
    size = qgraph.tensor(node.output).bytes
    each = instructions(cpu, size, 1.2, 1.6)
    return each + rows * (30.0 * long + 9.0 * (len(chunks) - long))


VARIANTS = (Variant("concat", "mcuq_concat_s8", _lower, _cost, kinds=S8 | S16),)
