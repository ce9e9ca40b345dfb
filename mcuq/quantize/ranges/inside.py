"""How large values become that only live inside of a node (``OpSpec.inside``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph
from mcuq.ops import spec
from mcuq.ops.parts.exact import shortened
from mcuq.reference import float_constants


class Inner:
    """Gathers what the nodes of ``graph`` hold inside, over rows that come in parts."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = [node for node in graph.nodes if spec(node.op).inside is not None]
        self._constants = float_constants(graph) if self._nodes else {}
        self._largest: dict[str, dict[str, float]] = {node.name: {} for node in self._nodes}

    def add(self, values: Mapping[str, Array]) -> None:
        """More rows: every activation of the graph by name."""
        import torch

        for node in self._nodes:
            inside = spec(node.op).inside
            if inside is None:
                continue
            inputs = [
                self._constants[name] if name in self._constants else torch.from_numpy(values[name])
                for name in node.inputs
            ]
            largest = self._largest[node.name]
            with torch.no_grad():
                for key, value in inside(node, inputs).items():
                    largest[key] = max(largest.get(key, 0.0), value)

    def noted(self) -> Graph:
        """The graph whose nodes say as attributes what was seen."""
        nodes = tuple(
            node.with_attrs(
                **{key: float(shortened(np.array(value))) for key, value in seen.items()}
            )
            if (seen := self._largest.get(node.name))
            else node
            for node in self._graph.nodes
        )
        return replace(self._graph, nodes=nodes)
