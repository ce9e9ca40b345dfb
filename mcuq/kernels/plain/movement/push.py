"""The variant of push: rows move down where they lie, then new ones are copied behind them."""

from __future__ import annotations

from math import prod

from mcuq.ir import Node
from mcuq.kernels.plain.elementwise import instructions
from mcuq.kernels.variant import S8, S16, Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _sizes(node: Node, qgraph: QGraph) -> tuple[int, int, int]:
    """Blocks in front of the axis, and the bytes that are kept and new in each."""
    axis = node.int("axis")
    kept, new = (qgraph.tensor(name) for name in node.inputs)
    blocks = prod(kept.shape[:axis])
    return blocks, kept.bytes // blocks, new.bytes // blocks


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    blocks, kept, new = _sizes(node, qgraph)
    fields = (Field("blocks", blocks), Field("kept", kept), Field("fresh", new))
    return (Call("mcuq_push_s8", "mcuq_push_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    blocks, kept, _ = _sizes(node, qgraph)
    return instructions(cpu, blocks * kept, 0.65, 0.9) + 40.0 * blocks


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place over what was kept: it is read ahead of where it is written."""
    return 0 if index == 0 else None


VARIANTS = (Variant("push", "mcuq_push_s8", _lower, _cost, gap=_gap, kinds=S8 | S16),)
