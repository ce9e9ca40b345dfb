"""Recurrent layers that start at a computed state, as those of a stream do: step by step.

A step is made of products and functions of one value, so that the state can be wide (16 bits) and
all else as wide as it needs. Which tensor follows which start is noted (``Graph.successors``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Builder, Refused
from mcuq.ir import Array
from mcuq.ops.spec import NO_CLIP

MOST_STEPS = 32


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of a layer: its constants as the operators have them, and the first states.

    ``starts``: tensors (1, H), of h and of an LSTM's c. ``attrs``: ``limit``, ``after`` and
    ``activation`` of the operators. ``source``: (1, 1, T, I).
    """

    op: str
    name: str
    label: str
    source: str
    steps: int
    backward: bool
    parts: Mapping[str, Array]
    starts: tuple[str, ...]
    attrs: Mapping[str, Any]

    @property
    def hidden(self) -> int:
        """Units."""
        return int(self.parts["recurrence"].shape[1])


@dataclass(frozen=True)
class Ran:
    """Tensors (1, H): the state after each step, in the order of the input, and the last ones."""

    states: tuple[str, ...]
    last: tuple[str, ...]


def run(builder: Builder, layer: Direction) -> Ran:
    """The nodes of all steps of ``layer``."""
    if layer.steps > MOST_STEPS:
        reason = f"{layer.op} over {layer.steps} steps from a state that is computed"
        raise Refused(reason, f"Export it for at most {MOST_STEPS} steps, such as 1")
    cell = _Cell(builder, layer)
    states, made = layer.starts, {}
    order = range(layer.steps)
    for t in reversed(order) if layer.backward else order:
        states = cell.step(cell.input(t), states, f"{layer.label}.step_{t}")
        made[t] = states[0]
    builder.successors.update(zip(layer.starts, states, strict=True))
    return Ran(tuple(made[t] for t in order), states)


class _Cell:
    """The nodes of one step; its constants are there once."""

    def __init__(self, builder: Builder, layer: Direction) -> None:
        self.builder, self.layer = builder, layer
        self._known: dict[str, str] = {}

    def input(self, t: int) -> str:
        """(1, I): the vector of step ``t``."""
        width = self.builder.tensors[self.layer.source].shape[-1]
        if self.layer.steps == 1:
            return self.builder.shaped(self.layer.source, (1, width))
        place = np.arange(t * width, (t + 1) * width)
        label = f"{self.layer.label}.input_{t}"
        return self.builder.copy(self.layer.name, self.layer.source, place, (1, width), label)

    def step(self, x: str, states: tuple[str, ...], label: str) -> tuple[str, ...]:
        """The states after a step."""
        if self.layer.op == "LSTM":
            return self._lstm(x, states[0], states[1], label)
        if self.layer.op == "GRU":
            return (self._gru(x, states[0], label),)
        rows = slice(0, self.layer.hidden)
        activation = str(self.layer.attrs["activation"])
        return (self._gate(activation, self._both(x, states[0], rows, label), f"{label}.h"),)

    def _lstm(self, x: str, h: str, c: str, label: str) -> tuple[str, str]:
        size = self.layer.hidden
        i, o, f, g = (
            self._gate(act, self._both(x, h, slice(k * size, (k + 1) * size), f"{label}.{gate}"),
                       f"{label}.{gate}.act")
            for k, (gate, act) in enumerate(
                (("i", "sigmoid"), ("o", "sigmoid"), ("f", "sigmoid"), ("g", "tanh"))
            )
        )  # fmt: skip
        kept, new = (
            self._join("mul", f, c, f"{label}.kept"),
            self._join("mul", i, g, f"{label}.new"),
        )
        cell = self._join("add", kept, new, f"{label}.c")
        seen = self._emit("tanh", (cell,), f"{label}.seen")
        return self._join("mul", o, seen, f"{label}.h"), cell

    def _gru(self, x: str, h: str, label: str) -> str:
        size = self.layer.hidden
        rows = [slice(k * size, (k + 1) * size) for k in range(3)]
        z, r = (
            self._gate(
                "sigmoid", self._both(x, h, rows[k], f"{label}.{gate}"), f"{label}.{gate}.act"
            )
            for k, gate in enumerate("zr")
        )
        if self.layer.attrs["after"]:
            bias = self._bias(rows[2], recurrent=True)
            product = self._product("recurrence", h, rows[2], f"{label}.hn", bias)
            reset = self._join("mul", r, product, f"{label}.reset")
        else:
            product = self._join("mul", r, h, f"{label}.reset_h")
            reset = self._product("recurrence", product, rows[2], f"{label}.reset", None)
        own = self._product("weight", x, rows[2], f"{label}.xn", self._bias(rows[2]))
        n = self._gate("tanh", self._join("add", own, reset, f"{label}.n"), f"{label}.n.act")
        apart = self._join("sub", h, n, f"{label}.apart")
        return self._join("add", n, self._join("mul", z, apart, f"{label}.kept"), f"{label}.h")

    def _both(self, x: str, h: str, rows: slice, label: str) -> str:
        """Rows of the input and of the state, with the bias."""
        first = self._product("weight", x, rows, f"{label}.x", self._bias(rows))
        return self._join(
            "add", first, self._product("recurrence", h, rows, f"{label}.h", None), label
        )

    def _bias(self, rows: slice, recurrent: bool = False) -> Array:
        """That of some rows; of a GRU the input's and the state's are still apart."""
        bias, size = self.layer.parts["bias"], self.layer.hidden
        if self.layer.op != "GRU":
            return bias[rows]
        of_input, of_state = np.split(bias, 2)
        if recurrent:
            return of_state[rows]
        apart = rows.start == 2 * size and self.layer.attrs["after"]
        return of_input[rows] if apart else of_input[rows] + of_state[rows]

    def _product(self, part: str, x: str, rows: slice, label: str, bias: Array | None) -> str:
        weights = self.layer.parts[part][rows]
        made = np.zeros(len(weights)) if bias is None else bias
        names = (
            self._constant(f"{self.layer.label}.{part}.{rows.start}", weights),
            self._constant(f"{self.layer.label}.{part}.{rows.start}.bias", made),
        )
        return self._emit("dense", (x, *names), label, clip=NO_CLIP)

    def _gate(self, activation: str, z: str, label: str) -> str:
        limit = float(self.layer.attrs.get("limit", 0.0))
        if limit > 0.0:
            z = self._emit("clip", (z,), f"{label}.limited", low=-limit, high=limit)
        if activation == "relu":
            return self._emit("clip", (z,), label, low=0.0, high=NO_CLIP[1])
        return self._emit(activation, (z,), label)

    def _join(self, op: str, a: str, b: str, label: str) -> str:
        return self._emit(op, (a, b), label, clip=NO_CLIP)

    def _constant(self, label: str, data: Array) -> str:
        if label not in self._known:
            self._known[label] = self.builder.constant(label, data)
        return self._known[label]

    def _emit(self, op: str, inputs: tuple[str, ...], label: str, **attrs: Any) -> str:
        return self.builder.emit(op, f"{self.layer.name}.{label}", inputs, label, **attrs)
