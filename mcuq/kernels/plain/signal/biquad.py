"""The variants of biquad: from rest, and in a stream."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.plain.weighted import pick
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Lower, Variant
from mcuq.ops.signal import biquad as op
from mcuq.ops.signal.statistics import channels
from mcuq.qir import QGraph


def _lower(symbol: str) -> Lower:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        sections = np.array(node.ints("sections"), np.int32)
        shape = qgraph.tensor(node.inputs[0]).shape
        about = "b0, b1, b2, a1, a2 of each section"
        fields = (
            Field("sections", "sections"),
            Field("count", len(sections) // op.COEFFICIENTS),
            Field("samples", shape[1]),
            Field("channels", channels(shape)),
        )
        array = ConstArray("sections", "int32_t", sections, about)
        params = "mcuq_biquad_params"
        return (Call(symbol, params, fields, node.inputs, node.output, (array,)),)

    return lower


def _reads(inputs: int, symbol: str) -> Variant:
    def accepts(node: Node, qgraph: QGraph) -> bool:
        return len(node.inputs) == inputs

    return Variant("biquad", symbol, _lower(symbol), _cost, accepts, kinds=S16)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    each, *_ = pick(cpu, (45.0,), (330.0,), (75.0,))
    sections = len(node.attrs["sections"]) // op.COEFFICIENTS
    return qgraph.tensor(node.inputs[0]).size * (16.0 + each * sections)


VARIANTS = (_reads(1, "mcuq_biquad_s16"), _reads(2, "mcuq_biquad_s16_kept"))
