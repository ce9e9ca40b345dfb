"""The variant of normalize."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, gamma, beta = node.inputs
    arrays = (
        ConstArray("gamma", "int16_t", qgraph.data(gamma).astype(np.int16), "scale of each"),
        ConstArray("beta", "int32_t", qgraph.data(beta).astype(np.int32), "bias of each"),
    )
    sizes, period = node.ints("sizes"), qgraph.tensor(gamma).size
    row, block = prod(sizes[2:]), prod(sizes[1:])
    steps = (block if period == prod(sizes) else 0, row if period > row else 0)
    fields = (
        Field("gamma", "gamma"),
        Field("beta", "beta"),
        Field("size", sizes, "outer, count, groups, inner"),
        Field("gamma_step", steps, "of outer, count"),
        *(Field(key, node.int(key)) for key in ("centered", "zero", "epsilon", "epsilon_shift")),
        *(Field(key, node.int(key)) for key in ("frac", "shift", "out_min", "out_max")),
    )
    symbol, params = "mcuq_normalize_s8", "mcuq_normalize_params"
    return (Call(symbol, params, fields, (source,), node.output, arrays),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row and an element, measured on a Cortex-M4; estimated on smaller cores."""
    outer, _, groups, _ = node.ints("sizes")
    small = "thumb2" not in cpu.features and "riscv" not in cpu.features
    size = elementwise.output_size(node, qgraph)
    return outer * groups * (600.0 if small else 300.0) + (42.0 if small else 30.0) * size


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place: a row is measured before any of it is written, each value read just before."""
    return 0 if index == 0 else None


def side_by_side(node: Node, qgraph: QGraph) -> bool:
    """Whether the values of a row lie behind each other, and their scales as well."""
    _, count, groups, inner = node.ints("sizes")
    return groups == 1 and (count == 1 or qgraph.tensor(node.inputs[1]).size > inner)


PLAIN = Variant("normalize", "mcuq_normalize_s8", _lower, _cost, gap=_gap)
VARIANTS = (PLAIN,)
