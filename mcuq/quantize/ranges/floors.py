"""Values so low that nothing of them shows: what masks add before a softmax or a maximum.

A mask of -1e4 leaves nothing of a score, and a scale that held it would leave nothing of the
others. Below the largest of a row, less what a softmax can tell apart, all values are alike: there
tensors may saturate, and so may what is added to make them. So it is below a maximum, and where a
sigmoid or another function of one value is flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.spec import Bounds, Values
from mcuq.quantize.structure import logits_of
from mcuq.reference import float_constants


class Floors:
    """Finds below which value nothing of a tensor shows, over rows that come in parts."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = [node for node in graph.nodes if spec(node.op).unseen is not None]
        self._constants = float_constants(graph) if self._nodes else {}
        self._lowest = {node.name: math.inf for node in self._nodes}

    def add(self, values: Mapping[str, Array]) -> None:
        """More rows: every activation of the graph by name."""
        import torch

        for node in self._nodes:
            unseen = spec(node.op).unseen
            if unseen is None:
                continue
            inputs = [
                self._constants[name] if name in self._constants else torch.from_numpy(values[name])
                for name in node.inputs
            ]
            self._lowest[node.name] = min(self._lowest[node.name], unseen(node, inputs))

    def found(self, spans: Mapping[str, Bounds]) -> dict[str, float]:
        """The floors of activations and constants that reach below them; ``spans`` of activations.

        A tensor has one if all that read it have, and errors are not measured at it.
        """
        if not self._nodes:
            return {}
        held = {n: t.data for n, t in self._graph.tensors.items() if t.data is not None}
        known = {n: (float(d.min()), float(d.max())) for n, d in held.items() if d.size}
        known.update(spans)
        ports = [port.tensor for port in self._graph.outputs]
        shown = {*ports, *(logits_of(self._graph, name) for name in ports)}
        floors = dict.fromkeys(shown, -math.inf)
        for node in reversed(self._graph.nodes):
            wanted = self._of_inputs(node, floors.get(node.output, -math.inf), known)
            for name, floor in wanted.items():
                floors[name] = min(floors.get(name, math.inf), floor)
        return {name: floor for name, floor in floors.items() if known[name][0] < floor}

    def _of_inputs(self, node: Node, floor: float, spans: Mapping[str, Bounds]) -> dict[str, float]:
        """The floor of each input of ``node``, whose output has ``floor``."""
        op = spec(node.op)
        given = [-math.inf] * len(node.inputs)
        if floor > -math.inf and op.floors is not None:
            given = list(op.floors(floor, [spans[name] for name in node.inputs]))
        elif op.joins:
            given = [floor] * len(node.inputs)
        elif op.values >= Values.PICKED:
            given[0] = floor
        given[0] = max(given[0], self._lowest.get(node.name, -math.inf))
        found: dict[str, float] = {}
        for name, low in zip(node.inputs, given, strict=True):
            found[name] = min(found.get(name, math.inf), low)
        return found


def raised(graph: Graph, floors: Mapping[str, float]) -> Graph:
    """``graph`` whose constants do not reach below their ``floors``."""
    tensors = dict(graph.tensors)
    for name, floor in floors.items():
        tensor = tensors[name]
        if tensor.data is not None:
            tensors[name] = replace(tensor, data=np.maximum(tensor.data, np.float32(floor)))
    return replace(graph, tensors=tensors)
