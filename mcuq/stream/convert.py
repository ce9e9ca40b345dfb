"""Graph and QGraph of a window network -> those of its stream (``--stream frames=N``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.errors import McuqError, ModelError
from mcuq.ir import Array, Graph, Node, Port, Shape, State, Stream, Tensor, shape_with, unique_name
from mcuq.ops import is_recurrent, spec
from mcuq.ops.movement import copy
from mcuq.ops.parts.along import CHANNELS
from mcuq.ops.parts.weights import along
from mcuq.qir import QGraph, QTensor, frac_of
from mcuq.stream.recurrent import steps_of
from mcuq.stream.window import (
    Fill,
    Network,
    NotStreamedError,
    Read,
    StreamPlan,
    Timed,
    analyze,
)

_KEYS = ("frames", "axis", "padding")


@dataclass(frozen=True)
class Wish:
    """``--stream``: new frames a step; where they lie in the user's input; what may be done.

    ``same``: padding behind the window may be left out, and outputs be late for it.
    """

    frames: int
    axis: int | None = None
    same: bool = False


def wish_of(text: str) -> Wish:
    """The wish that ``frames=N[,axis=A][,padding=same]`` says.

    >>> wish_of("frames=2,axis=2")
    Wish(frames=2, axis=2, same=False)
    """
    parts = (part.partition("=") for part in text.split(","))
    pairs = {key: value for key, _, value in parts}
    remedy = "Write such as --stream frames=1, or frames=2,axis=1,padding=same"
    unknown = [key for key in pairs if key not in _KEYS]
    padding = pairs.get("padding", "valid")
    numbers = [pairs.get("frames", ""), *([pairs["axis"]] if "axis" in pairs else [])]
    if unknown or padding not in ("valid", "same") or not all(n.isdecimal() for n in numbers):
        raise McuqError(f"--stream {text}", "is not understood", remedy)
    frames, axis = int(numbers[0]), int(pairs["axis"]) if "axis" in pairs else None
    if frames < 1 or axis == 0:
        raise McuqError(f"--stream {text}", "takes no frames, or those of the batch", remedy)
    return Wish(frames, axis, padding == "same")


@dataclass(frozen=True)
class Streamed:
    """The networks of a stream. ``equals``: what its outputs are, as a sentence.

    ``axis``: where frames lie in the user's input. ``same``: it differs from the window network.
    """

    qgraph: QGraph
    graphs: tuple[Graph, ...]
    equals: str
    axis: int
    same: bool


def stream_of(qgraph: QGraph, graphs: Sequence[Graph], wish: Wish) -> Streamed:
    """The stream of a quantized window network, and of its float twins.

    Refused, with the node and the reason: what needs a whole window before one is seen, and a hop
    that does not divide.
    """
    axis, known = _chosen(graphs[-1], wish), tuple(node.name for node in graphs[-1].nodes)
    networks: tuple[Network, ...] = (qgraph, *graphs)
    plans = [_plan(network, axis, wish, known) for network in networks]
    written = [_write(n, p, axis) for n, p in zip(networks, plans, strict=True)]
    made = next(network for network in written if isinstance(network, QGraph))
    twins = [network for network in written if isinstance(network, Graph)]
    return Streamed(made, tuple(twins), _equals(plans[0], made), axis, bool(plans[0].behind))


@dataclass(frozen=True)
class Carried:
    """A float network whose recurrent layers go on from step to step, before any quantization.

    ``equals``: what its outputs are, as a sentence. ``whole``: from a reset on, so many steps of a
    window give what the window network gives; None if no number of steps does.
    """

    graph: Graph
    equals: str
    whole: int | None


def carried(graph: Graph, wish: Wish) -> Carried | None:
    """The stream of a float window network that has recurrent layers; None if it has none.

    Their states become those of the stream, so that it is quantized as one.
    """
    if not any(is_recurrent(node) for node in graph.nodes):
        return None
    axis = _chosen(graph, wish)
    plan = _plan(graph, axis, wish, tuple(node.name for node in graph.nodes))
    if not plan.carried:
        return None
    try:
        made = _write(graph, plan, axis)
    except NotStreamedError as error:
        raise error.told(graph.name) from None
    assert isinstance(made, Graph)
    steps, rest = divmod(plan.total, plan.frames)
    alike = not (plan.behind or plan.lost or rest)
    return Carried(made, _equals(plan, made), steps if alike else None)


def refuse_unstreamable(graph: Graph, wish: Wish) -> None:
    """Raise what ``stream_of`` would say of the quantized ``graph``."""
    _plan(graph, _chosen(graph, wish), wish, tuple(node.name for node in graph.nodes))


def _chosen(graph: Graph, wish: Wish) -> int:
    """The axis of the frames in the user's input: as he says, or the one that can be streamed."""
    port = graph.inputs[0]
    if wish.axis is not None:
        if wish.axis >= len(port.shape) or port.shape[wish.axis] == 1:
            reason = f"input '{port.name}' of shape {port.shape} has no frames on axis {wish.axis}"
            raise ModelError(graph.name, reason, "Name another axis")
        return wish.axis
    faults: list[tuple[tuple[int, ...], ModelError]] = []
    able = []
    for axis in range(1, len(port.shape)):
        if port.shape[axis] > 1:
            try:
                _plan(graph, axis, wish, tuple(node.name for node in graph.nodes))
                able.append(axis)
            except ModelError as error:
                faults.append((_promise(graph, axis, error), error))
    if len(able) > 1:
        listed = " and ".join(map(str, able))
        reason = f"the frames of input '{port.name}' {port.shape} may lie on axes {listed}"
        raise ModelError(graph.name, reason, f"Say which: frames={wish.frames},axis={able[0]}")
    if not able:
        if not faults:
            raise ModelError(graph.name, f"input '{port.name}' has one frame", "Leave it as it is")
        raise max(faults, key=lambda pair: pair[0])[1]
    return able[0]


