"""The plain variants of lstm, gru and rnn: any shape on any core."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.fixed import half
from mcuq.ir import Array, Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import S8, S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_PARAMS = "mcuq_recurrent_params"
_CURVES = ("sigmoid", "tanh")
_BUFFERS = {"lstm": 6, "gru": 6, "rnn": 4}
"""Bytes of scratch for each unit."""


def sizes(node: Node, qgraph: QGraph) -> tuple[int, int, int]:
    """Steps, inputs and units."""
    shape = qgraph.tensor(node.inputs[0]).shape
    return prod(shape[1:-1]), shape[-1], qgraph.tensor(node.inputs[2]).shape[1]


def constants(node: Node, qgraph: QGraph) -> dict[str, ConstArray]:
    """Biases, shifts, what the state starts as, and the curves; the curves are there once."""
    bias = qgraph.data(node.inputs[3])
    starts = 2 if node.op == "lstm" else 1
    start = np.concatenate([qgraph.data(name) for name in node.inputs[4 : 4 + starts]])
    made = [
        ConstArray("bias", "int32_t", bias),
        ConstArray("left", "int8_t", np.array(node.ints("left"), np.int8)),
        ConstArray("right", "int8_t", np.array(node.ints("right"), np.int8)),
        ConstArray("start", "int16_t", start, "the state at the start"),
    ]
    if node.attrs.get("activation") != "relu":
        made += [curve(name, qgraph.data(name)) for name in node.inputs[4 + starts :]]
    return {array.suffix: array for array in made}


def curve(name: str, data: Array) -> ConstArray:
    """The table of a curve, which all steps share."""
    suffix = name.rsplit(".", 1)[-1]
    comment = f"{suffix} with frac 15 at -8, -8 + 1/32, ..., 8"
    return ConstArray(suffix, "int16_t", data, comment, shared=True)


def pointers(node: Node, arrays: dict[str, ConstArray]) -> tuple[Field, ...]:
    """The members of the struct that are addresses; those of no use are 0."""
    found = dict.fromkeys(("sigmoid", "tanh"), "")
    if node.op == "rnn":  # has one curve or none
        found["tanh"] = next((name for name in _CURVES if name in arrays), "")
    else:
        found.update((name, name) for name in _CURVES)
    names = ("weights", "recurrence", "bias", "left", "right", "start")
    return (
        *(Field(name, name) for name in names),
        *(Field(name, value or 0) for name, value in found.items()),
    )


def numbers(node: Node, qgraph: QGraph) -> tuple[Field, ...]:
    """The members of the struct that are numbers, in their order."""
    steps, in_len, hidden = sizes(node, qgraph)
    back, whole = bool(node.attrs["reverse"]), node.attrs["gives"] == "all"
    sign, out = (-1 if back else 1), (hidden if whole else 0)
    shift = node.int("out_shift")
    made = {
        "steps": steps,
        "in_len": in_len,
        "hidden": hidden,
        "in_first": (steps - 1) * in_len if back else 0,
        "in_step": sign * in_len,
        "out_first": (steps - 1) * out if back else 0,
        "out_step": sign * out,
        "z_min": node.int("z_min"),
        "z_max": node.int("z_max"),
        "out_shift": shift,
        "out_bias": half(shift) + (node.int("out_zero") << shift),
        "cell_frac": int(node.attrs.get("cell_frac", 0)),
        "state_frac": node.int("state_frac"),
        "candidate_shift": 3 + int(node.attrs.get("candidate_frac", 0)),
        "variant": int(node.attrs["gives"] == "cell" or bool(node.attrs.get("after"))),
    }
    return tuple(Field(name, value) for name, value in made.items())


def lower(symbol: str, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """The call of the plain kernel ``symbol``."""
    weights, recurrence = (qgraph.data(name) for name in node.inputs[1:3])
    arrays = {
        "weights": ConstArray("weights", "int8_t", weights),
        "recurrence": ConstArray("recurrence", "int8_t", recurrence),
        **constants(node, qgraph),
    }
    fields = (*pointers(node, arrays), *numbers(node, qgraph))
    scratch = _BUFFERS[node.op] * sizes(node, qgraph)[2]
    x, y = node.inputs[0], node.output
    return (Call(symbol, _PARAMS, fields, (x,), y, tuple(arrays.values()), scratch),)


def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per step and row, per product of the input and of the state, and per unit."""
    steps, in_len, hidden = sizes(node, qgraph)
    rows = qgraph.tensor(node.inputs[1]).shape[0]
    row, by_input, by_state, unit = weighted.pick(
        cpu, (40.0, 6.5, 5.6, 60.0), (60.0, 13.0, 12.0, 90.0), (40.0, 8.0, 7.2, 70.0)
    )
    return steps * (rows * (row + in_len * by_input + hidden * by_state) + unit * hidden)


def _variant(op: str, kind: str) -> Variant:
    symbol = f"mcuq_{op}_{kind}"

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return lower(symbol, node, qgraph)

    return Variant(op, symbol, lowered, cost, kinds=S8 if kind == "s8" else S16)


VARIANTS = tuple(_variant(op, kind) for op in _BUFFERS for kind in ("s8", "s16"))
