"""Which outputs of a network are its inputs at the next step: a Graph becomes a stream.

Pairs are named by the user, or found where the pattern is plain:

1. a recurrent layer starts at the input and its last state, or cell, is the output;
2. the output is what lies behind the first rows of the input followed by new ones;
3. both are called alike, as a state is: ``state`` and ``new_state``, ``h0`` and ``hn``.

An output of another shape than its input is refused, as is what is no input or output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.errors import McuqError, closest, raise_all
from mcuq.ir import (
    Array,
    Graph,
    Node,
    Port,
    State,
    Stream,
    Tensor,
    fed,
    state_ports,
    to_memory,
    unique_name,
)
from mcuq.ops import spec
from mcuq.ops.movement import copy
from mcuq.passes.rewrite import behind_views

_NONE = -1
_AFTER = 1 << 40
"""Added to the number of an element of an input: what a recurrent layer makes of it."""

_KEPT = re.compile(r"state|cache|hidden|cell|memory|buffer|context|^[hc]$")
_AGES = re.compile(
    r"(^|_)(in|input|out|output|new|next|prev|previous|past|last|present|old|n|0|t|1)(?=_|$)"
)


def pair_states(
    graph: Graph, given: Mapping[str, str], starts: Mapping[str, Array] | None = None
) -> Graph:
    """``graph`` as a stream, if it keeps something from call to call; else as it is.

    ``given``: by the name of an input that of the output, "" for an input that is no state.
    ``starts``: reals (1, ...) at the first step, in the user's own order; else zeros.
    A graph that is a stream stays one, as it is.
    """
    if graph.stream is not None and not given:
        return graph
    _check(graph, given)
    named = {read: written for read, written in given.items() if written}
    found = {r: w for r, w in _plain(graph) if r not in given and w not in named.values()}
    pairs = {**named, **found}
    if not pairs:
        return graph
    states, notes = [], []
    for port in graph.inputs:
        if port.name not in pairs:
            continue
        graph = _laid_out(graph, port, pairs[port.name])
        start = (starts or {}).get(port.name, np.zeros(port.shape))
        shape = graph.shape(port.tensor)
        first = to_memory(port, shape, np.asarray(start, np.float32).reshape(port.shape))
        states.append(State(port.name, pairs[port.name], first))
        if port.name in found:
            notes.append(
                f"input '{port.name}' is output '{pairs[port.name]}' of the step before: the state "
                f'holds it ([state] {port.name} = "" in --config leaves it to the caller)'
            )
    stream = Stream(tuple(states), field=_field(graph, states))
    graph = replace(graph, stream=stream, notes=(*graph.notes, *notes))
    if not fed(graph):
        remedy = "A stream needs an input that the caller brings"
        raise McuqError(graph.name, "every input is a state", remedy)
    return graph


def growing(graph: Graph) -> tuple[str, ...]:
    """A sentence for each state that is itself plus something that does not hang on it."""
    found = []
    for _, read, written in state_ports(graph):
        node = graph.producer(behind_views(graph, written.tensor))
        operands = [] if node is None or node.op != "add" else list(node.inputs)
        own = [name for name in operands if behind_views(graph, name) == read.tensor]
        others = [name for name in operands if name not in own]
        if own and not any(_hangs_on(graph, name, read.tensor) for name in others):
            found.append(
                f"state '{read.name}' is itself plus more at every step: what grows without end "
                "stays at the largest value that calibration found room for"
            )
    return tuple(found)


def _hangs_on(graph: Graph, name: str, other: str) -> bool:
    """Whether ``other`` goes into ``name``."""
    pending, seen = [name], set()
    while pending:
        each = pending.pop()
        node = graph.producer(each)
        if each == other:
            return True
        if node is not None and each not in seen:
            pending += node.inputs
        seen.add(each)
    return False


def _check(graph: Graph, given: Mapping[str, str]) -> None:
    """Refuse names that are not there, and ports of different shapes."""
    inputs = {port.name: port for port in graph.inputs}
    outputs = {port.name: port for port in graph.outputs}
    faults = []
    for read, written in given.items():
        thing = f"{graph.name}: state '{read}'"
        if read not in inputs:
            faults.append(McuqError(thing, "is no input", closest(read, inputs)))
        elif written and written not in outputs:
            reason = f"'{written}' is no output"
            faults.append(McuqError(thing, reason, closest(written, outputs)))
        elif written and inputs[read].shape != outputs[written].shape:
            shapes = inputs[read].shape, outputs[written].shape
            reason = f"its shape {shapes[0]} is not that of output '{written}', {shapes[1]}"
            faults.append(McuqError(thing, reason, "Pair an output of the same shape"))
        elif list(given.values()).count(written) > 1 and written:
            faults.append(McuqError(thing, f"output '{written}' is another state as well"))
    raise_all(faults)


def _plain(graph: Graph) -> Iterator[tuple[str, str]]:
    """(input, output) where the pattern is plain; each port once."""
    labels = _labels(graph)
    taken: set[str] = set()
    for port in graph.inputs:
        suited = [
            o for o in graph.outputs if o.shape == port.shape and o.name not in taken
            and o.kind == "s8"
        ]  # fmt: skip
        known = [o for o in suited if _follows(labels, port, o)]
        called = [o for o in suited if _called_alike(port.name, o.name)]
        chosen = known or (called if len(called) == 1 else [])
        if chosen:
            taken.add(chosen[0].name)
            yield port.name, chosen[0].name


def _called_alike(read: str, written: str) -> bool:
    stem = _stem(read)
    return bool(_KEPT.search(stem)) and read != written and stem == _stem(written)


def _stem(name: str) -> str:
    """A name without what says whether it comes before or after.

    >>> _stem("stateN"), _stem("h0"), _stem("new_conv_cache"), _stem("cell.out")
    ('state', 'h', 'conv_cache', 'cell')
    """
    word = re.sub(r"(?<=[a-z])(N|Out|In|New|Next|Prev)$", r"_\1", name)
    word = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
    word = re.sub(r"^([hc])(n|0|t|1)$", r"\1", re.sub(r"^([hc])_(n|0|t|1)$", r"\1", word))
    return re.sub(r"_+", "_", _AGES.sub("", word)).strip("_")


def _labels(graph: Graph) -> dict[str, Array]:
    """By tensor: which element of an input each element is, moved or made by a recurrent layer."""
    found: dict[str, Array] = {}
    first = 0
    for port in graph.inputs:
        size = prod(port.shape)
        numbers = np.arange(first, first + size)
        found[port.tensor] = to_memory(port, graph.shape(port.tensor), numbers[None])
        first += size
    before = {after: start for start, after in graph.successors.items()}
    for node in graph.nodes:
        found[node.output] = _moved(graph, node, found)
        start = found.get(before.get(node.output, ""))
        if start is not None:
            found[node.output] = (start + _AFTER * (start >= 0)).reshape(found[node.output].shape)
    return found


def _moved(graph: Graph, node: Node, labels: Mapping[str, Array]) -> Array:
    operator = spec(node.op)
    shapes = [graph.shape(name) for name in node.inputs]
    inputs = [
        labels.get(n, np.full(shape, _NONE)) for n, shape in zip(node.inputs, shapes, strict=True)
    ]
    if node.op == "copy":
        return inputs[0].reshape(-1)[copy.sources(node)].reshape(graph.shape(node.output))
    if operator.moved is not None:
        return operator.moved(node, inputs, _NONE)
    return np.full(graph.shape(node.output), _NONE)


def _follows(labels: Mapping[str, Array], read: Port, written: Port) -> bool:
    """Whether the output holds the input one step further."""
    size = prod(read.shape)
    before, after = (_own(port, labels[port.tensor]) for port in (read, written))
    first = int(before.min())
    if np.array_equal(after, before + _AFTER):
        return True
    old = (after >= first) & (after < first + size)
    for axis, rows in enumerate(read.shape):
        for count in range(1, rows):
            head, tail = (slice(0, rows - count), slice(rows - count, rows))
            kept = np.take(after, range(*head.indices(rows)), axis)
            if np.array_equal(kept, np.take(before, range(count, rows), axis)):
                return not np.take(old, range(*tail.indices(rows)), axis).any()
    return False


def _own(port: Port, values: Array) -> Array:
    """In the user's own order and shape."""
    return values.reshape(-1)[port.places].reshape(port.shape)