def _promise(graph: Graph, axis: int, error: ModelError) -> tuple[int, ...]:
    """How likely the frames lie on the axis that gave ``error``: it came far, or is easily mended,
    or the axis is long.
    """
    told = str(error)
    reached = max((i for i, n in enumerate(graph.nodes) if f"'{n.name}'" in told), default=0)
    return reached, CHANNELS not in told, graph.inputs[0].shape[axis]


def _plan(network: Network, axis: int, wish: Wish, known: Sequence[str]) -> StreamPlan:
    port = network.inputs[0]
    shape = network.tensors[port.tensor].shape
    inside = _inner_axis(port, shape, axis)
    if inside is None:
        reason = f"axis {axis} of input '{port.name}' is no axis in memory"
        raise ModelError(network.name, reason, "Name another axis")
    total = shape[inside]
    if wish.frames >= total:
        reason = f"a step of {wish.frames} frames is no part of a window of {total}"
        raise ModelError(network.name, reason, f"Give frames=1 to {total - 1}")
    try:
        plan = analyze(network, port.tensor, inside, wish.frames, known)
    except NotStreamedError as error:
        raise error.told(network.name) from None
    if plan.behind and not wish.same:
        reason = (
            f"node '{plan.behind[0]}' pads frames behind the window, where a stream has new ones: "
            "it cannot give the window's numbers"
        )
        remedy = "Train it with padding in front alone, or ask for padding=same"
        raise ModelError(network.name, reason, remedy)
    return plan


