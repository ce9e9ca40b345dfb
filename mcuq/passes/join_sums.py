"""Makes one sum of two with constants: a class token and positions cost one addition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Graph, Node
from mcuq.passes.rewrite import is_clipped, sole_consumer, swap, until_stable, with_constants


def join_sums(graph: Graph) -> Graph:
    """``graph`` with every ``(x + a) + b`` as ``x + (a + b)``."""
    return until_stable(_as_one, graph)


def _as_one(graph: Graph, node: Node) -> Graph | None:
    second = sole_consumer(graph, node.output)
    if second is None or is_clipped(node):
        return None
    index, then = _constant_index(graph, node), _constant_index(graph, second)
    if index is None or then is None or graph.shape(node.output) != graph.shape(second.output):
        return None
    first, last = graph.data(node.inputs[index]), graph.data(second.inputs[then])
    total = first.astype(np.float64) + last.astype(np.float64)
    whole = replace(node, outputs=second.outputs, attrs=second.attrs)
    made, added = with_constants(graph, whole, {index: total})
    return swap(graph, (node, second), (made,), added)


def _constant_index(graph: Graph, node: Node) -> int | None:
    """Which operand of a sum is its constant."""
    fixed = [i for i, name in enumerate(node.inputs) if graph.is_constant(name)]
    data = [name for name in node.inputs if not graph.is_constant(name)]
    whole = len(data) == 1 and graph.shape(data[0]) == graph.shape(node.output)
    return fixed[0] if node.op == "add" and len(fixed) == 1 and whole else None
