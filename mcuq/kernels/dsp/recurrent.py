"""lstm, gru and rnn with the DSP extension; ``_wide`` stores the state's weights in halfwords."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import recurrent as plain
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_PARAMS = "mcuq_recurrent_dsp_params"
_NEEDS = frozenset({"dsp"})
_LARGEST_SUM = 1 << 16
"""Of a row's weights for the input: 128 times as much must fit 32 bits 256-fold."""


@dataclass(frozen=True, eq=False)
class Section:
    """Rows that are made one after another, int64: (R, I), (R, H) and (R,).

    Without columns a part is left out.
    """

    input: Array
    state: Array
    bias: Array
    left: Array
    right: Array

    def filled(self, rows: int, inputs: int, units: int) -> Section:
        """With rows and columns of zeros up to multiples of these."""
        more = -len(self.bias) % rows
        wide = [
            np.pad(m, ((0, more), (0, -m.shape[1] % multiple)))
            for m, multiple in ((self.input, inputs), (self.state, units))
        ]
        ends = [np.pad(v, (0, more)) for v in (self.bias, self.left, self.right)]
        return Section(wide[0], wide[1], ends[0], ends[1], ends[2])


def sections(node: Node, qgraph: QGraph) -> list[Section]:
    """The rows of a node in the order in which kernels make them (mcuq_recurrent_dsp.h)."""
    w, r, bias = (qgraph.data(name).astype(np.int64) for name in node.inputs[1:4])
    left, right = (np.array(node.ints(key), np.int64) for key in ("left", "right"))
    if node.op != "gru":
        return [Section(w, r, bias, left, right)]
    end, hidden = len(w), r.shape[1]
    gates, none = slice(0, 2 * hidden), np.zeros((hidden, 0), np.int64)
    first = Section(w[gates], r[gates], bias[gates], left[gates], right[gates])
    last = slice(2 * hidden, end)
    if not node.attrs["after"]:
        return [first, Section(w[last], r[last], bias[last], left[last], right[last])]
    zero = np.zeros(hidden, np.int64)
    return [
        first,
        Section(w[last], none, bias[last], left[last], right[last]),
        Section(none, r[last], bias[end:], zero, right[end:]),
    ]


def _pack(section: Section, wide: bool) -> Array:
    """The words of a section, four rows after four."""
    whole = section.filled(4, 8, 8)
    even, odd = whole.input[:, 0::2] + 128, whole.input[:, 1::2]
    parts = (
        _wrapped(-127 * even.sum(1)),
        _fours((256 * odd + even).astype("<i2")),
        _bytes(whole.left),
        _wrapped(whole.bias),
        _state_words(whole.state, wide),
        _bytes(whole.right),
    )
    groups = len(whole.bias) // 4
    return np.concatenate([part.reshape(groups, -1) for part in parts], axis=1).ravel()


def _wrapped(values: Array) -> Array:
    """As words."""
    return (values & 0xFFFFFFFF).astype(np.uint32)


def _bytes(values: Array) -> Array:
    """(R,) -> four in a word."""
    return np.ascontiguousarray(values.astype(np.uint8)).view("<u4")


def _fours(values: Array) -> Array:
    """(R, n) of any width -> words in the order [four rows][word][row]."""
    words = np.ascontiguousarray(values).view("<u4")
    return words.reshape(len(words) // 4, 4, -1).transpose(0, 2, 1)


def _state_words(weights: Array, wide: bool) -> Array:
    if wide:
        return _fours(weights.astype("<i2"))
    quads = weights.reshape(len(weights), -1, 4)[:, :, (0, 2, 1, 3)]
    return _fours(quads.reshape(len(weights), -1).astype(np.int8))


def _scratch(node: Node, qgraph: QGraph) -> int:
    _, in_len, hidden = plain.sizes(node, qgraph)
    rows = sum(len(section.filled(4, 8, 8).bias) for section in sections(node, qgraph))
    return 2 * (-in_len % 8 + in_len) + 6 * (-hidden % 8 + hidden) + 2 * rows


def _lower(symbol: str, wide: bool, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    packed = np.concatenate([_pack(section, wide) for section in sections(node, qgraph)])
    made = plain.constants(node, qgraph)
    arrays = {"rows": ConstArray("rows", "uint32_t", packed)}
    arrays |= {name: made[name] for name in made if name not in ("bias", "left", "right")}
    unused = ("weights", "recurrence", "bias", "left", "right")
    fields = (
        Field("rows", "rows"),
        *(field for field in plain.pointers(node, made) if field.name not in unused),
        *plain.numbers(node, qgraph),
    )
    x, y = node.inputs[0], node.output
    scratch = _scratch(node, qgraph)
    return (Call(symbol, _PARAMS, fields, (x,), y, tuple(arrays.values()), scratch),)


def _fits(node: Node, qgraph: QGraph) -> bool:
    """Whether the sums of inputs fit 32 bits 256-fold."""
    sums = np.abs(qgraph.data(node.inputs[1]).astype(np.int64)).sum(axis=1)
    return bool(sums.max(initial=0) < _LARGEST_SUM)


_PER_UNIT = {"lstm": 62.0, "gru": 52.0, "rnn": 14.0}


def _cost(wide: bool, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    steps, in_len, hidden = plain.sizes(node, qgraph)
    x_turns, h_turns = -(-in_len // 8), -(-hidden // 8)
    groups = 0.0
    for section in sections(node, qgraph):
        of_x = 27.75 * x_turns if section.input.size else 0.0
        of_h = (21.75 if wide else 36.75) * h_turns if section.state.size else 0.0
        groups += -(-len(section.bias) // 4) * (46 + of_x + of_h)
    return steps * (groups + 16 * x_turns + 60 + (_PER_UNIT[node.op] + 8) * hidden)


def _variant(op: str, wide: bool) -> Variant:
    symbol = f"mcuq_{op}_s8_dsp{'_wide' if wide else ''}"

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return _lower(symbol, wide, node, qgraph)

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        return _cost(wide, node, qgraph, cpu)

    return Variant(op, symbol, lowered, cost, _fits, _NEEDS, cycles=1.4)


VARIANTS = tuple(_variant(op, wide) for op in ("lstm", "gru", "rnn") for wide in (False, True))
