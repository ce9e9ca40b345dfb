"""Which operator of the traced module makes which activation of the graph, and which parameter
holds which of its constants.

Both are found by trying, not by names: an activation is where the program computes the same values,
in any order, and the elements of a constant are known by numbers that they are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from torch import Tensor, fx

from mcuq.importers.torch_program import Template
from mcuq.ir import Array, Graph, Node
from mcuq.ops import has_weights, layout_of
from mcuq.passes import pipeline

MOST_NUMBERS = 1 << 23
"""So many numbers survive that importers scale them in float32."""

FIRST_NUMBER = 1000
"""Of elements of vectors: constants of the network itself are smaller."""

CLOSE = 1e-3
"""Of the largest value: float sums in another order, and functions by other formulas."""
NEAR = 0.25
"""So near to a whole number every number must come back."""


@dataclass(frozen=True, eq=False)
class Held:
    """The constant ``constant`` of ``node`` is ``parameter``: ``places[i]`` is where element i lies
    in it. ``axis``: the parameter's axis of output channels.
    """

    node: Node
    constant: str
    parameter: str
    places: Array
    axis: int


def nodes_of(wanted: Mapping[str, Array], values: Mapping[fx.Node, Tensor]) -> dict[str, fx.Node]:
    """The first operator that computes each wanted activation, by its name, if there is one."""
    sorted_values: dict[fx.Node, Array] = {}
    sums = {node: float(found.double().sum()) for node, found in values.items()}
    found = {}
    for name, array in wanted.items():
        flat = np.sort(array.reshape(-1).astype(np.float64))
        size, total = max(1.0, float(np.abs(flat).sum())), float(flat.sum())
        room = CLOSE * float(np.abs(flat).max(initial=0.0)) + 1e-30
        for node, tensor in values.items():
            if tensor.numel() != flat.size or abs(sums[node] - total) > CLOSE * size:
                continue
            if node not in sorted_values:
                sorted_values[node] = np.sort(tensor.double().numpy().reshape(-1))
            if np.abs(sorted_values[node] - flat).max(initial=0.0) <= room:
                found[name] = node
                break
    return found


def constants_of(
    template: Template, ready: Graph, state: Mapping[str, Array], neutral: Mapping[str, Array]
) -> tuple[Held, ...]:
    """The constants of ``ready`` whose elements are those of one parameter, in some order.

    ``neutral``: the numbers with which other parameters change nothing.
    """
    names = [n for n, values in state.items() if values.ndim >= 2 and values.dtype.kind == "f"]
    total = sum(state[name].size for name in names)
    if total > MOST_NUMBERS:
        return ()
    first = dict(zip(names, np.cumsum([1, *(state[name].size for name in names)]), strict=False))
    up = {n: np.arange(state[n].size, dtype=np.float32) + first[n] for n in names}
    graphs = []
    for numbers in (up, {n: total + 1 - values for n, values in up.items()}):
        shaped = {n: values.reshape(state[n].shape) for n, values in numbers.items()}
        graph = pipeline.run(template.imported({**neutral, **shaped}).graph)
        if signature(graph) != signature(ready):
            return ()
        graphs.append(graph)
    found = [
        _held(node, name, graphs, first, state, total)
        for node in ready.nodes
        for name in node.inputs[1:]
        if ready.is_constant(name) and len(ready.shape(name)) >= 2
    ]
    return tuple(held for held in found if held is not None)


Numbers = Mapping[str, tuple[int, int]]
"""Of vectors of the module: the number of the first element, and how many there are."""


def numbered(
    template: Template,
    state: Mapping[str, Array],
    neutral: Mapping[str, Array],
    means: Sequence[str],
) -> Iterator[tuple[Graph, Numbers]]:
    """Graphs in which the elements of vectors of the module are their numbers. Of BatchNorm these
    are its ``means``: a folded bias holds no other of its numbers.
    """
    zeros = {n: np.zeros_like(v) for n, v in state.items() if v.dtype.kind == "f"}
    vectors = [n for n in zeros if state[n].ndim == 1 and n not in neutral and state[n].size > 1]
    for names, sign in ((vectors, 1.0), (list(dict.fromkeys(means)), -1.0)):
        sizes = [state[name].size for name in names]
        starts = FIRST_NUMBER + np.cumsum([0, *sizes])
        first = {n: (int(s), size) for n, s, size in zip(names, starts, sizes, strict=False)}
        data = {n: (sign * (s + np.arange(c))).astype(np.float32) for n, (s, c) in first.items()}
        yield pipeline.run(template.imported({**zeros, **neutral, **data}).graph), first


def vectors_in(graph: Graph, numbers: Numbers) -> dict[str, Array]:
    """Which elements are in ``graph`` of each vector that lies in a constant or attribute of it."""
    held = [graph.data(n) for n in graph.tensors if graph.is_constant(n)]
    said = [v for node in graph.nodes for v in node.attrs.values() if isinstance(v, tuple)]
    found: dict[str, Array] = {}
    for data in (*held, *(np.array(v) for v in said)):
        if data.dtype.kind not in "fi" or not data.size:
            continue
        flat = data.reshape(-1).astype(np.float64)
        for name, (start, size) in numbers.items():
            if ((flat >= start) & (flat < start + size) & (flat == np.rint(flat))).all():
                found[name] = flat.astype(np.int64) - start
    return found


def signature(graph: Graph) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """The same for graphs that differ in their numbers only."""
    return tuple((node.op, node.inputs, node.outputs) for node in graph.nodes)


def _held(
    node: Node,
    name: str,
    graphs: Sequence[Graph],
    first: Mapping[str, int],
    state: Mapping[str, Array],
    total: int,
) -> Held | None:
    up, down = (graph.data(name).astype(np.float64) for graph in graphs)
    both = up + down  # the total and 1, times what the network does to the element
    if not both.all():
        return None
    exact = up * (total + 1) / both
    up = np.rint(exact).astype(np.int64)
    if up.min() < 1 or up.max() > total or np.abs(exact - up).max() > NEAR:
        return None
    parameter = max((n for n in first if first[n] <= up.min()), key=lambda n: first[n])
    places, shape = up - first[parameter], state[parameter].shape
    if places.max() >= prod(shape):
        return None
    axis = _axis(places, layout_of(node).outputs if has_weights(node) else 0, shape)
    return None if axis is None else Held(node, name, parameter, places, axis)


def _axis(places: Array, outputs: int, shape: tuple[int, ...]) -> int | None:
    """The parameter's axis along which lies what lies along ``outputs`` in ``places``."""
    channel = np.empty(prod(shape), np.int64)
    channel.fill(-1)
    spread = np.arange(places.shape[outputs]).reshape(
        [-1 if i == outputs else 1 for i in range(places.ndim)]
    )
    channel[places.reshape(-1)] = np.broadcast_to(spread, places.shape).reshape(-1)
    for axis, size in enumerate(shape):
        rows = np.moveaxis(channel.reshape(shape), axis, 0).reshape(size, -1)
        if size == places.shape[outputs] and bool((rows == rows[:, :1]).all()) and rows.min() >= 0:
            return axis
    return None
