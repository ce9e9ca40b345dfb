"""``mcuq_model.npz``: the networks and vectors behind a generated folder, so that ``check``,
``eval``, ``bench`` and ``run`` need nothing but that folder. JSON and plain arrays, no pickles.

The folder may be somebody else's: what is read is checked by a schema, value for value, then as a
fresh network is (``validate``), and the board as a board file is. It never names a program.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mcuq.data.stored import arrays_in
from mcuq.emit import naming
from mcuq.errors import DataError, McuqError, brief
from mcuq.files import MARK, read_file
from mcuq.files.journal import repair
from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, Graph, Node, Port, Shape, State, Stream, Tensor, states_of
from mcuq.model.report import History
from mcuq.ops import validate
from mcuq.program.choose import PREFERENCES
from mcuq.qir import QGraph, QTensor
from mcuq.schema import (
    MANY,
    Misfit,
    Record,
    choice,
    from_json,
    optional,
    real,
    record,
    row,
    several,
    shown,
    table,
    text,
    whole,
)  # fmt: skip
from mcuq.schema.records import plain, read
from mcuq.targets import boards
from mcuq.targets.boards import Board

FILE = MARK
_FORMAT = 3
_MAX_BYTES = 1 << 31
_MAX_DEPTH = 8
_NAMED = 3  # so many faults are named

_KEYS = (
    "format", "id", "source", "digest", "board", "prefer", "graph", "qgraph", "vectors", "rounded",
    "quantization", "whole", "family", "weights",
)  # fmt: skip
_GRAPH_KEYS = ("name", "inputs", "outputs", "nodes", "tensors", "stream")
_STREAM_KEYS = ("states", "frames", "axis", "warmup", "delay", "field")
_STATE_KEYS = ("read", "written", "start")
_PORT_KEYS = ("name", "tensor", "shape", "order", "kind", "scale", "offset", "labels")
_NODE_KEYS = ("op", "name", "inputs", "outputs", "attrs")
_TENSOR_KEYS = ("name", "shape", "data")
_QTENSOR_KEYS = (*_TENSOR_KEYS, "kind", "frac", "zero")

_Named = TypeVar("_Named", Tensor, QTensor)
_NAME = text(1 << 12)
_NAMES = several(_NAME)
_SHAPE = several(whole(1), 1, 8)
_KIND = choice(RANGES)


@dataclass(frozen=True, repr=False)
class Bundle:
    """``vectors``: up to 32 calibration rows by input name, as integers in internal order.

    ``rounded``: the float network whose numbers were rounded, if it is not ``graph`` itself: the
    same function with rescaled channels. ``history``: what was done, as the report says it.
    ``whole``: the network before ``graph`` was compressed, if it was. ``family``: boards of all the
    cores, ``board`` the first, for which one folder holds the C; empty if it is for one, or none.
    ``weights``: the version of the weights, if they lie apart from the code.
    """

    id: str
    source: str
    digest: str
    board: Board | None
    prefer: str
    graph: Graph
    qgraph: QGraph
    vectors: Mapping[str, Array]
    rounded: Graph | None = None
    history: History = field(default_factory=History)
    whole: Graph | None = None
    family: tuple[Board, ...] = ()
    weights: int | None = None

    def __repr__(self) -> str:
        return brief("Bundle", self.id, f"{len(self.qgraph.nodes)} nodes")


class _Arrays:
    """Arrays by number: JSON holds the numbers, the npz the arrays."""

    def __init__(self) -> None:
        self.stored: dict[str, Array] = {}

    def put(self, data: Array | None) -> int | None:
        if data is None:
            return None
        self.stored[f"a{len(self.stored)}"] = np.ascontiguousarray(data)
        return len(self.stored) - 1


def dump(bundle: Bundle) -> bytes:
    """The bytes of the npz file: the same for the same bundle."""
    arrays = _Arrays()
    facts = {
        "format": _FORMAT,
        "id": bundle.id,
        "source": bundle.source,
        "digest": bundle.digest,
        "board": boards.to_table(bundle.board) if bundle.board else None,
        "prefer": bundle.prefer,
        "graph": _graph(bundle.graph, arrays),
        "qgraph": _graph(bundle.qgraph, arrays),
        "vectors": {name: arrays.put(v) for name, v in sorted(bundle.vectors.items())},
        "rounded": _graph(bundle.rounded, arrays) if bundle.rounded else None,
        "quantization": plain(bundle.history),
        "whole": _graph(bundle.whole, arrays) if bundle.whole else None,
        "family": [boards.to_table(board) for board in bundle.family],
        "weights": bundle.weights,
    }
    content = np.frombuffer(json.dumps(facts, default=_scalar).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, facts=content, **arrays.stored)
    return stream.getvalue()


def _graph(graph: Graph | QGraph, arrays: _Arrays) -> dict[str, Any]:
    """``stream`` is there if the network is one."""
    facts = {
        "name": graph.name,
        "inputs": [_port(p, arrays) for p in graph.inputs],
        "outputs": [_port(p, arrays) for p in graph.outputs],
        "nodes": [[n.op, n.name, n.inputs, n.outputs, dict(n.attrs)] for n in graph.nodes],
        "tensors": [_tensor(graph.tensors[name], arrays) for name in sorted(graph.tensors)],
    }
    return {**facts, "stream": _stream(graph.stream, arrays)} if graph.stream else facts


def _stream(stream: Stream, arrays: _Arrays) -> dict[str, Any]:
    states = [[s.read, s.written, arrays.put(s.start)] for s in stream.states]
    numbers = {key: getattr(stream, key) for key in _STREAM_KEYS if key != "states"}
    return {"states": states, **numbers}


def _port(port: Port, arrays: _Arrays) -> list[Any]:
    order = arrays.put(port.order)
    numbers = (port.kind, port.scale, port.offset)
    return [port.name, port.tensor, port.shape, order, *numbers, port.labels]


def _tensor(tensor: Tensor | QTensor, arrays: _Arrays) -> list[Any]:
    data = arrays.put(tensor.data)
    if isinstance(tensor, Tensor):
        return [tensor.name, tensor.shape, data]
    return [tensor.name, tensor.shape, data, tensor.kind, tensor.frac, tensor.zero]


def _scalar(value: Any) -> Any:
    """What json cannot write itself: numpy scalars in attributes."""
    return value.item()


def load(folder: Path) -> Bundle:
    """The bundle of a folder that ``mcuq compile`` wrote, checked whole."""
    path = folder / FILE
    repair(folder)
    if not path.is_file():
        raise DataError(
            str(folder), f"holds no {FILE}", "Name a folder that 'mcuq compile' has written"
        )
    arrays = _stored(path)
    try:
        facts = from_json(arrays["facts"].tobytes())
        made = _bundle(facts, arrays)
    except (ValueError, KeyError) as error:
        raise _damaged(path, str(error)) from error
    except McuqError as error:  # of the board or the name, which have checks of their own
        raise _damaged(path, f"{error.thing}: {error.reason}") from error
    faults = list(islice(_problems(made), _NAMED + 1))
    if faults:
        more = "; and more" if len(faults) > _NAMED else ""
        raise _damaged(path, "; ".join(faults[:_NAMED]) + more)
    return made


def _damaged(path: Path, why: str) -> DataError:
    return DataError(str(path), f"is damaged, changed or of another version ({why})", _REMEDY)


_REMEDY = "Compile the model again"


def _stored(path: Path) -> dict[str, Array]:
    """The arrays of the file by name."""
    try:
        return arrays_in(read_file(path, _MAX_BYTES), _MAX_BYTES)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _bundle(facts: object, arrays: Mapping[str, Array]) -> Bundle:
    found = record(facts, "", _KEYS)
    if found.values.get("format") != _FORMAT:
        raise ValueError(f"format {shown(found.values.get('format'))}")
    reader = _Reader(arrays)
    return Bundle(
        naming.check_id(found.read("id", _NAME)),
        found.read("source", _NAME),
        found.read("digest", text(64)),
        found.read("board", optional(boards.from_table)),
        found.read("prefer", choice(PREFERENCES)),
        found.read("graph", reader.graph),
        found.read("qgraph", reader.qgraph),
        found.read("vectors", table(reader.array, _NAME)),
        found.read("rounded", optional(reader.graph)),
        found.read("quantization", _history),
        found.read("whole", optional(reader.graph)),
        found.read("family", several(boards.from_table, 0)),
        found.read("weights", optional(whole(0))),
    )


@dataclass(frozen=True)
class _Reader:
    """Makes networks of the lists that ``_graph`` wrote."""

    arrays: Mapping[str, Array]

    def graph(self, value: object, place: str) -> Graph:
        found = record(value, place, _GRAPH_KEYS)
        tensors = found.read("tensors", several(self.tensor, 1))
        return Graph(
            found.read("name", _NAME),
            found.read("inputs", several(self.port, 1)),
            found.read("outputs", several(self.port, 1)),
            found.read("nodes", several(_node, 0)),
            _by_name(tensors, place),
            stream=self._stream_of(found),
        )

    def _stream_of(self, graph: Record) -> Stream | None:
        return graph.read("stream", self.stream) if "stream" in graph.values else None

    def stream(self, value: object, place: str) -> Stream:
        found = record(value, place, _STREAM_KEYS)
        return Stream(
            found.read("states", several(self.state, 1)),
            found.read("frames", whole(1)),
            found.read("axis", optional(whole(0, 7))),
            found.read("warmup", whole(0)),
            found.read("delay", whole(0)),
            found.read("field", whole(1)),
        )

    def state(self, value: object, place: str) -> State:
        found = row(value, place, _STATE_KEYS)
        start = found.read("start", self.array)
        if start.dtype != np.float32 or not bool(np.isfinite(start).all()):
            raise Misfit(place, "finite float32", start.dtype)
        return State(found.read("read", _NAME), found.read("written", _NAME), start)

    def qgraph(self, value: object, place: str) -> QGraph:
        found = record(value, place, _GRAPH_KEYS)
        tensors = found.read("tensors", several(self.qtensor, 1))
        return QGraph(
            found.read("name", _NAME),
            found.read("inputs", several(self.port, 1)),
            found.read("outputs", several(self.port, 1)),
            found.read("nodes", several(_node, 0)),
            _by_name(tensors, place),
            self._stream_of(found),
        )

    def array(self, value: object, place: str) -> Array:
        key = f"a{whole(0, MANY)(value, place)}"
        if key not in self.arrays:
            raise Misfit(place, "the number of an array", value)
        return self.arrays[key]

    def tensor(self, value: object, place: str) -> Tensor:
        found = row(value, place, _TENSOR_KEYS)
        return Tensor(*self._named(found))

    def qtensor(self, value: object, place: str) -> QTensor:
        found = row(value, place, _QTENSOR_KEYS)
        name, shape, data = self._named(found)
        kind, zero = found.read("kind", _KIND), found.read("zero", whole())
        return QTensor(name, shape, kind, found.read("frac", _frac), zero, data)

    def _named(self, found: Record) -> tuple[str, Shape, Array | None]:
        shape = found.read("shape", _SHAPE)
        return found.read("name", _NAME), shape, found.read("data", optional(self.array))

    def port(self, value: object, place: str) -> Port:
        found = row(value, place, _PORT_KEYS)
        return Port(
            found.read("name", _NAME),
            found.read("tensor", _NAME),
            found.read("shape", _SHAPE),
            found.read("order", optional(self.array)),
            found.read("kind", _KIND),
            found.read("scale", several(real())),
            found.read("offset", several(real())),
            found.read("labels", _NAMES),
        )


def _by_name(tensors: tuple[_Named, ...], place: str) -> dict[str, _Named]:
    named = {tensor.name: tensor for tensor in tensors}
    if len(named) < len(tensors):
        raise ValueError(f"{place}: two tensors have one name")
    return named


def _frac(value: object, place: str) -> int | tuple[int, ...]:
    one = whole(-validate.FRAC_LIMIT, validate.FRAC_LIMIT)
    return several(one, 1)(value, place) if isinstance(value, list) else one(value, place)


def _node(value: object, place: str) -> Node:
    """A node; its attributes are checked by the operator's own schema (``validate``)."""
    found = row(value, place, _NODE_KEYS)
    return Node(
        found.read("op", _NAME),
        found.read("name", _NAME),
        found.read("inputs", _NAMES),
        found.read("outputs", _NAMES),
        found.read("attrs", table(_plain, _NAME)),
    )


