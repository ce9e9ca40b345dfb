"""Outputs that join values of very different size, as coordinates and scores: a scale for each.

In 8 bits the scale of the coordinates leaves nothing of the scores. Where the parts lie beside each
other along the last axis of an output, those that are too small get a power of two as a factor, and
the output's scales say so, one per channel: the integers of the network still have one scale. Where
they lie otherwise the output gets 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.fixed import floor_log2
from mcuq.ir import Array, Graph, Node, Port, Shape, Tensor, shown, unique_name
from mcuq.ops import spec
from mcuq.ops.spec import NO_CLIP, Values
from mcuq.quantize import wide
from mcuq.quantize.ranges.scales import observe
from mcuq.quantize.state import State

LOST = 3
"""Bits that a part of 8 may lose to the others before it gets a scale of its own."""
LOST_WIDE = 8
"""The same, of 16."""


@dataclass(frozen=True)
class _Leaf:
    """What the node ``reader`` joins or moves, for the output's channels from ``first`` on.

    ``axis``: where it has them.
    """

    name: str
    reader: str
    first: int
    axis: int

    def channels(self, graph: Graph) -> slice:
        """Which of the output's channels it holds."""
        return slice(self.first, self.first + graph.shape(self.name)[self.axis])


def own_scales(state: State) -> State:
    """Give the parts of outputs that lose too much to the others scales of their own."""
    bits = state.options.bits
    wides = wide.wanted(state.graph, bits)
    found = state
    for port in shown(state.graph):
        suited = port.kind == "s8" and not port.scale and port.tensor not in bits
        if suited and not state.graph.hints:
            found = _parted(found, port, LOST_WIDE if port.tensor in wides else LOST)
    return found if found is state else observe(found)


def _parted(state: State, port: Port, lost: int) -> State:
    graph = state.graph
    whole = _Leaf(port.tensor, "", 0, len(graph.shape(port.tensor)) - 1)
    leaves = list(_leaves(graph, whole))
    peaks = {leaf: max(abs(bound) for bound in state.ranges[leaf.name]) for leaf in leaves}
    largest = max(peaks.values())
    small = {leaf for leaf, peak in peaks.items() if _bits(peak, largest) >= lost}
    if not small:
        return state
    width = graph.shape(port.tensor)[-1]
    channels = np.zeros(width)
    for leaf, peak in peaks.items():
        own = leaf.channels(graph)
        channels[own] = np.maximum(channels[own], peak)
    exponents = np.array([_bits(peak, largest) for peak in channels])
    exponents[exponents < lost] = 0
    if all(bool(_own(graph, leaf, exponents).all()) for leaf in small):
        text = f"output '{port.name}' joins values of very different size: its parts have scales"
        where = "of their own, one per channel"
        return _told(_scaled(state, port, leaves, exponents), port, f"{text} {where}")
    able = {name for group in wide.candidates(graph) for name in group}
    if lost == LOST_WIDE or port.tensor not in able:
        return state
    text = f"output '{port.name}' joins values of very different size: it has 16 bits"
    options = replace(state.options, bits={**state.options.bits, port.tensor: 16})
    return _told(state.with_(options=options), port, text)


def _told(state: State, port: Port, text: str) -> State:
    keep = f'[quantize] bits = {{ "{port.tensor}" = 8 }} in --config keeps one scale of 8 bits'
    return state.with_(warnings=(*state.warnings, f"{text} ({keep})"))


def _bits(peak: float, largest: float) -> int:
    """How many bits finer the scale of ``peak`` may be; of nothing at all none.

    >>> _bits(0.9, 60.0), _bits(1.0, 8.0), _bits(0.0, 8.0)
    (6, 3, 0)
    """
    return floor_log2(largest / peak) if peak > 0.0 else 0


def _own(graph: Graph, leaf: _Leaf, exponents: Array) -> Array:
    part: Array = exponents[leaf.channels(graph)]
    return part


def _leaves(graph: Graph, whole: _Leaf) -> Iterator[_Leaf]:
    """What a part of an output is put together from, channels and all."""
    name, axis = whole.name, whole.axis
    node = graph.producer(name)
    alone = not whole.reader or (len(graph.consumers(name)) == 1 and not graph.is_output(name))
    before = None if node is None or not alone else _axis_before(graph, node, axis)
    if node is None or before is None:
        yield whole
        return
    beside = spec(node.op).joins and node.int("axis") == axis
    first = whole.first
    for source in node.inputs:
        yield from _leaves(graph, _Leaf(source, node.name, first, before))
        first += graph.shape(source)[axis] if beside else 0


def _axis_before(graph: Graph, node: Node, axis: int) -> int | None:
    """Where the inputs have the channels that the output has along ``axis``, if the node joins, or
    moves values so that each stays in its channel; None if it does something else.
    """
    operator = spec(node.op)
    if operator.joins:  # a maximum has no axis: its operands lie in the same place
        beside = operator.moved is not None and "axis" in node.attrs
        return axis if beside and not any(map(graph.is_constant, node.inputs)) else None
    shape, given = graph.shape(node.output), graph.shape(node.inputs[0])
    if operator.values is Values.VIEW:
        wanted = shape[axis], prod(shape[axis + 1 :])
        fits = (a for a, size in enumerate(given) if (size, prod(given[a + 1 :])) == wanted)
        return next(fits, None)
    if operator.values is not Values.SAME or operator.moved is None or axis != len(shape) - 1:
        return None
    if shape[-1] != given[-1]:
        return None
    places = np.broadcast_to(np.arange(shape[-1]), given)
    moved = operator.moved(node, [places], -1)
    return len(given) - 1 if bool((moved == np.arange(shape[-1])).all()) else None


def _scaled(state: State, port: Port, leaves: list[_Leaf], exponents: Array) -> State:
    """``state`` whose network multiplies the small parts, and its output's scales undo it."""
    graph = state.graph
    tensors, inserted, renamed = (
        dict(graph.tensors),
        dict[str, Node](),
        dict[tuple[str, str], str](),
    )
    for leaf in leaves:
        own = _own(graph, leaf, exponents)
        if bool(own.any()):
            behind = (1,) * (len(graph.shape(leaf.name)) - 1 - leaf.axis)
            made = _factor(tensors, leaf.name, own, behind)
            inserted[made.output] = made
            renamed[leaf.reader, leaf.name] = made.output
    nodes: list[Node] = []
    for node in graph.nodes:
        names = [renamed.get((node.name, name), name) for name in node.inputs]
        nodes += [inserted.pop(name) for name in names if name in inserted]
        nodes.append(replace(node, inputs=tuple(names)))
    factors: Mapping[str, Array] = {port.tensor: 2.0**exponents}
    graph = replace(graph, nodes=tuple(nodes), tensors=tensors)
    return state.with_(graph=graph, factors={**state.factors, **factors})


def _factor(tensors: dict[str, Tensor], name: str, exponents: Array, behind: Shape) -> Node:
    """The product of a tensor with powers of two, one if they are all the same.

    ``behind``: the axes of size 1 behind that of the channels.
    """
    same = len(set(exponents.tolist())) == 1
    data = np.asarray(2.0 ** (exponents[:1] if same else exponents), np.float32)
    data = data if same else data.reshape(-1, *behind)
    factor = unique_name(tensors, f"{name}.factor")
    tensors[factor] = Tensor(factor, data.shape, data)
    made = unique_name(tensors, f"{name}.scaled")
    tensors[made] = Tensor(made, tensors[name].shape)
    return Node("mul", made, (name, factor), (made,), {"clip": NO_CLIP})
