"""Makes one sum of two with constants: a class token and positions cost one addition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Graph, Node
from mcuq.passes.rewrite import is_clipped, named, sole_consumer, swap, until_stable, with_constants


def join_sums(graph: Graph) -> Graph:
    """``graph`` with every ``(x + a) + b`` as ``x + (a + b)``."""
    return until_stable(_step, graph)


def _step(graph: Graph) -> Graph | None:
    for node in graph.nodes:
        second = sole_consumer(graph, node.output)
        if second is None or is_clipped(node):
            continue
        indices = [_constant_index(graph, n) for n in (node, second)]
        if None in indices or graph.shape(node.output) != graph.shape(second.output):
            continue
        first, last = (
            graph.data(n.inputs[i]).astype(np.float64)
            for n, i in zip((node, second), indices, strict=True)
            if i is not None
        )
        whole = replace(node, outputs=second.outputs, attrs=second.attrs)
        made, added = with_constants(graph, whole, {indices[0] or 0: first + last})
        return swap(graph, (node, second), (made,), named(added))
    return None


def _constant_index(graph: Graph, node: Node) -> int | None:
    """Which operand of a sum is its constant."""
    fixed = [i for i, name in enumerate(node.inputs) if graph.is_constant(name)]
    data = [name for name in node.inputs if not graph.is_constant(name)]
    whole = len(data) == 1 and graph.shape(data[0]) == graph.shape(node.output)
    return fixed[0] if node.op == "add" and len(fixed) == 1 and whole else None
