"""The variant of normalize."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_CALL, _ROW = Rate(40, 44, 42, 47), Rate(909, 146, 146, 415)
_RUN, _VALUE = Rate(37.6, 41, 45, 23.7), Rate(37.1, 24, 24, 26.1)


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
    """Rows, the runs that each lies in, and values."""
    outer, count, groups, inner = node.ints("sizes")
    run = _RUN.on(cpu) + inner * _VALUE.on(cpu)
    return _CALL.on(cpu) + outer * groups * (_ROW.on(cpu) + count * run)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place: a row is measured before any of it is written, each value read just before."""
    return 0 if index == 0 else None


def side_by_side(node: Node, qgraph: QGraph) -> bool:
    """Whether the values of a row lie behind each other, and their scales as well."""
    _, count, groups, inner = node.ints("sizes")
    return groups == 1 and (count == 1 or qgraph.tensor(node.inputs[1]).size > inner)


PLAIN = Variant("normalize", "mcuq_normalize_s8", _lower, _cost, gap=_gap)
VARIANTS = (PLAIN,)
