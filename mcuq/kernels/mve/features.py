"""features with Helium (MVE): four complex numbers at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain.signal import features as plain
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Lower, Variant
from mcuq.ops.parts import spectrum
from mcuq.qir import QGraph

_BEHIND = 24
"""Bytes behind the last bin that are read, and count for nothing."""

_RATES = (3.5, 7.0, 11.5, 45.0, 7.0, 55.0, 4.0)


def stages(points: int) -> Array:
    """Twiddles of each stage from size 4, and of the unfolding: [.../4][-cos, -sin][4], << 16."""
    half, table = points // 2, spectrum.twiddles(points).astype(np.int32) << 16
    parts, size = [], 4
    while size < half:
        parts.append(table[:: half // size][:size])
        size *= 2
    parts.append(table[1 : half // 2 + 1])
    fours = np.concatenate(parts).reshape(-1, 4, 2)
    found: Array = fours.transpose(0, 2, 1)
    return np.ascontiguousarray(found)


def _lower(symbol: str) -> Lower:
    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        (call,) = plain.lower(symbol)(node, qgraph)
        name = f"stages_{node.int('points')}"
        made = ConstArray(name, "int32_t", stages(node.int("points")), align=4, shared=True)
        fields = tuple(Field(f.name, name) if f.name == "stages" else f for f in call.fields)
        arrays, scratch = (*call.arrays, made), call.scratch + _BEHIND
        return (replace(call, fields=fields, arrays=arrays, scratch=scratch),)

    return lowered


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return plain.of_frames(node, qgraph, _RATES)


def _variant(symbol: str, kind: str) -> Variant:
    return plain.variant(symbol, kind, _cost, NEEDS, _lower(symbol))


VARIANTS = tuple(_variant(f"{symbol}_mve", kind) for symbol, kind in plain.KINDS)