def _plain(value: object, place: str, depth: int = 0) -> object:
    """Numbers, texts, and lists of these as tuples."""
    if depth > _MAX_DEPTH or not isinstance(value, (bool, int, float, str, list, type(None))):
        raise Misfit(place, "a plain value", value)
    if isinstance(value, list):
        return tuple(_plain(item, place, depth + 1) for item in value)
    return value


def _history(value: object, place: str) -> History:
    return read(History, value, place)


def _problems(made: Bundle) -> Iterator[str]:
    """What is wrong with the networks, and what does not belong together."""
    yield from validate.integer_problems(made.qgraph)
    for graph in (made.graph, made.rounded, made.whole):
        if graph is not None:
            yield from validate.real_problems(graph)
            yield from _other_ports(graph, made.qgraph)
            if _states(graph) != _states(made.qgraph):
                yield "its float and integer networks keep different states"
    rounded = made.rounded or made.graph
    yield from _unlike(rounded, made.qgraph)
    if set(made.vectors) != {port.name for port in made.qgraph.inputs}:
        yield "its vectors are not those of its inputs"
        return
    for port in made.qgraph.inputs:
        if port.tensor in made.qgraph.tensors:  # else it was said
            yield from _wrong_rows(made.vectors[port.name], made.qgraph.tensors[port.tensor])


