"""The float graph: NHWC, batch 1, in topological order, with the user's names kept.

Everything is frozen; passes return new graphs. Shapes carry a leading batch of 1; arrays that
flow through ``reference`` carry any batch there.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mcuq.errors import brief

Shape = tuple[int, ...]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the network; ``data`` is float32 for a constant, else None."""

    name: str
    shape: Shape
    data: Array | None = None

    @classmethod
    def of(cls, name: str, data: Array) -> Tensor:
        """A constant."""
        return cls(name, data.shape, data)


@dataclass(frozen=True)
class Node:
    """One operation. ``attrs`` hold ints, floats, strings, bools and tuples of these."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The name of the first output."""
        return self.outputs[0]

    def ints(self, key: str) -> tuple[int, ...]:
        return tuple(int(v) for v in self.attrs[key])

    def int(self, key: str) -> int:
        return int(self.attrs[key])

    def float(self, key: str) -> float:
        return float(self.attrs[key])

    def with_attrs(self, **attrs: Any) -> Node:
        """This node with some attributes set anew."""
        return replace(self, attrs={**self.attrs, **attrs})


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output as the user knows it, and where it lies inside.

    ``shape`` is the user's own shape (batch 1). ``order[i]`` is the place in our memory of the
    user's i-th element in his own row-major order (None: the same). ``real = (q - offset) * scale``
    converts the integers at this port, one value or one per last-axis channel; both are empty in a
    float graph until something fixes them. ``kind`` is s8, u8, s16 or s32; in a float graph u8 and
    s16 say that the firmware has such integers: bytes, or samples of sound. ``labels``: names of
    what lies along the last axis in memory, if the user gave them.
    """

    name: str
    tensor: str
    shape: Shape
    order: Array | None = None
    kind: str = "s8"
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def places(self) -> Array:
        """``order``, counted where it is None."""
        return np.arange(prod(self.shape)) if self.order is None else self.order


@dataclass(frozen=True, eq=False)
class State:
    """What a stream keeps: the output ``written`` of a step is the input ``read`` of the next.

    Both are names of ports whose tensors have one shape and, in integers, one format. ``start``:
    the reals of the first step, in the order of memory and of the tensor's shape.
    """

    read: str
    written: str
    start: Array


@dataclass(frozen=True, eq=False)
class Stream:
    """A network that is called once a step and keeps ``states`` in between.

    ``frames``: of the input, a step takes so many; ``axis``: where they lie in the user's shape, if
    the network was made of one that reads a window of them. ``warmup``: so many outputs come before
    the first that a whole window was seen for; ``delay``: steps by which outputs are late.
    ``field``: an output hangs on so many steps, as far as moves of values alone say.
    """

    states: tuple[State, ...]
    frames: int = 1
    axis: int | None = None
    warmup: int = 0
    delay: int = 0
    field: int = 1


@dataclass(frozen=True)
class Hint:
    """The numbers that an already quantized model gives a tensor: ``real = (q - zero) * scale``.

    ``scale`` holds one value, or for weights one per output channel; ``zero`` is that of signed
    integers of ``bits`` bits.
    """

    scale: tuple[float, ...]
    zero: int = 0
    bits: int = 8


class Named(Protocol):
    """What tensors of float and of integer graphs share."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def data(self) -> Array | None: ...


class Network(Protocol):
    """What float and integer graphs share."""

    @property
    def inputs(self) -> tuple[Port, ...]: ...
    @property
    def outputs(self) -> tuple[Port, ...]: ...
    @property
    def nodes(self) -> tuple[Node, ...]: ...
    @property
    def tensors(self) -> Mapping[str, Named]: ...
    @property
    def stream(self) -> Stream | None: ...
    def is_constant(self, name: str) -> bool:
        """Whether a tensor has data."""
        ...


@dataclass(frozen=True)
class Suppression:
    """Boxes that are chosen behind the network, as output ``name``: ``stream/suppress.py``.

    ``boxes`` and ``scores`` are outputs. Of those of a class whose score is above ``score`` the
    ``most`` best, but what overlaps a better one by more than ``iou``; ``center``: a box is its
    center and size. ``by_class``: scores are (1, classes, boxes) and boxes (1, boxes, 4), else
    their sizes say where which axis lies. ``joined``: the axis of an output that holds both, four
    numbers of a box and then its scores; 0: two outputs.
    """

    name: str
    boxes: str
    scores: str
    iou: float
    most: int
    score: float = -math.inf
    center: bool = False
    by_class: bool = False
    joined: int = 0