def _equals(plan: StreamPlan, made: Network) -> str:
    stream = made.stream
    warmup, delay = (stream.warmup, stream.delay) if stream else (0, 0)
    first = f"from step {warmup + 1} on" if warmup else "from the first step on"
    if plan.behind:
        late = f", {delay} step(s) late" if delay else ""
        return (
            f"without the edges of a window{late}: node '{plan.behind[0]}' pads both ends of one, "
            "so that it equals no window network"
        )
    if plan.carried:
        nodes = ", ".join(f"'{name}'" for name in plan.carried)
        zeros = ", zeros before it" if plan.lost else ""
        return (
            f"equal to the float network over the whole sequence since the reset{zeros}, {first}, "
            f"and quantized as a stream: the states of {nodes} go on from step to step"
        )
    if plan.filters:
        return (
            f"equal to the network over the whole sequence since the reset, {first}: what "
            f"'{plan.filters[0]}' keeps goes on"
        )
    if plan.front or (plan.padded_front and not plan.windowed):
        return (
            f"equal to the network over the whole sequence since the reset, {first}: node "
            f"'{plan.padded_front}' pads in front"
        )
    return f"equal to the window network, bit for bit, {first}"


class _Writer:
    """The nodes, tensors and states of a stream that grows node by node."""

    def __init__(self, network: Network, plan: StreamPlan) -> None:
        self.network, self.plan = network, plan
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor | QTensor] = {
            name: tensor for name, tensor in network.tensors.items() if tensor.data is not None
        }
        self.states: list[State] = []
        self.reads: list[Port] = []
        self.writes: list[Port] = []
        self._kept: dict[tuple[str, Fill | None], str] = {}
        self._scales = {port.tensor: port for port in network.inputs}

    def place(self, name: str, shape: Shape) -> str:
        """A tensor like one of the window network, of another shape."""
        self.tensors[name] = _like(self.network.tensors[name], name, shape)
        return name

    def base(self, tensor: Timed | None) -> None:
        """Keep the rows of a tensor that was just made, as far as anything reads back."""
        if tensor is None:
            return
        for key in sorted((k for k in self.plan.depths if k[0] == tensor.base), key=str):
            depth = self.plan.depths[key]
            if depth > tensor.made:
                self._kept[key] = self._push(tensor, depth, key[1])

    def _push(self, tensor: Timed, depth: int, fill: Fill | None) -> str:
        source = self.tensors[tensor.base]
        shape = shape_with(source.shape, tensor.axis, depth)
        read = unique_name(self.tensors, f"{tensor.base}.kept")
        self.tensors[read] = _like(source, read, shape)
        written = unique_name(self.tensors, f"{tensor.base}.rows")
        self.tensors[written] = _like(source, written, shape)
        attrs = {"axis": tensor.axis}
        self.nodes.append(Node("push", written, (read, tensor.base), (written,), attrs))
        ports = self._ports(read, written, tensor.base, shape)
        self.reads.append(ports[0])
        self.writes.append(ports[1])
        self.states.append(State(read, written, _start(ports[0], shape, fill)))
        return written

    def _ports(self, read: str, written: str, base: str, shape: Shape) -> tuple[Port, Port]:
        tensor = self.tensors[base]
        if not isinstance(tensor, QTensor):
            return Port(read, read, shape), Port(written, written, shape)
        given = self._scales.get(base)
        scale: tuple[float, ...] = (2.0 ** -frac_of(tensor),)
        offset: tuple[float, ...] = (float(tensor.zero),)
        if given is not None and given.scale:
            scale, offset = given.scale, given.offset
        first = Port(read, read, shape, None, tensor.kind, scale, offset)
        return first, replace(first, name=written, tensor=written)

    def rows(self, read: Read, label: str) -> str:
        """The tensor that holds the rows of ``read``."""
        tensor, count = read.tensor, read.last - read.first
        source = self._kept.get(self.plan.key(tensor), tensor.base)
        have = self.tensors[source].shape[tensor.base_axis]
        first = have - read.depth
        if first or count != have:
            source = self._cut(source, tensor.base_axis, first, count, label)
        for node in tensor.after:
            source = self.apply(node, source)
        return source

    def _cut(self, source: str, axis: int, first: int, count: int, label: str) -> str:
        shape = self.tensors[source].shape
        wanted = shape_with(shape, axis, count)
        places = np.arange(prod(shape)).reshape(shape)
        taken = np.take(places, range(first, first + count), axis).reshape(-1)
        found = dict(zip(("places", "sizes", "strides"), copy.loops(taken), strict=True))
        name = unique_name(self.tensors, label)
        self.tensors[name] = _like(self.tensors[source], name, wanted)
        self.nodes.append(Node("copy", name, (source,), (name,), {"shape": wanted, **found}))
        return name

    def apply(self, node: Node, source: str) -> str:
        """What a node that integers alone have makes of ``source``."""
        original = self.network.tensors[node.output]
        name = unique_name(self.tensors, node.output)
        inputs = (source, *node.inputs[1:])
        made = replace(node, name=name, inputs=inputs, outputs=(name,))
        shape = spec(node.op).infer(made, [self.tensors[n].shape for n in inputs])
        self.tensors[name] = _like(original, name, shape)
        self.nodes.append(made)
        return name

    def node(self, node: Node, reads: Mapping[str, Read]) -> None:
        """A node with the rows that it reads in the place of its activations."""
        taken = {
            name: self.rows(read, f"{node.name}.rows_{i}")
            for i, (name, read) in enumerate(reads.items())
        }
        inputs = tuple(taken.get(name, name) for name in node.inputs)
        made = replace(node, inputs=inputs)
        if is_recurrent(node):
            self._carry(made)
            return
        if spec(node.op).keeps is not None:
            self._keep(made)
            return
        shape = spec(node.op).infer(made, [self.tensors[n].shape for n in inputs])
        self.place(node.output, shape)
        self.nodes.append(made)

    def _carry(self, node: Node) -> None:
        """The steps of a recurrent layer, and its states."""
        reals = {name: t for name, t in self.tensors.items() if isinstance(t, Tensor)}
        made = steps_of(node, reals)
        self.nodes += made.nodes
        self.tensors |= made.tensors
        for read, written, start in made.states:
            shape = self.tensors[read].shape
            self.reads.append(Port(read, read, shape))
            self.writes.append(Port(written, written, shape))
            self.states.append(State(read, written, start))

    def _keep(self, node: Node) -> None:
        """A filter that goes on: its state lies in front of its rows, and is cut off."""
        keeps = spec(node.op).keeps
        assert keeps is not None
        shape = keeps(node, [self.tensors[name].shape for name in node.inputs])
        read, both = (
            unique_name(self.tensors, f"{node.output}.{part}") for part in ("kept", "both")
        )
        self.tensors[read] = _like(self.network.tensors[node.output], read, shape)
        made = replace(node, inputs=(*node.inputs, read), outputs=(both,))
        whole = spec(node.op).infer(made, [self.tensors[name].shape for name in made.inputs])
        self.tensors[both] = _like(self.network.tensors[node.output], both, whole)
        self.nodes.append(made)
        count = whole[1] - shape[1]
        self._cut(both, 1, shape[1], count, node.output)
        written = self._cut(both, 1, 0, shape[1], f"{node.output}.next")
        ports = self._ports(read, written, node.output, shape)
        self.reads.append(ports[0])
        self.writes.append(ports[1])
        self.states.append(State(read, written, np.zeros(shape, np.float32)))

    def network_of(
        self, inputs: tuple[Port, ...], outputs: tuple[Port, ...], stream: Stream
    ) -> Network:
        """What was written, as a network of the kind of the window network."""
        nodes, found = tuple(self.nodes), self.tensors
        if isinstance(self.network, QGraph):
            whole = {n: t for n, t in found.items() if isinstance(t, QTensor)}
            return QGraph(self.network.name, inputs, outputs, nodes, whole, stream)
        real = {n: t for n, t in found.items() if isinstance(t, Tensor)}
        return replace(
            self.network, inputs=inputs, outputs=outputs, nodes=nodes, tensors=real, stream=stream
        )


