"""Test vectors of a compiled model: calibration rows, seeded random data, and extremes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, fed, state_ports
from mcuq.model.bundle import Bundle
from mcuq.program.plan import align
from mcuq.qir import QGraph, QTensor
from mcuq.sequences import state_bytes_of

DEFAULT = 20
_EXTREMES = 4


def make(bundle: Bundle, count: int, seed: int = 0) -> dict[str, Array]:
    """``count`` rows by input name, integers in internal order; the same for the same arguments.

    First four extremes (all lowest, all highest, and the two alternations of these), then
    calibration rows for half of the rest, then uniformly random ones.
    """
    chance = np.random.default_rng(seed)
    rows = {}
    for port in bundle.qgraph.inputs:
        tensor = bundle.qgraph.tensors[port.tensor]
        rows[port.name] = _rows(tensor, bundle.vectors[port.name], count, chance)
    return rows


def _rows(tensor: QTensor, stored: Array, count: int, chance: np.random.Generator) -> Array:
    low, high = RANGES[tensor.kind]
    dtype, shape = DTYPES[tensor.kind], tensor.shape[1:]
    alternating = np.indices(shape).sum(axis=0) % 2
    extremes = [np.full(shape, low), np.full(shape, high)]
    extremes += [np.where(alternating, low, high), np.where(alternating, high, low)]
    real = stored[: max(0, count - _EXTREMES + 1) // 2]
    random = chance.integers(low, high + 1, (count, *shape))
    return np.concatenate([np.stack(extremes), real, random]).astype(dtype)[:count]


def to_bytes(bundle: Bundle, rows: Mapping[str, Array]) -> list[bytes]:
    """Per row the bytes of all inputs but states, one after the other, little-endian."""
    parts = [np.ascontiguousarray(rows[port.name]) for port in fed(bundle.qgraph)]
    little = [part.astype(part.dtype.newbyteorder("<")) for part in parts]
    return [b"".join(part[i].tobytes() for part in little) for i in range(len(little[0]))]


def typical(bundle: Bundle) -> bytes:
    """The bytes of the first calibration row: what is counted and measured.

    Of a stream the state of a late step stands before it.
    """
    if bundle.qgraph.stream is None:
        return to_bytes(bundle, {name: rows[:1] for name, rows in bundle.vectors.items()})[0]
    return stepwise(bundle)[-1]


def stepwise(bundle: Bundle, most: int = 8) -> list[bytes]:
    """Of a stream the last ``most`` calibration rows, each behind the bytes of its state."""
    rows = to_bytes(bundle, bundle.vectors)
    count = len(rows)
    states = (
        {read.name: bundle.vectors[read.name][i] for _, read, _ in state_ports(bundle.qgraph)}
        for i in range(max(0, count - most), count)
    )
    return [
        state_block(bundle.qgraph, state) + row
        for state, row in zip(states, rows[-most:], strict=True)
    ]


def state_block(qgraph: QGraph, states: Mapping[str, Array]) -> bytes:
    """The bytes that a stream's caller keeps, for ``states`` by the port that reads each."""
    parts = state_bytes_of(qgraph, states).values()
    return b"".join(part.ljust(align(len(part)), b"\0") for part in parts)
