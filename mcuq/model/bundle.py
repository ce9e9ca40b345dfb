"""``mcuq_model.npz``: the networks and vectors behind a generated folder, so that ``check``,
``eval``, ``bench`` and ``run`` need nothing but that folder. JSON and plain arrays, no pickles.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.errors import DataError
from mcuq.files import MARK
from mcuq.ir import Array, Graph, Node, Port, Tensor
from mcuq.journal import repair
from mcuq.qir import QGraph, QTensor
from mcuq.targets.boards import Board, Region

FILE = MARK
_FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """``vectors``: up to 32 calibration rows by input name, as integers in internal order.

    ``rounded``: the float network whose numbers were rounded, if it is not ``graph`` itself: the
    same function with rescaled channels. ``quantization``: what was done, as the report says it.
    ``whole``: the network before ``graph`` was compressed, if it was.
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
    quantization: Mapping[str, Any] = field(default_factory=dict)
    whole: Graph | None = None


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
        "board": asdict(bundle.board) if bundle.board else None,
        "prefer": bundle.prefer,
        "graph": _graph(bundle.graph, arrays),
        "qgraph": _graph(bundle.qgraph, arrays),
        "vectors": {name: arrays.put(v) for name, v in sorted(bundle.vectors.items())},
        "rounded": _graph(bundle.rounded, arrays) if bundle.rounded else None,
        "quantization": dict(bundle.quantization),
        "whole": _graph(bundle.whole, arrays) if bundle.whole else None,
    }
    text = np.frombuffer(json.dumps(facts, default=_scalar).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, facts=text, **arrays.stored)
    return stream.getvalue()


def load(folder: Path) -> Bundle:
    """The bundle of a folder that ``mcuq compile`` wrote."""
    path = folder / FILE
    repair(folder)
    if not path.exists():
        raise DataError(
            str(folder), f"holds no {FILE}", "Name a folder that 'mcuq compile' has written"
        )
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored.items())
        return _bundle(json.loads(arrays["facts"].tobytes()), arrays)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            str(path), f"is damaged or of another version ({error})", "Compile the model again"
        ) from error


def _graph(graph: Graph | QGraph, arrays: _Arrays) -> dict[str, Any]:
    return {
        "name": graph.name,
        "inputs": [_port(p, arrays) for p in graph.inputs],
        "outputs": [_port(p, arrays) for p in graph.outputs],
        "nodes": [[n.op, n.name, n.inputs, n.outputs, dict(n.attrs)] for n in graph.nodes],
        "tensors": [_tensor(graph.tensors[name], arrays) for name in sorted(graph.tensors)],
    }


def _port(port: Port, arrays: _Arrays) -> list[Any]:
    order = arrays.put(port.order)
    return [port.name, port.tensor, port.shape, order, port.kind, port.scale, port.offset]


def _tensor(tensor: Tensor | QTensor, arrays: _Arrays) -> list[Any]:
    data = arrays.put(tensor.data)
    if isinstance(tensor, Tensor):
        return [tensor.name, tensor.shape, data]
    return [tensor.name, tensor.shape, data, tensor.kind, tensor.frac, tensor.zero]


def _bundle(facts: dict[str, Any], arrays: Mapping[str, Array]) -> Bundle:
    if facts["format"] != _FORMAT:
        raise ValueError(f"format {facts['format']}")
    reader = _Reader(arrays)
    return Bundle(
        facts["id"],
        facts["source"],
        facts["digest"],
        _board(facts["board"]) if facts["board"] else None,
        facts["prefer"],
        reader.graph(facts["graph"]),
        reader.qgraph(facts["qgraph"]),
        {name: arrays[f"a{number}"] for name, number in facts["vectors"].items()},
        reader.graph(facts["rounded"]) if facts.get("rounded") else None,
        facts.get("quantization", {}),
        reader.graph(facts["whole"]) if facts.get("whole") else None,
    )


@dataclass(frozen=True)
class _Reader:
    """Makes networks of the lists that ``_graph`` wrote."""

    arrays: Mapping[str, Array]

    def graph(self, facts: dict[str, Any]) -> Graph:
        tensors = {t[0]: Tensor(t[0], tuple(t[1]), self.array(t[2])) for t in facts["tensors"]}
        inputs, outputs = self.ports(facts["inputs"]), self.ports(facts["outputs"])
        return Graph(facts["name"], inputs, outputs, self.nodes(facts), tensors)

    def qgraph(self, facts: dict[str, Any]) -> QGraph:
        tensors = {
            t[0]: QTensor(t[0], tuple(t[1]), t[3], _tuples(t[4]), t[5], self.array(t[2]))
            for t in facts["tensors"]
        }
        inputs, outputs = self.ports(facts["inputs"]), self.ports(facts["outputs"])
        return QGraph(facts["name"], inputs, outputs, self.nodes(facts), tensors)

    def array(self, number: int | None) -> Array | None:
        return None if number is None else self.arrays[f"a{number}"]

    def ports(self, facts: list[Any]) -> tuple[Port, ...]:
        return tuple(
            Port(p[0], p[1], tuple(p[2]), self.array(p[3]), p[4], tuple(p[5]), tuple(p[6]))
            for p in facts
        )

    def nodes(self, facts: dict[str, Any]) -> tuple[Node, ...]:
        return tuple(
            Node(op, name, tuple(inputs), tuple(outputs), {k: _tuples(v) for k, v in attrs.items()})
            for op, name, inputs, outputs, attrs in facts["nodes"]
        )


def _board(facts: dict[str, Any]) -> Board:
    """The board as it was when the model was compiled, whether its file still exists or not."""
    values = {key: _tuples(value) for key, value in facts.items()}
    regions = {k: Region(**v) for k, v in values.items() if isinstance(v, dict)}
    return Board(**{**values, **regions})


def _tuples(value: Any) -> Any:
    """Lists, as JSON gives them, to the tuples that attributes hold."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _scalar(value: Any) -> Any:
    """What json cannot write itself: numpy scalars in attributes."""
    return value.item()
