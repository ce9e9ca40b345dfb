"""What a check puts a stream through, and what must come out of it.

One stream runs over at least two receptive fields, a second one in turns with it on another state.
In the middle the first is saved; when both are done the second goes on from there and must repeat
what the first has done; at last the first is begun anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.emulate import qemu
from mcuq.ir import Array, fed, state_ports
from mcuq.model import vectors
from mcuq.model.bundle import Bundle
from mcuq.qir import QGraph
from mcuq.reference import run_int
from mcuq.sequences import start_of

MOST_STEPS = 400
AGAIN = 4
"""So many steps are run once more after the last reset."""


@dataclass(frozen=True)
class Move:
    """A step: for which of two states, with which row of the inputs, and what is done first."""

    slot: int
    row: int
    restore: bool = False
    reset: bool = False
    save: bool = False


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """``data``: what a test image reads, one entry a move; ``values``: (moves, ...) by tensor.

    ``blocks``: the bytes of the state after each.
    """

    data: Sequence[bytes]
    values: Mapping[str, Array]
    blocks: Sequence[bytes]


def rehearse(bundle: Bundle, qgraph: QGraph, count: int, seed: int) -> Rehearsal:
    """At least ``count`` steps of ``qgraph``, which is that of ``bundle`` as it was lowered."""
    stream = qgraph.stream
    steps = min(max(count, 2 * (stream.field if stream else 1) + 2), MOST_STEPS)
    rows = vectors.make(bundle, 2 * steps, seed)
    moves = _moves(steps)
    values, blocks = _expected(qgraph, rows, moves)
    lines = vectors.to_bytes(bundle, rows)
    data = [
        qemu.command(m.slot, restore=m.restore, reset=m.reset, save=m.save) + lines[m.row]
        for m in moves
    ]
    return Rehearsal(data, values, blocks)


def _moves(steps: int) -> list[Move]:
    """Two streams in turns, the second half of the first again, and its beginning again."""
    moves, half = [], steps // 2
    for i in range(steps):
        moves.append(Move(0, 2 * i, reset=i == 0, save=i == half))
        moves.append(Move(1, 2 * i + 1, reset=i == 0))
    moves += [Move(1, 2 * i, restore=i == half) for i in range(half, steps)]
    return moves + [Move(0, 2 * i, reset=i == 0) for i in range(min(AGAIN, steps))]


def _expected(
    qgraph: QGraph, rows: Mapping[str, Array], moves: Sequence[Move]
) -> tuple[dict[str, Array], list[bytes]]:
    found, states = zip(*_walk(qgraph, rows, moves), strict=True)
    blocks = [vectors.state_block(qgraph, after) for after in states]
    return {n: np.concatenate([v[n] for v in found]) for n in found[0]}, blocks


def _walk(
    qgraph: QGraph, rows: Mapping[str, Array], moves: Sequence[Move]
) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
    """The values of each move, and the states after it."""
    slots = [start_of(qgraph, 1), start_of(qgraph, 1)]
    saved = slots[0]
    for move in moves:
        if move.restore:
            slots[move.slot] = saved
        if move.reset:
            slots[move.slot] = start_of(qgraph, 1)
        if move.save:
            saved = slots[move.slot]
        step = {port.name: rows[port.name][move.row : move.row + 1] for port in fed(qgraph)}
        values = run_int(qgraph, {**step, **slots[move.slot]})
        slots[move.slot] = {r.name: values[w.tensor] for _, r, w in state_ports(qgraph)}
        yield values, slots[move.slot]
