"""Runs a stream step by step in Python, in float and in integers.

Sequences are (S, T, ...): S streams of T steps, by the names of the ports that the caller feeds; a
network without states has rows (N, ...). All streams run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from mcuq.errors import DataError
from mcuq.fixed import DTYPES
from mcuq.ir import Array, Graph, Network, fed, state_ports
from mcuq.qir import QGraph
from mcuq.reference import feeds_to_float, feeds_to_int, port_to_int, run_float, run_int

Run = Callable[[Mapping[str, Array]], dict[str, Array]]
"""Rows by port name -> values by tensor name."""


def is_sequence(network: Network, feeds: Mapping[str, Array]) -> bool:
    """Whether ``feeds`` are sequences of a stream: its states are not among them."""
    return any(read.name not in feeds for _, read, _ in state_ports(network))


def run_steps(
    network: Network, run: Run, start: Mapping[str, Array], feeds: Mapping[str, Array]
) -> list[dict[str, Array]]:
    """The values of each step, states first as ``start`` says, (S, ...) by port name.

    ``run`` must return the written states.
    """
    states, found = dict(start), []
    for t in range(steps_of(network, feeds)):
        values = run({**{p.name: feeds[p.name][:, t] for p in fed(network)}, **states})
        found.append({**values, **{r.tensor: states[r.name] for _, r, _ in state_ports(network)}})
        states = {r.name: values[w.tensor] for _, r, w in state_ports(network)}
    return found


def steps_of(network: Network, feeds: Mapping[str, Array]) -> int:
    """T; DataError where inputs have different numbers of steps or of sequences."""
    counts = {port.name: feeds[port.name].shape[:2] for port in fed(network)}
    if len(set(counts.values())) > 1:
        raise DataError("data", f"the inputs have different numbers of steps: {counts}")
    return int(next(iter(counts.values()))[1])


def start_of(network: Network, count: int) -> dict[str, Array]:
    """The states of ``count`` streams after a reset: reals of a Graph, integers of a QGraph."""
    starts = {read: state.start for state, read, _ in state_ports(network)}
    if isinstance(network, QGraph):
        starts = {read: port_to_int(read, start) for read, start in starts.items()}
    return {read.name: np.repeat(start, count, axis=0) for read, start in starts.items()}


def run_real(graph: Graph, feeds: Mapping[str, Array], wanted: Collection[str]) -> dict[str, Array]:
    """The ``wanted`` activations, (S * T, ...) by tensor name, from sequences of reals."""
    given = {**feeds, **_nothing(graph, feeds)}
    return _flat(graph, lambda rows, names: run_float(graph, rows, names), wanted,
                 feeds_to_float(graph, given))  # fmt: skip


def run_integer(
    qgraph: QGraph, feeds: Mapping[str, Array], wanted: Collection[str]
) -> dict[str, Array]:
    """As ``run_real`` in integers; ``feeds`` are reals, or raw bytes at a u8 port."""
    given = {**feeds, **_nothing(qgraph, feeds)}
    return _flat(qgraph, lambda rows, names: run_int(qgraph, rows, names), wanted,
                 feeds_to_int(qgraph, given))  # fmt: skip


def _nothing(network: Network, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Placeholders for the states, which nothing reads."""
    return {r.name: np.zeros(1, np.float32) for _, r, _ in state_ports(network)}


def _flat(
    network: Network,
    run: Callable[[Mapping[str, Array], set[str]], dict[str, Array]],
    wanted: Collection[str],
    feeds: Mapping[str, Array],
) -> dict[str, Array]:
    names = {*wanted, *(written.tensor for _, _, written in state_ports(network))}
    count = len(feeds[fed(network)[0].name])
    steps = run_steps(network, lambda rows: run(rows, names), start_of(network, count), feeds)
    return {name: _rows(np.stack([values[name] for values in steps], axis=1)) for name in wanted}


def _rows(values: Array) -> Array:
    """(S, T, ...) -> (S * T, ...)."""
    return values.reshape(-1, *values.shape[2:])


def unrolled(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Sequences as rows of one step each, (S * T, ...), beside which the float states stand.

    Rows of a network that keeps nothing, and such that have states, are returned as they are.
    """
    if not is_sequence(graph, feeds):
        return dict(feeds)
    tensors = {read.name: read.tensor for _, read, _ in state_ports(graph)}
    found = run_real(graph, feeds, set(tensors.values()))
    rows = {port.name: _rows(feeds[port.name]) for port in fed(graph)}
    return {**rows, **{name: found[tensor] for name, tensor in tensors.items()}}


def settled(network: Network, values: Array, feeds: Mapping[str, Array]) -> Array:
    """Of (S * T, ...) what comes after the warm-up of each sequence; all if that is nothing."""
    stream, steps = network.stream, steps_of(network, feeds)
    first = stream.warmup if stream and stream.warmup < steps else 0
    kept = values.reshape(-1, steps, *values.shape[1:])[:, first:]
    return _rows(kept)


def state_bytes_of(qgraph: QGraph, states: Mapping[str, Array]) -> dict[str, bytes]:
    """The bytes of one stream's states, little-endian, by the port that reads each."""
    found = {}
    for _, read, _ in state_ports(qgraph):
        dtype = np.dtype(DTYPES[qgraph.tensors[read.tensor].kind]).newbyteorder("<")
        found[read.name] = states[read.name].astype(dtype).tobytes()
    return found
