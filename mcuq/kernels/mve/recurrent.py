"""lstm and gru with Helium (MVE): 16 inputs of 8 rows, or 16 units of 4, share their loads."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import NEEDS, round_up
from mcuq.kernels.plain import recurrent as plain
from mcuq.kernels.plain.recurrent_rows import Section, sections
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_PARAMS = "mcuq_recurrent_mve_params"


def _blocks(weights: Array, rows: int) -> Array:
    """(R, n) -> [block of rows][step][row][16]."""
    if not weights.size:
        return np.zeros(0, np.int8)
    blocks = weights.astype(np.int8).reshape(-1, rows, weights.shape[1] // 16, 16)
    return blocks.transpose(0, 2, 1, 3).ravel()


def _arrays(parts: list[Section]) -> tuple[ConstArray, ...]:
    bias = np.concatenate([part.bias + 128 * part.state.sum(axis=1) for part in parts])
    left, right = (np.concatenate([getattr(p, name) for p in parts]) for name in ("left", "right"))
    weights = np.concatenate([_blocks(part.input, 8) for part in parts])
    recurrence = np.concatenate([_blocks(part.state, 4) for part in parts])
    wrapped = (bias & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return (
        ConstArray("weights", "int8_t", weights, "[block][step][8][16]"),
        ConstArray("recurrence", "int8_t", recurrence, "[block][step][4][16]"),
        ConstArray("bias", "int32_t", wrapped),
        ConstArray("left", "int8_t", left.astype(np.int8)),
        ConstArray("minus_right", "int8_t", (-right).astype(np.int8)),
    )


def _lower(symbol: str, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    _, in_len, hidden = plain.sizes(node, qgraph)
    parts = [part.filled(8, 16, 16) for part in sections(node, qgraph)]
    made = plain.constants(node, qgraph)
    own = _arrays(parts)
    rest = tuple(made[name] for name in made if name not in ("bias", "left", "right"))
    pointers = [field for field in plain.pointers(node, made) if field.name in made]
    fields = (
        *(Field(array.suffix, array.suffix) for array in own),
        *(field for field in pointers if field.name not in ("bias", "left", "right")),
        *plain.numbers(node, qgraph),
    )
    rows = sum(len(part.bias) for part in parts)
    scratch = 768 + round_up(in_len, 16) + 6 * round_up(hidden, 16) + 2 * rows + 16
    return (Call(symbol, _PARAMS, fields, node.inputs[:1], node.output, (*own, *rest), scratch),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per block of rows, per row and per unit."""
    steps, in_len, hidden = plain.sizes(node, qgraph)
    x_steps, h_steps = round_up(in_len, 16) // 16, round_up(hidden, 16) // 16
    total = 0.0
    for part in sections(node, qgraph):
        rows = round_up(len(part.bias), 8)
        of_x = rows / 8 * (6 + 17.5 * x_steps) if part.input.size else 0.0
        of_h = rows / 4 * (6 + 14.5 * h_steps) if part.state.size else 0.0
        total += of_x + of_h + 4.5 * rows + 60
    return steps * (total + 14.0 * hidden + 100)


def _variant(op: str) -> Variant:
    symbol = f"mcuq_{op}_s8_mve"

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return _lower(symbol, node, qgraph)

    return Variant(op, symbol, lowered, _cost, needs=NEEDS)


VARIANTS = tuple(_variant(op) for op in ("lstm", "gru"))