def _like(tensor: Tensor | QTensor, name: str, shape: Shape) -> Tensor | QTensor:
    """``tensor`` under another name, of another shape."""
    if isinstance(tensor, QTensor):
        return replace(tensor, name=name, shape=shape)
    return replace(tensor, name=name, shape=shape)


def _start(port: Port, shape: Shape, fill: Fill | None) -> Array:
    """The reals of rows before the first frame."""
    values = np.zeros(1) if fill is None else np.array(fill)
    if port.scale and fill is not None:
        values = (values - np.array(port.offset)) * np.array(port.scale)
    return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32)


def _write(network: Network, plan: StreamPlan, axis: int) -> Network:
    """The stream that ``plan`` describes; ``axis``: where frames lie in the user's input."""
    _share(plan)
    writer = _Writer(network, plan)
    inputs = []
    for port in network.inputs:
        timed = plan.timed.get(port.tensor)
        whole = network.tensors[port.tensor].shape
        inputs.append(port if timed is None else _with_rows(port, whole, timed.axis, plan.frames))
        shape = whole if timed is None else shape_with(whole, timed.axis, plan.frames)
        writer.place(port.tensor, shape)
        writer.base(timed)
    for made in plan.made:
        writer.node(made.node, made.reads)
        timed = plan.timed.get(made.node.output)
        writer.base(timed if timed and timed.base == made.node.output else None)
    outputs = [_output(writer, network, plan, port) for port in network.outputs]
    stream = _stream(plan, writer.states, axis)
    return writer.network_of((*inputs, *writer.reads), (*outputs, *writer.writes), stream)


