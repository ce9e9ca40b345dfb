"""Takes products with one number out where the operator behind them undoes or holds a factor.

A softmax of ``c x`` is the softmax of x with c in its scale: attention's 1 / sqrt(d) costs nothing.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.spec import Scaling
from mcuq.passes.rewrite import is_clipped, sole_consumer, swap, until_stable


def absorb_factors(graph: Graph) -> Graph:
    """``graph`` without the products with a positive number before a softmax."""
    return until_stable(_step, graph)


def _step(graph: Graph) -> Graph | None:
    for node in graph.nodes:
        factor = _factor(graph, node)
        reader = sole_consumer(graph, node.output)
        if factor is None or reader is None or spec(reader.op).scaling is not Scaling.ABSORBED:
            continue
        data = next(name for name in node.inputs if not graph.is_constant(name))
        changed = spec(reader.op).rescaled(reader, 1 / factor)
        inputs = tuple(data if name == node.output else name for name in reader.inputs)
        moved = Node(changed.op, changed.name, inputs, changed.outputs, changed.attrs)
        return swap(graph, (node, reader), (moved,))
    return None


def _factor(graph: Graph, node: Node) -> Array | None:
    """The one positive number that ``node`` multiplies its data with."""
    if node.op != "mul" or is_clipped(node):
        return None
    numbers = [graph.data(name) for name in node.inputs if graph.is_constant(name)]
    if len(numbers) != 1 or numbers[0].size != 1:
        return None
    factor = numbers[0].reshape(-1).astype(np.float64)
    return factor if factor[0] > 0 else None
