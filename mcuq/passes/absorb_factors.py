"""Takes products with one number out where the operator behind them undoes or holds a factor.

A softmax of ``c x`` is the softmax of x with c in its scale: attention's 1 / sqrt(d) costs nothing.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.spec import Scaling, Values
from mcuq.passes.rewrite import is_clipped, reading, sole_consumer, swap, until_stable


def absorb_factors(graph: Graph) -> Graph:
    """``graph`` without the products with a positive number before a softmax."""
    return until_stable(_absorbed, graph)


def _absorbed(graph: Graph, node: Node) -> Graph | None:
    factor = _factor(graph, node)
    if factor is None:
        return None
    *moves, reader = _behind(graph, node)
    if reader is node or spec(reader.op).scaling is not Scaling.ABSORBED:
        return None
    data = next(name for name in node.inputs if not graph.is_constant(name))
    changed = spec(reader.op).rescaled(reader, 1 / factor)
    chain = [reading(n, node.output, data) for n in (*moves[1:], changed)]
    return swap(graph, (*moves, reader), chain)


def _behind(graph: Graph, node: Node) -> list[Node]:
    """``node``, what only moves its output, and what reads them, as long as nothing else does."""
    chain = [node]
    while (reader := sole_consumer(graph, chain[-1].output)) is not None:
        chain.append(reader)
        if spec(reader.op).values < Values.SAME:
            break
    return chain


def _factor(graph: Graph, node: Node) -> Array | None:
    """The one positive number that ``node`` multiplies its data with."""
    if node.op != "mul" or is_clipped(node):
        return None
    numbers = [graph.data(name) for name in node.inputs if graph.is_constant(name)]
    single = len(numbers) == 1 and numbers[0].size == 1 and numbers[0].item() > 0
    return numbers[0].reshape(-1).astype(np.float64) if single else None
