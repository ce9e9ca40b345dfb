"""Ranges of activations without any data: those that an already quantized model states.

A tensor with a scale holds what its integers reach. What the importer has put in between has no
scale of its own; its range follows, in this order, from
1. what it reads, where it only moves or picks values, or where its function bounds them,
2. what reads it, where that only limits, moves or views it: more would be cut off there,
3. its function of values in known ranges, tried out on their ends and on a grid between.
A sum of products with none of these has no known range, and the model then needs data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import isfinite, prod

import numpy as np

from mcuq.ir import Graph, Hint, Node
from mcuq.ops import spec
from mcuq.ops.spec import Flow, Padding, Values
from mcuq.quantize.structure import activations

Span = tuple[float, float]
GRID = 33
MOST = 4_000_000
"""About so many values of one function are tried out."""


def ranges(graph: Graph, dictated: Mapping[str, object]) -> dict[str, Span] | None:
    """The range of every activation; None if one is unknown. ``dictated`` ones need none."""
    if not graph.hints:
        return None
    found: dict[str, Span] = {}
    for name in activations(graph):
        hint, maker = graph.hints.get(name), graph.producer(name)
        if hint is not None and len(hint.scale) == 1:
            found[name] = held(hint)
        elif name in dictated:
            found[name] = (0.0, 0.0)
        else:
            span = None if maker is None else _of_node(graph, maker, found)
            if span is None:
                return None
            found[name] = span
    return found


def held(hint: Hint) -> Span:
    """The reals of the lowest and the highest integer."""
    top = 1 << (hint.bits - 1)
    return (-top - hint.zero) * hint.scale[0], (top - 1 - hint.zero) * hint.scale[0]


def _of_node(graph: Graph, node: Node, found: Mapping[str, Span]) -> Span | None:
    op = spec(node.op)
    low, high = op.bounds(node)
    if isfinite(low) and isfinite(high):
        return low, high
    if op.values >= Values.BETWEEN:
        return _within(_hull(graph, node, found), low, high)
    return _of_readers(graph, node.output) or _tried(graph, node, found)


def _within(span: Span, low: float, high: float) -> Span:
    return min(max(span[0], low), high), max(min(span[1], high), low)


def _hull(graph: Graph, node: Node, found: Mapping[str, Span]) -> Span:
    """All values of the operands, and what pads them."""
    ends = [end for name in node.inputs for end in _ends(graph, name, found)]
    op = spec(node.op)
    if op.padding is Padding.ZERO and any(node.ints("pads")):
        ends.append(0.0)
    if node.op == "pad":
        ends += [float(value) for value in node.attrs["value"]]
    return min(ends), max(ends)


def _ends(graph: Graph, name: str, found: Mapping[str, Span]) -> Span:
    if graph.is_constant(name):
        data = graph.data(name)
        return float(data.min()), float(data.max())
    return found[name]


def _of_readers(graph: Graph, name: str) -> Span | None:
    """The range of what all readers make of ``name``, if they only limit, move or view it."""
    spans = []
    for node in graph.consumers(name):
        if spec(node.op).values < Values.PICKED or node.inputs[0] != name:
            return None
        hint = graph.hints.get(node.output)
        known = held(hint) if hint is not None and len(hint.scale) == 1 else None
        span = known or _of_readers(graph, node.output)
        if span is None:
            return None
        spans.append(span)
    if not spans or graph.is_output(name):
        return None
    return min(low for low, _ in spans), max(high for _, high in spans)


def _tried(graph: Graph, node: Node, found: Mapping[str, Span]) -> Span | None:
    """The least and the largest value of a pointwise function of computed operands."""
    import torch

    op = spec(node.op)
    names = [name for name in node.inputs if not graph.is_constant(name)]
    if op.flow is not Flow.POINTWISE or op.run_float is None or len(set(names)) > 2:
        return None
    size = max(prod(graph.shape(name)) for name in node.inputs)
    grid = max(3, min(GRID, int((MOST / size) ** (1 / len(set(names))))))
    low, high = float("inf"), -float("inf")
    for values in _combinations({name: found[name] for name in names}, grid):
        operands = [
            torch.from_numpy(np.array(graph.data(name), np.float32))
            if graph.is_constant(name)
            else torch.full(graph.shape(name), values[name])
            for name in node.inputs
        ]
        result = op.run_float(node, operands)
        low, high = min(low, float(result.min())), max(high, float(result.max()))
    return (low, high) if isfinite(low) and isfinite(high) else None


def _combinations(spans: Mapping[str, Span], grid: int) -> Iterator[dict[str, float]]:
    """Every combination of evenly spaced values, the ends among them."""
    columns = [np.linspace(low, high, grid) for low, high in spans.values()]
    for row in product(*columns):
        yield {name: float(value) for name, value in zip(spans, row, strict=True)}
