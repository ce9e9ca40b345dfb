"""A quantized window network made a stream: its networks, vectors, and how near it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcuq.data.rows import rows_of
from mcuq.errors import ModelError
from mcuq.flows.chunks import compare_chunks
from mcuq.ir import Array, Graph, fed, from_memory, shown, state_ports, to_memory
from mcuq.measure.evaluate import classes, sqnr
from mcuq.ops.validate import BrokenGraphError
from mcuq.passes import pipeline
from mcuq.qir import QGraph
from mcuq.reference import feeds_to_float, outputs_of, port_to_real, run_int
from mcuq.sequences import run_real, run_steps, start_of
from mcuq.stream import decide
from mcuq.stream.convert import Streamed, Wish, carried, stream_of
from mcuq.stream.decide import Decision

WINDOWS = 32
"""So many windows are run by both networks."""

STEPS = 32
"""So many steps are kept as vectors."""

ALIKE, SAME_DB = 4, 80.0
"""So many windows are run by both networks in float, which differ by the last bits alone, and by
streams of other steps.
"""


@dataclass(frozen=True, eq=False)
class Converted:
    """``graph`` and ``rounded``: the float twins. ``advice``: what the outputs equal."""

    qgraph: QGraph
    graph: Graph
    rounded: Graph
    vectors: Mapping[str, Array]
    advice: str


def converted(
    qgraph: QGraph, graph: Graph, rounded: Graph, windows: Mapping[str, Array], wish: Wish
) -> Converted:
    """The stream of ``qgraph``; ``windows``: integers by input, in internal order.

    Where it should equal the window network, it is seen to.
    """
    if qgraph.stream is not None:
        raise ModelError(graph.name, "is a stream already", "Leave --stream out")
    twins = (rounded, graph) if rounded is not graph else (graph,)
    made = stream_of(qgraph, twins, wish)
    first = {name: rows[:WINDOWS] for name, rows in windows.items()}
    sequences = _cut(qgraph, made.qgraph, made.axis, first)
    advice = f"{wish.frames} frame(s) a step, {made.equals}"
    if made.same or " bit for bit" in made.equals:
        advice += _compared(qgraph, graph, made, windows, sequences)
    advice += _chunked(qgraph, twins[-1], made, sequences, wish)
    return Converted(
        made.qgraph, made.graphs[-1], made.graphs[0], _vectors(made.qgraph, sequences), advice
    )


def _chunked(
    qgraph: QGraph, graph: Graph, made: Streamed, sequences: Mapping[str, Array], wish: Wish
) -> str:
    """In words, of how many frames a step the stream gives the same bits as well; that is seen to.

    Twice as many, or half of them; nothing is said where the network allows neither.
    """
    few = {name: rows[:ALIKE] for name, rows in sequences.items()}
    for frames in filter(None, (2 * wish.frames, wish.frames // 2)):
        try:
            other = stream_of(qgraph, (graph,), replace(wish, frames=frames, axis=made.axis))
        except ModelError:
            continue
        compare_chunks(made.qgraph, other.qgraph, few)
        return f"; the same bits with frames={frames}"
    return ""


def carried_on(graph: Graph, windows: Mapping[str, Array], wish: Wish) -> Graph | None:
    """The stream of a float window network with recurrent layers; None if it has none.

    ``windows``: rows by input, in internal order, if there are any. Where a window's steps from a
    reset on should give what the window network gives, it is seen to.
    """
    made = carried(graph, wish)
    if made is None:
        return None
    note = f"{wish.frames} frame(s) a step, {made.equals}"
    stream = pipeline.run(replace(made.graph, notes=(*graph.notes, note)))
    if made.whole and windows:
        _same_as_window(graph, stream, {n: v[:ALIKE] for n, v in windows.items()})
    return stream


def _same_as_window(graph: Graph, stream: Graph, windows: Mapping[str, Array]) -> None:
    axis = stream.stream.axis if stream.stream else None
    assert axis is not None
    sequences = _cut(graph, stream, axis, windows)
    names = {port.tensor for port in shown(stream)}
    ran = run_real(stream, sequences, names)
    wanted = outputs_of(graph, feeds_to_float(graph, windows))
    for before, after in zip(graph.outputs, shown(stream), strict=True):
        steps = ran[after.tensor].reshape(len(wanted[before.name]), -1, *after.shape[1:])
        last, whole = steps[:, -1], from_memory(before, wanted[before.name])
        if last.shape == whole.shape and sqnr(whole, last) < SAME_DB:
            raise BrokenGraphError(f"the stream's '{after.name}' is not the window network's")


def _cut(
    window: Graph | QGraph, stream: Graph | QGraph, axis: int, windows: Mapping[str, Array]
) -> dict[str, Array]:
    """(S, T, ...) steps of each window; the first frame is repeated in front to fill a step.

    ``axis``: where frames lie in the user's input.
    """
    found = {}
    for before, after in zip(window.inputs, fed(stream), strict=True):
        values = from_memory(before, windows[before.name])
        frames, total = after.shape[axis], before.shape[axis]
        count = -(-total // frames)
        kept = np.take(values, np.arange(total - count * frames, total).clip(0), axis)
        steps = np.stack(np.split(kept, count, axis), axis=1)
        shape = stream.tensors[after.tensor].shape
        rows = to_memory(after, shape, steps.reshape(-1, *after.shape[1:]))
        found[after.name] = rows.reshape(*steps.shape[:2], *rows.shape[1:])
    return found


def decided(made: Converted, wanted: Mapping[str, Decision]) -> Converted:
    """``made`` with decisions behind its outputs; its vectors become the steps of one stream."""
    starts = decide.starts_of(made.qgraph, wanted)
    qgraph = decide.decided(made.qgraph, wanted, starts)
    graph = decide.decided(made.graph, wanted, starts)
    same = made.rounded is made.graph
    rounded = graph if same else decide.decided(made.rounded, wanted, starts)
    sequences = {port.name: made.vectors[port.name][None] for port in fed(qgraph)}
    return Converted(qgraph, graph, rounded, _vectors(qgraph, sequences), made.advice)


def _vectors(qgraph: QGraph, sequences: Mapping[str, Array]) -> dict[str, Array]:
    """The first steps of all windows as one sequence, and the states that they meet."""
    rows = {
        name: values.reshape(1, -1, *values.shape[2:])[:, :STEPS]
        for name, values in sequences.items()
    }
    steps = run_steps(qgraph, lambda step: run_int(qgraph, step), start_of(qgraph, 1), rows)
    states = {
        read.name: np.concatenate([step[read.tensor] for step in steps])
        for _, read, _ in state_ports(qgraph)
    }
    return {**{name: values[0] for name, values in rows.items()}, **states}


def _compared(
    qgraph: QGraph,
    graph: Graph,
    made: Streamed,
    windows: Mapping[str, Array],
    sequences: Mapping[str, Array],
) -> str:
    """How the last step of every window and the window network agree, in words."""
    rows = {name: values[:WINDOWS] for name, values in windows.items()}
    wanted = run_int(qgraph, rows, {port.tensor for port in qgraph.outputs})
    stream, count = made.qgraph, rows_of(sequences)
    steps = run_steps(stream, lambda s: run_int(stream, s), start_of(stream, count), sequences)
    texts = []
    for before, after in zip(qgraph.outputs, shown(stream), strict=True):
        found, whole = steps[-1][after.tensor], wanted[before.tensor]
        if found.shape != whole.shape:
            continue
        if not made.same and not np.array_equal(found, whole):
            raise BrokenGraphError(f"the stream's '{after.name}' is not the window network's")
        if made.same:
            reals = port_to_real(before, whole), port_to_real(after, found)
            names = [classes(graph, graph.outputs[0].tensor, real) for real in reals]
            texts.append(f"{sqnr(*reals):.1f} dB")
            if names[0] is not None and names[1] is not None:
                texts.append(f"the same class in {100 * np.mean(names[0] == names[1]):.1f} %")
    measured = f"; against the window network on {count} windows: {', '.join(texts)}"
    return measured if texts else ""
