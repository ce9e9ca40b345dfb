"""The variant of decide."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    scores = qgraph.tensor(node.inputs[0])
    _, count, classes = scores.shape
    counted = np.array(node.ints("counted"), np.uint8)
    array = ConstArray("counted", "uint8_t", counted, "0 for a class that never begins")
    fields = (
        Field("counted", "counted"),
        Field("count", count),
        Field("classes", classes),
        Field("wide", int(scores.kind == "s16")),
        *(Field(key, node.int(key)) for key in ("on", "off", "refractory")),
    )
    params = "mcuq_decide_params"
    return (Call("mcuq_decide_s16", params, fields, node.inputs, node.output, (array,)),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    _, count, classes = qgraph.tensor(node.inputs[0]).shape
    return 60.0 + classes * (14.0 + 8.0 * count)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place over what was written before."""
    return 0 if index == 1 else None


VARIANTS = (Variant("decide", "mcuq_decide_s16", _lower, _cost, gap=_gap, kinds=S16),)
