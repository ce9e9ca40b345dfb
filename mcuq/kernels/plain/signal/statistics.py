"""The variants of statistics, by the width of what they write."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Lower, Variant
from mcuq.ops.signal import statistics as op
from mcuq.qir import QGraph


def _lower(symbol: str) -> Lower:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        kinds = np.array([op.KINDS.index(kind) for kind in node.attrs["kinds"]], np.uint8)
        arrays = (
            ConstArray("kinds", "uint8_t", kinds, ", ".join(node.attrs["kinds"])),
            ConstArray("mult", "int16_t", np.array(node.ints("mult"), np.int16)),
            ConstArray("shift", "int8_t", np.array(node.ints("shift"), np.int8)),
        )
        fields = (
            *(Field(array.suffix, array.suffix) for array in arrays),
            Field("count", len(kinds)),
            Field("channels", op.channels(qgraph.tensor(node.inputs[0]).shape)),
            *(Field(key, node.int(key)) for key in ("frames", "frame", "hop", "start")),
            *(Field(key, node.int(key)) for key in ("zero", "out_min", "out_max")),
        )
        params = "mcuq_statistics_params"
        return (Call(symbol, params, fields, node.inputs, node.output, arrays),)

    return lower


def _writes(kind: str) -> Variant:
    symbol = "mcuq_statistics_s16" + ("_s8" if kind == "s8" else "")

    def accepts(node: Node, qgraph: QGraph) -> bool:
        return qgraph.tensor(node.output).kind == kind

    return Variant("statistics", symbol, _lower(symbol), _cost, accepts, kinds=S16)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    columns = node.int("frames") * op.channels(qgraph.tensor(node.inputs[0]).shape)
    return columns * (18.0 * node.int("frame") + 400.0 + 30.0 * len(node.attrs["kinds"]))


VARIANTS = (_writes("s16"), _writes("s8"))
