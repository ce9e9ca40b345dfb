"""What firmware does with scores, as the last steps of a stream: ``[output.NAME.decide]``.

mean = 5          # scores are means of the last so many
on = 0.8          # a class begins where its mean is so much, in the output's own reals
off = 0.6         # and ends where it is less; as on, if nothing is said
refractory = 30   # steps from one beginning to the next, at least
ignore = [0, 1]   # classes that never begin, by number from 0 or by label

Behind the output comes another, NAME_decision, of three s16: the class that begins at this step,
the one that is held, counted from 1, 0 for none, and the steps in which no other can begin. A
network without a state is a stream then. Before the first step scores were the least that their
format holds; in a warm-up nothing begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np

from mcuq.errors import McuqError, ModelError, closest
from mcuq.fixed import RANGES
from mcuq.ir import Array, Graph, Node, Port, Shape, State, Stream, Tensor, states_of, unique_name
from mcuq.ops.signal import decide as op
from mcuq.ops.spec import Format
from mcuq.qir import QGraph, QTensor, frac_of
from mcuq.reference import port_to_real
from mcuq.schema import Misfit, Reader, real, whole
from mcuq.schema.tables import read_table

_Any = TypeVar("_Any", Graph, QGraph)
_STATE = Format("s16", 0, 0)


@dataclass(frozen=True)
class Decision:
    """``ignore``: classes by number from 0 or by label."""

    on: float
    off: float
    mean: int = 1
    refractory: int = 0
    ignore: tuple[int | str, ...] = ()


def decisions(scores: Array, made: Decision) -> Array:
    """(T, C) reals -> (T, 3), as the C gives it for integers.

    The float twin of the C, for scores of a file or of another network.

    >>> scores = np.array([[0.1], [0.9], [0.9], [0.7], [0.2], [0.9]])
    >>> decisions(scores, Decision(on=0.8, off=0.5, refractory=3)).T.tolist()
    [[0, 1, 0, 0, 0, 1], [0, 1, 1, 1, 0, 1], [0, 3, 2, 1, 0, 3]]
    """
    classes = scores.shape[1]
    counted = tuple(int(i not in made.ignore) for i in range(classes))
    node = Node("decide", "decide", (), (), {"refractory": made.refractory, "counted": counted})
    last, found = np.zeros((1, 3), np.int64), []
    padded = np.concatenate([np.full((made.mean - 1, classes), -np.inf), scores])
    for t in range(len(scores)):
        mean = padded[t : t + made.mean].sum(axis=0, keepdims=True) / made.mean
        last = op.decisions(mean, last, made.on, made.off, node)
        found.append(last[0])
    return np.array(found)


def from_table(given: object, thing: str) -> Decision:
    """The decision that a table says; ``thing`` names it in errors."""
    if not isinstance(given, Mapping):
        raise McuqError(thing, "is not a table", "Write such as decide = { on = 0.8 }")
    readers: Mapping[str, Reader[object]] = {
        "mean": whole(1, op.LONGEST),
        "on": real(),
        "off": real(),
        "refractory": whole(0, op.LONGEST),
        "ignore": _classes,
    }
    read = read_table(given, readers, thing, {"on": "Say at which score a class begins"})
    made = Decision(**{"off": read["on"], **read})
    if made.off > made.on:
        raise McuqError(thing, f"off = {made.off:g} is above on = {made.on:g}", "Lower off")
    return made


def _classes(value: object, place: str) -> tuple[int | str, ...]:
    if not isinstance(value, (list, tuple)) or not all(map(_is_class, value)):
        raise Misfit(place, "a list of numbers and labels", value)
    return tuple(value)


def _is_class(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def check_wanted(wanted: Mapping[str, Decision], graph: Graph) -> None:
    """Refuse decisions, by output, for which the network has no such output or classes."""
    names = {port.name: port for port in graph.outputs}
    for name, made in wanted.items():
        if name not in names:
            remedy = closest(name, names, f"Outputs: {', '.join(names)}")
            raise ModelError(graph.name, f"has no output '{name}'", remedy)
        port = names[name]
        _counted(made, port, graph.shape(port.tensor), f"{graph.name}: output.{name}.decide")


def _counted(made: Decision, port: Port, shape: Shape, thing: str) -> tuple[int, ...]:
    """1 for each class that may begin."""
    classes = shape[-1]
    if int(np.prod(shape)) != classes or classes > op.MOST_CLASSES:
        raise ModelError(thing, f"scores of shape {shape} are not one for each class")
    ignored = set()
    for each in made.ignore:
        if isinstance(each, str) and each not in port.labels:
            raise ModelError(thing, f"no label '{each}'", closest(each, port.labels, "Give labels"))
        place = port.labels.index(each) if isinstance(each, str) else each
        if not 0 <= place < classes:
            raise ModelError(thing, f"ignores class {place} of {classes}", "Count from 0")
        ignored.add(place)
    return tuple(int(place not in ignored) for place in range(classes))


def starts_of(qgraph: QGraph, wanted: Mapping[str, Decision]) -> dict[str, float]:
    """What scores were before the first step, by output."""
    found = {}
    for port in qgraph.outputs:
        if port.name in wanted:
            tensor = qgraph.tensors[port.tensor]
            if tensor.kind not in ("s8", "s16") or len(set(port.scale)) != 1:
                reason = f"output '{port.name}' holds no scores of one scale"
                raise ModelError(qgraph.name, reason, "Decide on another output")
            low = np.array([RANGES[tensor.kind][0]])
            found[port.name] = float(port_to_real(port, low).reshape(-1)[0])
    return found


def decided(network: _Any, wanted: Mapping[str, Decision], starts: Mapping[str, float]) -> _Any:
    """``network``, of float or of integers, with its decisions behind it."""
    for name, made in wanted.items():
        network = cast(_Any, _with(network, name, made, starts[name]))
    return network


def _with(network: Graph | QGraph, name: str, made: Decision, start: float) -> Graph | QGraph:
    port = next(p for p in network.outputs if p.name == name)
    writer = _Writer(network, port)
    row, classes = port.tensor, network.tensors[port.tensor].shape[-1]
    rows = writer.add("reshape", (row,), f"{name}.row", (1, 1, classes), {"shape": (1, 1, classes)})
    if made.mean > 1:
        shape = (1, made.mean, classes)
        kept = writer.read(f"{name}.scores", shape, np.full(shape, start, np.float32))
        rows = writer.add("push", (kept, rows), f"{name}.last", shape, {"axis": 1})
        writer.write(kept, rows)
    waits = np.zeros((1, 3), np.float32)
    waits[0, 2] = network.stream.warmup + 1 if network.stream and network.stream.warmup else 0
    before = writer.read(f"{name}.held", (1, 3), waits, _STATE)
    attrs = {
        **_limits(network, port, made),
        "refractory": made.refractory,
        "counted": _counted(made, port, network.tensors[port.tensor].shape, name),
    }
    after = writer.add("decide", (rows, before), f"{name}.decided", (1, 3), attrs, _STATE)
    writer.write(before, after, _STATE)
    return writer.network(_port(f"{name}_decision", after, (1, 3), _STATE), made.mean)


def _limits(network: Graph | QGraph, port: Port, made: Decision) -> dict[str, float]:
    if isinstance(network, Graph):
        return {"on": made.on, "off": made.off}
    tensor = network.tensors[port.tensor]
    frac, top = frac_of(tensor), tensor.range[1]
    if op.limit(made.on, 1, frac, tensor.zero) > top:
        reach = (top - tensor.zero) * 2.0**-frac
        reason = f"no class begins at {made.on:g}: in integers scores reach {reach:.4g}"
        raise ModelError(f"output.{port.name}.decide", reason, "Lower on")
    return {
        key: op.limit(mean, made.mean, frac, tensor.zero)
        for key, mean in (("on", made.on), ("off", made.off))
    }


def _port(name: str, tensor: str, shape: Shape, numbers: Format) -> Port:
    scale, offset = (2.0**-numbers.frac,), (float(numbers.zero),)
    return Port(name, tensor, shape, None, numbers.kind, scale, offset)


class _Writer:
    """What is put behind a network, node by node."""

    def __init__(self, network: Graph | QGraph, port: Port) -> None:
        self.given, self.port = network, port
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor | QTensor] = dict(network.tensors)
        self.reads: list[Port] = []
        self.writes: list[Port] = []
        self.starts: list[Array] = []

    def add(
        self,
        kind: str,
        inputs: tuple[str, ...],
        wanted: str,
        shape: Shape,
        attrs: Mapping[str, object],
        numbers: Format | None = None,
    ) -> str:
        """A node; the numbers of its output are those of the scores, if nothing is said."""
        name = self._tensor(wanted, shape, numbers)
        self.nodes.append(Node(kind, name, inputs, (name,), attrs))
        return name

    def _tensor(self, wanted: str, shape: Shape, numbers: Format | None) -> str:
        name, scores = unique_name(self.tensors, wanted), self.tensors[self.port.tensor]
        if not isinstance(scores, QTensor):
            self.tensors[name] = Tensor(name, shape)
        elif numbers is None:
            self.tensors[name] = replace(scores, name=name, shape=shape)
        else:
            self.tensors[name] = QTensor(name, shape, numbers.kind, numbers.frac, numbers.zero)
        return name

    def read(self, wanted: str, shape: Shape, start: Array, numbers: Format | None = None) -> str:
        """A state, as it is read."""
        name = self._tensor(wanted, shape, numbers)
        self.reads.append(self._state_port(name, shape, numbers))
        self.starts.append(start)
        return name

    def write(self, read: str, written: str, numbers: Format | None = None) -> None:
        """What the state that was read last is at the next step."""
        self.writes.append(self._state_port(written, self.tensors[written].shape, numbers))

    def _state_port(self, name: str, shape: Shape, numbers: Format | None) -> Port:
        if not isinstance(self.given, QGraph):
            return Port(name, name, shape)
        if numbers is not None:
            return _port(name, name, shape, numbers)
        return replace(self.port, name=name, tensor=name, shape=shape, order=None, labels=())

    def network(self, shown: Port, field: int) -> Graph | QGraph:
        """The network with what was written; ``field``: steps that it looks back."""
        given, found = self.given, self.tensors
        old = given.stream or Stream(())
        pairs = zip(self.reads, self.writes, self.starts, strict=True)
        states = (*states_of(given), *(State(r.name, w.name, s) for r, w, s in pairs))
        stream = replace(old, states=states, field=old.field + field)
        inputs, nodes = (*given.inputs, *self.reads), (*given.nodes, *self.nodes)
        if isinstance(given, QGraph):
            outputs = (*given.outputs, shown, *self.writes)
            whole = {n: t for n, t in found.items() if isinstance(t, QTensor)}
            return QGraph(given.name, inputs, outputs, nodes, whole, stream)
        shown = Port(shown.name, shown.tensor, shown.shape)
        outputs = (*given.outputs, shown, *self.writes)
        real = {n: t for n, t in found.items() if isinstance(t, Tensor)}
        return replace(
            given, inputs=inputs, outputs=outputs, nodes=nodes, tensors=real, stream=stream
        )
