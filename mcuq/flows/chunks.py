"""Two streams of one network that take different numbers of frames a step: the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

import numpy as np

from mcuq.data.rows import rows_of
from mcuq.ir import Array, Port, fed, from_memory, shown, to_memory
from mcuq.ops.validate import BrokenGraphError
from mcuq.qir import QGraph
from mcuq.reference import run_int
from mcuq.sequences import run_steps, start_of


def compare_chunks(one: QGraph, other: QGraph, sequences: Mapping[str, Array]) -> None:
    """BrokenGraphError where ``other`` gives something else for the frames of ``sequences``.

    ``sequences``: (S, T, ...) steps of ``one`` by input, in internal order.
    """
    again = _regrouped(one, other, sequences)
    pairs = zip(_outputs(one, sequences), _outputs(other, again), strict=True)
    frames = tuple(n.stream.frames if n.stream else 1 for n in (one, other))
    for port, (first, second) in zip(shown(one), pairs, strict=True):
        if not _same(first, second, *frames):
            reason = f"the stream's '{port.name}' hangs on how many frames a step takes"
            raise BrokenGraphError(reason)


def _regrouped(one: QGraph, other: QGraph, sequences: Mapping[str, Array]) -> dict[str, Array]:
    """The same frames as steps of ``other``, as far as they fill such."""
    axis = one.stream.axis if one.stream else None
    assert axis is not None
    found = {}
    for before, after in zip(fed(one), fed(other), strict=True):
        joined = _joined(_user(before, sequences[before.name]), axis + 1)
        count = joined.shape[axis] // after.shape[axis]
        kept = np.take(joined, range(count * after.shape[axis]), axis)
        steps = np.stack(np.split(kept, count, axis), axis=1)
        shape = other.tensors[after.tensor].shape
        rows = to_memory(after, shape, steps.reshape(-1, *after.shape[1:]))
        found[after.name] = rows.reshape(*steps.shape[:2], *rows.shape[1:])
    return found


def _user(port: Port, values: Array) -> Array:
    """(S, T, ...) in internal order -> in the user's."""
    rows = from_memory(port, values.reshape(-1, *values.shape[2:]))
    return rows.reshape(*values.shape[:2], *rows.shape[1:])


def _joined(values: Array, axis: int) -> Array:
    """(S, T, ...) -> (S, ...): the rows of all steps one behind the other on ``axis`` - 1."""
    return np.concatenate([values[:, t] for t in range(values.shape[1])], axis - 1)


def _outputs(network: QGraph, sequences: Mapping[str, Array]) -> list[Array]:
    """(S, T, ...) of each output, in the user's order."""
    start = start_of(network, rows_of(sequences))
    run = run_steps(network, lambda s: run_int(network, s), start, sequences)
    return [_user(p, np.stack([step[p.tensor] for step in run], 1)) for p in shown(network)]


def _same(one: Array, other: Array, frames: int, others: int) -> bool:
    """Outputs (S, T, ...) whose steps take so many frames: rows of time, or one of each step."""
    rows = [i for i in range(2, one.ndim) if one.shape[i] != other.shape[i]]
    if rows:
        joined = [_joined(values, rows[0]) for values in (one, other)]
        count = min(values.shape[rows[0] - 1] for values in joined)
        first, second = (np.take(values, range(count), rows[0] - 1) for values in joined)
        return bool((first == second).all())
    every = frames * others // gcd(frames, others)
    first, second = (
        v[:, every // n - 1 :: every // n] for v, n in ((one, frames), (other, others))
    )
    count = min(first.shape[1], second.shape[1])
    return bool((first[:, :count] == second[:, :count]).all())
