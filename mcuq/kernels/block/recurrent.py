"""lstm, gru and rnn on any core: four rows share the loads of their data."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import recurrent as plain
from mcuq.kernels.plain import weighted
from mcuq.kernels.plain.recurrent_rows import (
    Section,
    call,
    in_bytes,
    sections,
    whole_turns,
    wrapped,
)
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph


def _pack(section: Section) -> Array:
    """The words of a section, four rows after four (mcuq_recurrent_block.h)."""
    whole = section.filled(4, 8, 8)
    parts = (
        _interleaved(whole.input),
        in_bytes(whole.left),
        wrapped(whole.bias),
        _interleaved(whole.state),
        in_bytes(whole.right),
    )
    groups = len(whole.bias) // 4
    return np.concatenate([part.reshape(groups, -1) for part in parts], axis=1).ravel()


def _interleaved(weights: Array) -> Array:
    """(R, n) -> words of the four weights that share a datum, 128 more than they are."""
    fours = (weights + 128).astype(np.uint8).reshape(len(weights) // 4, 4, -1)
    return np.ascontiguousarray(fours.transpose(0, 2, 1)).view("<u4")


def _lower(symbol: str, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    packed = [_pack(section) for section in sections(node, qgraph)]
    _, in_len, hidden = plain.sizes(node, qgraph)
    more = 2 * whole_turns(in_len) + 4 * whole_turns(hidden)  # words, and of the state a copy
    return call(symbol, node, qgraph, np.concatenate(packed), more)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per turn of 32 products, per four rows and per unit."""
    steps, in_len, hidden = plain.sizes(node, qgraph)
    turn, four, unit = weighted.pick(
        cpu, (96.0, 80.0, 90.0), (95.6, 125.0, 135.0), (121.0, 100.0, 100.0)
    )
    groups = 0.0
    for section in sections(node, qgraph):
        turns = -(-section.input.shape[1] // 8) - (-section.state.shape[1] // 8)
        groups += -(-len(section.bias) // 4) * (four + turn * turns)
    return steps * (groups + 12.0 * (in_len + hidden) + unit * hidden)


def _variant(op: str) -> Variant:
    symbol = f"mcuq_{op}_s8_block"

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return _lower(symbol, node, qgraph)

    return Variant(op, symbol, lowered, _cost)


VARIANTS = tuple(_variant(op) for op in ("lstm", "gru", "rnn"))
