"""A pre-flight that needs no data: nodes, shapes, MACs, weights and live memory of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcuq import importers
from mcuq.draw.html import table
from mcuq.errors import brief
from mcuq.importers.sizes import Sizes
from mcuq.ir import Graph, Node, Shape
from mcuq.ops import is_view, spec
from mcuq.passes import pipeline


@dataclass(frozen=True)
class Row:
    """One node after folding and fusing; ``live_bytes``: int8 activations alive while it runs."""

    name: str
    op: str
    input: str
    output: str
    macs: int
    weights: int
    live_bytes: int


@dataclass(frozen=True, repr=False)
class Facts:
    """The table and its totals. ``peak``: the largest live set, inputs and outputs included.

    ``notes``: what the user should know, one sentence each.
    """

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief("Facts", self.name, f"{len(self.rows)} nodes", f"{self.macs:,} MACs")

    def _repr_html_(self) -> str:
        columns = ("node", "op", "input", "output", "#MACs", "#weights", "#live bytes")
        return table(columns, [tuple(asdict(row).values()) for row in self.rows])

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def weights(self) -> int:
        return sum(row.weights for row in self.rows)

    @property
    def peak(self) -> int:
        return max((row.live_bytes for row in self.rows), default=0)

    @property
    def peak_node(self) -> str:
        return max(self.rows, key=lambda row: row.live_bytes).name if self.rows else "nothing"

    def to_json(self) -> dict[str, Any]:
        totals = {"macs": self.macs, "weights": self.weights, "live_bytes": self.peak}
        nodes = [asdict(row) for row in self.rows]
        return {"name": self.name, **totals, "notes": list(self.notes), "nodes": nodes}


def inspect_model(path: Path, shapes: Mapping[str, Shape] | None = None) -> Facts:
    """The facts of a model file; raises every unsupported node at once.

    ``shapes``: by input name, of inputs whose sizes the file leaves open. The graph is compared
    with the file on seeded inputs.
    """
    imported = importers.read(path, Sizes(shapes or {}))
    facts = inspect_graph(pipeline.run(imported.graph))
    return replace(facts, notes=(*facts.notes, *importers.check(imported)))


def inspect_graph(graph: Graph) -> Facts:
    """The facts of a graph as the passes left it."""
    last = _last_readers(graph)
    return Facts(
        graph.name, tuple(_row(graph, i, last) for i in range(len(graph.nodes))), graph.notes
    )


def _last_readers(graph: Graph) -> dict[str, int]:
    """By tensor: the last node that reads it or a view of it."""
    last = {port.tensor: len(graph.nodes) for port in graph.outputs}
    for index, node in reversed(list(enumerate(graph.nodes))):
        view = last.get(node.output, index) if is_view(node) else index
        for name in node.inputs:
            last[name] = max(last.get(name, index), view)
    return last


def _row(graph: Graph, index: int, last: dict[str, int]) -> Row:
    node = graph.nodes[index]
    data = [n for n in node.inputs if not graph.is_constant(n)]
    return Row(
        node.name,
        node.op,
        " ".join(_shape(graph, n) for n in data),
        _shape(graph, node.output),
        _macs(graph, node),
        sum(graph.data(n).size for n in node.inputs if graph.is_constant(n)),
        _live(graph, index, last),
    )


def _macs(graph: Graph, node: Node) -> int:
    shapes = [graph.shape(n) for n in node.inputs]
    return spec(node.op).macs(node, shapes, graph.shape(node.output))


def _shape(graph: Graph, name: str) -> str:
    return "x".join(str(size) for size in graph.shape(name)[1:])


def _live(graph: Graph, index: int, last: dict[str, int]) -> int:
    """Bytes, one per element, of what is written by then and still read at or after the node."""
    born = {port.tensor: -1 for port in graph.inputs}
    born |= {node.output: i for i, node in enumerate(graph.nodes) if not is_view(node)}
    alive = [n for n, start in born.items() if start <= index <= last.get(n, start)]
    return int(sum(np.prod(graph.shape(n)) for n in alive))
