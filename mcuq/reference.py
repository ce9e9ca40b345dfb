"""Runs a network in Python: a Graph in float (torch), a QGraph in integers (numpy, exact).

Feeds are keyed by port name and lie in internal memory order, ``(N, *tensor.shape[1:])`` for any
N. Rows are run in chunks, and a tensor is freed after its last reader, so memory stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from mcuq.errors import DataError
from mcuq.fixed import DTYPES, RANGES, round_half_up, saturate
from mcuq.ir import Array, Graph, Node, Port
from mcuq.ops import float_of, spec
from mcuq.ops.spec import RunFloat, TorchTensor
from mcuq.qir import QGraph

CHUNK_ELEMENTS = 1 << 20
"""Rows per chunk are chosen so that the largest activation of a chunk has about this size."""

RAW = {"u8": np.uint8, "s16": np.int16}
"""What a sensor gives, by the kind of a port of a float graph."""

Value = TypeVar("Value")


def run_float(
    graph: Graph, feeds: Mapping[str, Array], wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Every activation (or only the ``wanted`` ones) by tensor name, float32.

    Fast; the last bits depend on the processor. Where decisions hang on them: ``run_exact``.
    """
    return _run_torch(graph, feeds, wanted, float_of)


def run_exact(
    graph: Graph, feeds: Mapping[str, Array], wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """As ``run_float``, with the same bits on every processor and number of threads.

    Sums are exact (``ops/exact.py``), and every value is rounded to float32. Of sigmoid and its
    like float64 may differ in the last of 53 bits, which 24 hide but for ties.
    """
    return _run_torch(graph, feeds, wanted, exact_of)


def exact_of(node: Node) -> RunFloat:
    """What computes ``node`` in float64, rounded to what float32 holds; also takes float32."""
    run = float_of(node)

    def exact(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        result = run(node, [value.double() for value in inputs])
        return result.float() if result.is_floating_point() else result

    return exact


def _run_torch(
    graph: Graph,
    feeds: Mapping[str, Array],
    wanted: Collection[str] | None,
    form: Callable[[Node], RunFloat],
) -> dict[str, Array]:
    import torch

    constants = float_constants(graph)

    def step(node: Node, values: Mapping[str, Any]) -> Any:
        inputs = [constants[n] if n in constants else values[n] for n in node.inputs]
        return form(node)(node, inputs)

    def rows(part: Mapping[str, Array]) -> dict[str, Array]:
        start = {n: torch.from_numpy(np.array(v, np.float32)) for n, v in part.items()}
        with torch.no_grad():
            done = walk(graph.nodes, start, step, _wanted(graph, wanted))
        return {n: v.numpy() for n, v in done.items()}

    return _in_chunks(graph, feeds, rows)


def float_constants(graph: Graph) -> dict[str, TorchTensor]:
    """The constants by name, float32, as copies."""
    import torch

    known = {name: t.data for name, t in graph.tensors.items() if t.data is not None}
    return {name: torch.from_numpy(np.array(data, np.float32)) for name, data in known.items()}


def run_int(
    qgraph: QGraph, feeds: Mapping[str, Array], wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Every activation (or only the ``wanted`` ones) by tensor name, integers of its kind."""

    def step(node: Node, values: Mapping[str, Array]) -> Array:
        run = spec(node.op).run_int
        if run is None:
            raise ValueError(f"{node.op} has no integer form")
        inputs = [qgraph.data(n) if qgraph.is_constant(n) else values[n] for n in node.inputs]
        return run(node, qgraph, inputs)

    def rows(part: Mapping[str, Array]) -> dict[str, Array]:
        start = {n: v.astype(DTYPES[qgraph.tensors[n].kind]) for n, v in part.items()}
        return walk(qgraph.nodes, start, step, _wanted(qgraph, wanted))

    return _in_chunks(qgraph, feeds, rows)


def walk(
    nodes: Sequence[Node],
    start: Mapping[str, Value],
    step: Callable[[Node, Mapping[str, Value]], Value],
    wanted: Collection[str],
) -> dict[str, Value]:
    """Run ``step`` over ``nodes`` in order; returns the ``wanted`` values, frees the others."""
    last = {name: index for index, node in enumerate(nodes) for name in node.inputs}
    values = dict(start)
    for index, node in enumerate(nodes):
        values[node.output] = step(node, values)
        for name in {*node.inputs, node.output}:
            if last.get(name, -1) <= index and name not in wanted:
                values.pop(name, None)
    return {n: v for n, v in values.items() if n in wanted}


def outputs_of(network: Graph | QGraph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by port name: floats for a Graph, integers for a QGraph."""
    names = {port.tensor for port in network.outputs}
    if isinstance(network, Graph):
        values = run_float(network, feeds, names)
    else:
        values = run_int(network, feeds, names)
    return {port.name: values[port.tensor] for port in network.outputs}


def port_to_int(port: Port, reals: Array) -> Array:
    """The integers of ``port`` for the user's reals: ``round(x / scale + offset)``, internal order.

    A uint8 array at a u8 port is raw bytes already, an int16 one at an s16 port samples: they pass
    unchanged. Reals beyond the range saturate.
    """
    if port.kind in RAW and reals.dtype == RAW[port.kind]:  # None would mean float64
        return reals
    scale, offset = _affine(port)
    low, high = RANGES[port.kind]
    steps = np.clip(np.asarray(reals, np.float64) / scale + offset, low, high)
    return saturate(round_half_up(steps), port.kind)


def port_to_real(port: Port, integers: Array) -> Array:
    """The user's reals for the integers of ``port``: ``(q - offset) * scale``, float64."""
    scale, offset = _affine(port)
    return (integers.astype(np.float64) - offset) * scale


def feeds_to_int(qgraph: QGraph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The integers of every input port, from reals (or raw bytes at a u8 port)."""
    return {port.name: port_to_int(port, feeds[port.name]) for port in qgraph.inputs}


def feeds_to_float(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the float graph reads: byte values or samples at their ports, else reals; float32."""
    return {
        port.name: (
            port_to_int(port, feeds[port.name]) if port.kind in RAW else feeds[port.name]
        ).astype(np.float32)
        for port in graph.inputs
    }


def _affine(port: Port) -> tuple[Array, Array]:
    scale = port.scale if port.scale else (1.0,)
    offset = port.offset if port.offset else (0.0,)
    return np.array(scale, np.float64), np.array(offset, np.float64)


def _wanted(network: Graph | QGraph, wanted: Collection[str] | None) -> frozenset[str]:
    if wanted is not None:
        return frozenset(wanted)
    inputs = (port.tensor for port in network.inputs)
    return frozenset((*inputs, *(node.output for node in network.nodes)))


def _in_chunks(
    network: Graph | QGraph,
    feeds: Mapping[str, Array],
    run: Callable[[Mapping[str, Array]], dict[str, Array]],
) -> dict[str, Array]:
    parts = [run(part) for part in _chunks(network, feeds)]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunks(network: Graph | QGraph, feeds: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """The feeds by tensor name, a few rows at a time."""
    missing = [port.name for port in network.inputs if port.name not in feeds]
    if missing:
        raise DataError(network.name, f"no data for input '{missing[0]}'", "Give every input")
    rows = len(feeds[network.inputs[0].name]) if network.inputs else 1
    size = chunk_rows(network)
    for first in range(0, max(rows, 1), size):
        yield {port.tensor: feeds[port.name][first : first + size] for port in network.inputs}


def chunk_rows(network: Graph | QGraph) -> int:
    """How many rows to run at once."""
    sizes = (int(np.prod(t.shape)) for t in network.tensors.values() if t.data is None)
    return max(1, min(256, CHUNK_ELEMENTS // max(sizes, default=1)))
