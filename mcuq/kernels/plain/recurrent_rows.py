"""The rows of recurrent layers as kernels make them that take four at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import recurrent as plain
from mcuq.kernels.variant import Call, ConstArray, Field
from mcuq.qir import QGraph

_PARAMS = "mcuq_recurrent_rows_params"


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
    """The rows of a node in the order in which kernels make them (mcuq_recurrent_rows.h)."""
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


def wrapped(values: Array) -> Array:
    """As words."""
    return (values & 0xFFFFFFFF).astype(np.uint32)


def in_bytes(values: Array) -> Array:
    """(R,) -> four in a word."""
    return np.ascontiguousarray(values.astype(np.uint8)).view("<u4")


def whole_turns(count: int) -> int:
    """``count`` up to a multiple of 8."""
    return -(-count // 8) * 8


def _scratch(node: Node, qgraph: QGraph) -> int:
    _, in_len, hidden = plain.sizes(node, qgraph)
    rows = sum(len(section.filled(4, 8, 8).bias) for section in sections(node, qgraph))
    return 2 * whole_turns(in_len) + 6 * whole_turns(hidden) + 2 * rows


def call(symbol: str, node: Node, qgraph: QGraph, packed: Array, more: int = 0) -> tuple[Call, ...]:
    """The call of the kernel ``symbol`` with ``packed`` rows and ``more`` scratch."""
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
    scratch = _scratch(node, qgraph) + more
    return (Call(symbol, _PARAMS, fields, (x,), y, tuple(arrays.values()), scratch),)