def _share(plan: StreamPlan) -> None:
    """Readers that do not say what lies before the first frame read what others have kept."""
    for base, fill in list(plan.depths):
        others = [f for b, f in plan.depths if b == base and f is not None]
        if fill is None and others:
            depth = plan.depths.pop((base, None))
            plan.depths[base, others[0]] = max(depth, plan.depths[base, others[0]])
            plan.shared[base] = others[0]


def _output(writer: _Writer, network: Network, plan: StreamPlan, port: Port) -> Port:
    read = plan.outputs.get(port.tensor)
    if read is None:
        return port
    whole = network.tensors[port.tensor].shape
    name = writer.rows(read, f"{port.tensor}.newest")
    made = _with_rows(port, whole, read.tensor.axis, read.last - read.first)
    return replace(made, tensor=name)


def _stream(plan: StreamPlan, states: Sequence[State], axis: int) -> Stream:
    frames, late = plan.frames, -(-plan.delay // plan.frames)
    window = -(-plan.total // frames)
    lost = [
        plan.total - read.tensor.total * frames // read.tensor.shift
        for read in plan.outputs.values()
    ]
    first = window - 1 if plan.windowed else -(-max([plan.lost, *lost]) // frames)
    return Stream(tuple(states), frames, axis, first + 2 * late, late, window + 2 * late)


def _inner_axis(port: Port, shape: Shape, axis: int) -> int | None:
    """The axis in memory on which the user's ``axis`` lies."""
    places = np.unravel_index(port.places.reshape(port.shape), shape)
    wanted = along(np.arange(port.shape[axis]), axis, len(port.shape))
    for inner, rows in enumerate(places):
        if inner and bool((rows == wanted).all()):
            return inner
    return None


def _with_rows(port: Port, whole: Shape, inner: int, rows: int) -> Port:
    """``port`` with so many rows on the axis that lies at ``inner`` in memory."""
    if whole[inner] == rows:
        return port
    outer = next(
        a for a in range(1, len(port.shape))
        if port.shape[a] == whole[inner] and _inner_axis(port, whole, a) == inner
    )  # fmt: skip
    kept = np.take(port.places.reshape(port.shape), range(rows), outer)
    places = np.unravel_index(kept, whole)
    found = np.ravel_multi_index(places, shape_with(whole, inner, rows)).reshape(-1)
    own = None if np.array_equal(found, np.arange(len(found))) else found
    return replace(port, shape=shape_with(port.shape, outer, rows), order=own)