def _states(network: Graph | QGraph) -> list[tuple[object, ...]]:
    found = [(s.read, s.written) for s in states_of(network)]
    stream = network.stream
    return [*found, (stream.frames, stream.axis, stream.warmup) if stream else ()]


def _other_ports(graph: Graph, qgraph: QGraph) -> Iterator[str]:
    """Inputs and outputs are the same in floats and integers."""
    for mine, theirs in ((graph.inputs, qgraph.inputs), (graph.outputs, qgraph.outputs)):
        if [(p.name, p.shape) for p in mine] != [(p.name, p.shape) for p in theirs]:
            yield "the inputs and outputs of its float and integer networks differ"
            return
        for a, b in zip(mine, theirs, strict=True):
            same = a.tensor in graph.tensors and b.tensor in qgraph.tensors
            if same and graph.tensors[a.tensor].shape != qgraph.tensors[b.tensor].shape:
                yield f"port '{a.name}' lies otherwise in floats than in integers"


def _unlike(graph: Graph, qgraph: QGraph) -> Iterator[str]:
    """Every activation of the rounded network is one of the integer network, of the same shape."""
    names = [t.name for t in graph.tensors.values() if t.data is None]
    for name in names:
        twin = qgraph.tensors.get(name)
        if twin is None or twin.data is not None or twin.shape != graph.tensors[name].shape:
            yield f"tensor '{name}' of its float network is not in the integer network"
    layers = {node.name: node for node in qgraph.nodes}
    for node in graph.nodes:
        weighted = len(node.inputs) == 3
        twin_node = layers.get(node.name)
        if weighted and (twin_node is None or twin_node.op != node.op):
            yield f"node '{node.name}' of its float network is not in the integer network"


def _wrong_rows(rows: Array, tensor: QTensor) -> Iterator[str]:
    if rows.dtype != DTYPES[tensor.kind] or rows.shape[1:] != tensor.shape[1:] or not len(rows):
        yield f"the vectors of '{tensor.name}' are {rows.dtype} of {rows.shape}"