@dataclass(frozen=True, repr=False)
class Graph:
    """A float network. ``tensors`` holds every tensor named anywhere, constants with data.

    ``hints``: of a model that was quantized before, by tensor name; empty for a float model.
    ``notes``: how the model was read where that could be otherwise, one sentence each.
    ``stream``: what it keeps between calls, if anything; its states are inputs and outputs, too.
    ``successors``: of recurrent layers that start at a computed state, as imported: the tensor
    after the last step by that of the start. ``behind``: what is chosen among its outputs.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    hints: Mapping[str, Hint] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stream: Stream | None = None
    successors: Mapping[str, str] = field(default_factory=dict)
    behind: tuple[Suppression, ...] = ()

    def __repr__(self) -> str:
        return brief("Graph", self.name, f"{len(self.nodes)} nodes")

    def shape(self, name: str) -> Shape:
        return self.tensors[name].shape

    def data(self, name: str) -> Array:
        """The data of a constant."""
        data = self.tensors[name].data
        if data is None:
            raise KeyError(f"{name} is not a constant")
        return data

    def is_constant(self, name: str) -> bool:
        return self.tensors[name].data is not None

    def producer(self, name: str) -> Node | None:
        """The node that writes ``name``, or None for an input or a constant."""
        return self._producers.get(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(self._consumers.get(name, ()))

    def is_output(self, name: str) -> bool:
        return name in self._output_tensors

    @cached_property
    def _producers(self) -> Mapping[str, Node]:
        return {name: node for node in reversed(self.nodes) for name in node.outputs}

    @cached_property
    def _consumers(self) -> Mapping[str, Sequence[Node]]:
        return consumers_of(self.nodes)

    @cached_property
    def _output_tensors(self) -> frozenset[str]:
        return frozenset(p.tensor for p in self.outputs)


def states_of(network: Network) -> tuple[State, ...]:
    """What the network keeps between calls."""
    return network.stream.states if network.stream else ()


def fed(network: Network) -> tuple[Port, ...]:
    """The inputs that the caller brings: all but states."""
    kept = {state.read for state in states_of(network)}
    return tuple(port for port in network.inputs if port.name not in kept)


def shown(network: Network) -> tuple[Port, ...]:
    """The outputs that the caller gets: all but states."""
    kept = {state.written for state in states_of(network)}
    return tuple(port for port in network.outputs if port.name not in kept)


def state_ports(network: Network) -> tuple[tuple[State, Port, Port], ...]:
    """Each state with the ports that it is read from and written to."""
    reads, writes = ({p.name: p for p in side} for side in (network.inputs, network.outputs))
    return tuple((s, reads[s.read], writes[s.written]) for s in states_of(network))


def consumers_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """The nodes that read each tensor, in order."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.inputs):
            found.setdefault(name, []).append(node)
    return found


def to_memory(port: Port, shape: Shape, values: Array) -> Array:
    """(N, *port.shape[1:]) in the user's order -> (N, *shape[1:]) in ours."""
    flat = values.reshape(len(values), -1)
    if port.order is not None:
        placed = np.empty_like(flat)
        placed[:, port.order] = flat
        flat = placed
    return flat.reshape(len(values), *shape[1:])


def from_memory(port: Port, values: Array) -> Array:
    """(N, ...) in our order -> (N, *port.shape[1:]) in the user's."""
    flat = values.reshape(len(values), -1)
    if port.order is not None:
        flat = flat[:, port.order]
    return flat.reshape(len(values), *port.shape[1:])


def shape_with(shape: Shape, axis: int, size: int) -> Shape:
    """``shape`` with another size at ``axis``, counted from the front."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def unique_name(taken: Container[str], wanted: str) -> str:
    """``wanted``, or ``wanted_2``, ``wanted_3``, ... if it is taken."""
    if wanted not in taken:
        return wanted
    numbered = (f"{wanted}_{number}" for number in count(2))
    return next(name for name in numbered if name not in taken)


def rebuild(graph: Graph, nodes: Sequence[Node], tensors: Mapping[str, Tensor]) -> Graph:
    """``graph`` with new nodes and tensors, without the tensors and nodes that nothing needs."""
    wanted = {p.tensor for p in graph.outputs}
    kept: list[Node] = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    wanted.update(p.tensor for p in graph.inputs)
    for node in kept:
        wanted.update(node.outputs)
    pruned = {n: t for n, t in tensors.items() if n in wanted}
    hints = {n: hint for n, hint in graph.hints.items() if n in pruned}
    return replace(graph, nodes=tuple(reversed(kept)), tensors=pruned, hints=hints)


def with_data(graph: Graph, constants: Mapping[str, Array]) -> Graph:
    """``graph`` with other data of these constants."""
    made = {name: Tensor.of(name, data) for name, data in constants.items()}
    return replace(graph, tensors={**graph.tensors, **made})


def with_hint_moved(graph: Graph, old: str, new: str) -> Graph:
    """``graph`` in which ``new``, if it has no hint of its own, has that of ``old``."""
    if old not in graph.hints or new in graph.hints:
        return graph
    return replace(graph, hints={**graph.hints, new: graph.hints[old]})


def problems(graph: Network) -> Iterator[str]:
    """Every structural fault: dangling names, wrong order, duplicate producers, non-finite data."""
    known = {p.tensor for p in graph.inputs} | {n for n in graph.tensors if graph.is_constant(n)}
    for node in graph.nodes:
        for name in (*node.inputs, *node.outputs):
            if name not in graph.tensors:
                yield f"node '{node.name}' names the unknown tensor '{name}'"
        for name in node.inputs:
            if name not in known:
                yield f"node '{node.name}' reads '{name}' before it is written"
        for name in node.outputs:
            if name in known:
                yield f"node '{node.name}' writes '{name}', which has another source"
            known.add(name)
    for port in graph.outputs:
        if port.tensor not in known:
            yield f"output '{port.name}' is never written"
    for tensor in graph.tensors.values():
        if tensor.data is not None and tensor.data.shape != tensor.shape:
            yield f"tensor '{tensor.name}' has data of another shape"
