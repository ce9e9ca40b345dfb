"""Which channels stand or fall together, and which must stay.

Every slice of an activation belongs to a *unit*: a convolution's or dense layer's output channel
starts one, and so does a unit of a recurrent layer, which that layer itself reads, too;
element-wise operators, pools, concatenation and reshapes carry units along, and those that meet in
an add or mul become one. So a unit of a flattened image is many columns of the dense layer behind
it, and one of a residual stream is a filter of every layer that adds to it.

``PINNED`` units never go: the network's inputs and outputs, and what grouped convolutions,
softmax, argmax and unknown operators read or write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import has_weights, is_recurrent, layout_of, spec
from mcuq.ops.parts.layout import axes_but
from mcuq.ops.spec import Flow, Moved

PINNED = 0
_OUTSIDE = -1


def has_units(graph: Graph, node: Node) -> bool:
    """Whether ``node`` is a recurrent layer whose state is its own: its matrices, biases and what
    it starts from are constants.
    """
    return is_recurrent(node) and all(graph.is_constant(name) for name in node.inputs[1:])


def reads_all_channels(graph: Graph, node: Node) -> bool:
    """Whether every output channel of ``node`` reads all input channels: none has its own."""
    if has_units(graph, node):
        return True
    channels = graph.shape(node.inputs[0])[-1]
    return has_weights(node) and layout_of(node).groups(node, channels) == 1


@dataclass(frozen=True, eq=False)
class Channels:
    """Of one activation: ``units[i]`` is the unit of slice ``i`` along ``axis``."""

    axis: int
    units: Array


@dataclass(frozen=True)
class Group:
    """Units that lie in the same tensors, each equally often: they can stand in for each other.

    ``layers``: the nodes whose filters they are, in order.
    """

    units: tuple[int, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Structure:
    """The channels of every activation by name, and the groups whose units may be removed."""

    channels: Mapping[str, Channels]
    groups: tuple[Group, ...]

    def kept(self, name: str, removed: frozenset[int]) -> Array:
        """The indices along the axis of ``name`` that stay."""
        return np.flatnonzero(~np.isin(self.channels[name].units, list(removed)))


def structure(graph: Graph, recurrent: bool = True) -> Structure:
    """The structure of ``graph``, which must be ready (``passes.run``).

    ``recurrent``: whether units of recurrent layers, and what these read, may be removed.
    """
    found = _Units(graph, recurrent)
    channels = {name: found.channels(name) for name in found.known}
    return Structure(channels, _groups(graph, channels))


def _groups(graph: Graph, channels: Mapping[str, Channels]) -> tuple[Group, ...]:
    places: dict[int, list[tuple[str, int]]] = {}
    for name, found in channels.items():
        for unit, count in zip(*np.unique(found.units, return_counts=True), strict=True):
            places.setdefault(int(unit), []).append((name, int(count)))
    alike: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for unit in sorted(places.keys() - {PINNED}):
        alike.setdefault(tuple(places[unit]), []).append(unit)
    groups = []
    for where, units in alike.items():
        tensors = {name for name, _ in where}
        writers = [n for n in graph.nodes if n.output in tensors and reads_all_channels(graph, n)]
        # Alone in a tensor, a unit would take the tensor with it.
        if len(units) > 1:
            groups.append(Group(tuple(units), tuple(n.name for n in writers)))
    return tuple(groups)


class _Units:
    """Union-find over units; ``known[name]`` holds those of an activation.

    These arrays have the activation's rank, and size 1 along every axis where nothing changes.
    """

    def __init__(self, graph: Graph, recurrent: bool) -> None:
        self.graph, self.recurrent = graph, recurrent
        self.root = [PINNED]
        self.known: dict[str, Array] = {}
        for port in graph.inputs:
            self.known[port.tensor] = self._pinned(graph.shape(port.tensor))
        shared = _shared_constants(graph)
        for node in graph.nodes:
            self.known[node.output] = self._follow(node)
            if shared.intersection(node.inputs):
                self._pin(*node.inputs, node.output)
        self._pin(*(port.tensor for port in graph.outputs))

    def channels(self, name: str) -> Channels:
        units, shape = self._found(self.known[name]), self.graph.shape(name)
        axis = next((i for i, size in enumerate(units.shape) if size > 1), len(shape) - 1)
        return Channels(axis, np.broadcast_to(units.reshape(-1), (shape[axis],)).copy())

    def _follow(self, node: Node) -> Array:
        """The units of the node's output; those that it cannot carry along are pinned."""
        flow = spec(node.op).flow
        free = self.recurrent or not is_recurrent(node)
        if free and reads_all_channels(graph := self.graph, node):
            self._only_last_axis(node)
            return self._new(graph.shape(node.output))
        if has_weights(node) and layout_of(node).inputs is None:
            units = self._only_last_axis(node)
            depth, wide = (graph.shape(n)[-1] for n in (node.inputs[0], node.output))
            return np.repeat(units, wide // depth, axis=-1) if units.size > 1 else units
        if flow is Flow.POINTWISE:
            return self._met(node) if len(node.inputs) > 1 else self._of(node)
        if flow is Flow.EACH:
            return self._only_last_axis(node)
        moved = spec(node.op).moved
        if moved is not None:
            return self._moved(node, moved)
        self._pin(*node.inputs)
        return self._pinned(self.graph.shape(node.output))

    def _of(self, node: Node) -> Array:
        return self.known[node.inputs[0]]

    def _only_last_axis(self, node: Node) -> Array:
        """The units of the first input, pinned if they lie along another axis than the last."""
        if any(size > 1 for size in self._of(node).shape[:-1]):
            self._pin(node.inputs[0])
            self.known[node.inputs[0]] = self._pinned(self.graph.shape(node.inputs[0]))
        return self._of(node)

    def _met(self, node: Node) -> Array:
        """Of an element-wise operator of two: units that meet become one."""
        shape = self.graph.shape(node.output)
        whole = []
        for name in (n for n in node.inputs if n in self.known):
            if self.graph.shape(name) == shape or self._spreads_freely(name, shape):
                whole.append(self.known[name])
            else:
                self._pin(name)
        if not whole:
            return self._pinned(shape)
        for other in whole[1:]:
            self._unite(whole[0], other)
        return self._compact(np.broadcast_arrays(*whole)[0])

    def _spreads_freely(self, name: str, shape: Shape) -> bool:
        """Whether ``name`` only repeats along axes where its units do not change anyway.

        A map of one channel for all is read by each, so it belongs to none.
        """
        own = self.graph.shape(name)
        units = self.known[name]
        axes = [i for i, size in enumerate(units.shape) if size > 1]
        return len(own) == len(shape) and bool(axes) and all(own[i] == shape[i] for i in axes)

    def _moved(self, node: Node, moved: Moved) -> Array:
        """The units where the operator moves them; around them lies nothing to be removed."""
        units = moved(node, [self._whole(name) for name in node.inputs], _OUTSIDE)
        inside = [np.flatnonzero(_reaches(units, axis)) for axis in range(units.ndim)]
        middle = units[np.ix_(*inside)]
        middle = self._compact(np.where(middle == _OUTSIDE, PINNED, middle))
        if middle.size == 1 and len(inside[-1]) < units.shape[-1]:
            self._pin(*node.inputs)
        edges = [
            (int(places[0]), size - 1 - int(places[-1])) if across > 1 else (0, 0)
            for places, size, across in zip(inside, units.shape, middle.shape, strict=True)
        ]
        return np.pad(middle, edges, constant_values=PINNED)

    def _whole(self, name: str) -> Array:
        """The units of every value."""
        shape = self.graph.shape(name)
        return np.broadcast_to(self.known.get(name, self._pinned(shape)), shape)

    def _compact(self, units: Array) -> Array:
        """``units`` along the one axis where they change; along the last if several do."""
        units = self._found(units)
        changing = [i for i in range(units.ndim) if (units != units.take([0], i)).any()]
        if len(changing) > 1:
            rows = units.reshape(-1, units.shape[-1])
            self._unite(rows, rows[:1])
            units, changing = self._found(units), [units.ndim - 1]
        for axis in set(range(units.ndim)) - set(changing):
            units = units.take([0], axis)
        return units

    def _new(self, shape: Shape) -> Array:
        first = len(self.root)
        self.root.extend(range(first, first + shape[-1]))
        return np.arange(first, first + shape[-1]).reshape(*[1] * (len(shape) - 1), -1)

    def _pinned(self, shape: Shape) -> Array:
        return np.full([1] * len(shape), PINNED)

    def _pin(self, *names: str) -> None:
        for name in names:
            if name in self.known:
                self._unite(self.known[name], np.array(PINNED))

    def _unite(self, one: Array, other: Array) -> None:
        paired = np.stack(np.broadcast_arrays(one, other)).reshape(2, -1)
        for a, b in np.unique(paired, axis=1).T.tolist():
            low, high = sorted((self._find(a), self._find(b)))
            self.root[high] = low

    def _find(self, unit: int) -> int:
        while self.root[unit] != unit:
            self.root[unit] = self.root[self.root[unit]]
            unit = self.root[unit]
        return unit

    def _found(self, units: Array) -> Array:
        roots = np.array([self._find(unit) for unit in range(len(self.root))])
        found: Array = roots[units]
        return found


def _reaches(units: Array, axis: int) -> Array:
    """Between which places along ``axis`` the inputs lie: True from the first to the last."""
    found = (units != _OUTSIDE).any(axis=axes_but(axis, units.ndim))
    within: Array = np.logical_or.accumulate(found) & np.logical_or.accumulate(found[::-1])[::-1]
    return within


def _shared_constants(graph: Graph) -> set[str]:
    """Constants that several nodes read: they could be cut to only one size."""
    readers = [name for node in graph.nodes for name in node.inputs if graph.is_constant(name)]
    return {name for name in readers if readers.count(name) > 1}