def _laid_out(graph: Graph, read: Port, name: str) -> Graph:
    """``graph`` whose output ``name`` lies in memory as ``read`` does."""
    written = next(port for port in graph.outputs if port.name == name)
    shape, size = graph.shape(read.tensor), prod(read.shape)
    places = [port.places for port in (read, written)]
    source = np.empty(size, np.int64)
    source[places[0]] = places[1]
    straight = bool((source == np.arange(size)).all())
    if straight and shape == graph.shape(written.tensor):
        return graph
    made = unique_name(graph.tensors, f"{name}.kept")
    attrs: dict[str, object] = {"shape": shape}
    if not straight:
        attrs |= dict(zip(("places", "sizes", "strides"), copy.loops(source), strict=True))
    node = Node("reshape" if straight else "copy", made, (written.tensor,), (made,), attrs)
    port = replace(written, tensor=made, order=read.order)
    return replace(
        graph,
        nodes=(*graph.nodes, node),
        tensors={**graph.tensors, made: Tensor(made, shape)},
        outputs=tuple(port if p.name == name else p for p in graph.outputs),
    )


def _field(graph: Graph, states: list[State]) -> int:
    """Steps after which nothing is left of a state that is only moved on; 1 for all others."""
    labels, steps = _labels(graph), 1
    ports = {p.name: p for p in (*graph.inputs, *graph.outputs)}
    for state in states:
        read, written = ports[state.read], ports[state.written]
        before, after = (_own(p, labels[p.tensor]).reshape(-1) for p in (read, written))
        kept = int(np.isin(after, before).sum())
        steps += -(-len(before) // max(1, len(before) - kept)) if kept < len(before) else 1
    return steps
