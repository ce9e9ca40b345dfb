"""lstm, gru and rnn with the DSP extension; ``_wide`` stores the state's weights in halfwords."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import recurrent as plain
from mcuq.kernels.plain.recurrent_rows import Section, call, in_bytes, sections, wrapped
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_NEEDS = frozenset({"dsp"})
_LARGEST_SUM = 1 << 16
"""Of a row's weights for the input: 128 times as much must fit 32 bits 256-fold."""


def _pack(section: Section, wide: bool) -> Array:
    """The words of a section, four rows after four."""
    whole = section.filled(4, 8, 8)
    even, odd = whole.input[:, 0::2] + 128, whole.input[:, 1::2]
    parts = (
        wrapped(-127 * even.sum(1)),
        _fours((256 * odd + even).astype("<i2")),
        in_bytes(whole.left),
        wrapped(whole.bias),
        _state_words(whole.state, wide),
        in_bytes(whole.right),
    )
    groups = len(whole.bias) // 4
    return np.concatenate([part.reshape(groups, -1) for part in parts], axis=1).ravel()


def _fours(values: Array) -> Array:
    """(R, n) of any width -> words in the order [four rows][word][row]."""
    words = np.ascontiguousarray(values).view("<u4")
    return words.reshape(len(words) // 4, 4, -1).transpose(0, 2, 1)


def _state_words(weights: Array, wide: bool) -> Array:
    """(R, H) -> words of two units of a row, or of both rows of a pair: 256 times the first one's
    weights and 128 more than the second one's, in the order [four rows][four units][pair][word].
    """
    if wide:
        return _fours(weights.astype("<i2"))
    both = (256 * weights[0::2] + weights[1::2] + 128).astype("<i2").view("<u4")
    return both.reshape(len(weights) // 4, 2, -1, 2).transpose(0, 2, 1, 3)


def _lower(symbol: str, wide: bool, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    packed = [_pack(section, wide) for section in sections(node, qgraph)]
    return call(symbol, node, qgraph, np.concatenate(packed))


def _fits(wide: bool, node: Node, qgraph: QGraph) -> bool:
    """Whether the sums of inputs fit 32 bits 256-fold, and those of bytes of second rows."""
    sums = np.abs(qgraph.data(node.inputs[1]).astype(np.int64)).sum(axis=1)
    of_bytes = (qgraph.data(node.inputs[2]).astype(np.int64) + 128).sum(axis=1)
    most = 0 if wide else of_bytes.max(initial=0)
    return bool(max(sums.max(initial=0), most) < _LARGEST_SUM)


_PER_UNIT = {"lstm": 62.0, "gru": 52.0, "rnn": 14.0}


def _cost(wide: bool, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    steps, in_len, hidden = plain.sizes(node, qgraph)
    x_turns, h_turns = -(-in_len // 8), -(-hidden // 8)
    groups = 0.0
    for section in sections(node, qgraph):
        of_x = 27.75 * x_turns if section.input.size else 0.0
        of_h = (21.75 if wide else 29.5) * h_turns if section.state.size else 0.0
        groups += -(-len(section.bias) // 4) * ((46 if wide else 67) + of_x + of_h)
    return steps * (groups + 16 * x_turns + 60 + (_PER_UNIT[node.op] + 8) * hidden)


def _readings(node: Node, qgraph: QGraph, cache: int) -> float:
    """All weights in each step."""
    return float(plain.sizes(node, qgraph)[0])


def _variant(op: str, wide: bool) -> Variant:
    symbol = f"mcuq_{op}_s8_dsp{'_wide' if wide else ''}"

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return _lower(symbol, wide, node, qgraph)

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        return _cost(wide, node, qgraph, cpu)

    def fits(node: Node, qgraph: QGraph) -> bool:
        return _fits(wide, node, qgraph)

    return Variant(op, symbol, lowered, cost, fits, _NEEDS, cycles=1.4, readings=_readings)


VARIANTS = tuple(_variant(op, wide) for op in ("lstm", "gru", "rnn") for wide in (False, True))
