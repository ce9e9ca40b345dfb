"""How well the integer network follows the float one, on data it was not calibrated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.errors import DataError
from mcuq.ir import Array, Graph, Node
from mcuq.ops import is_view, spec
from mcuq.ops.spec import Values
from mcuq.qir import QGraph
from mcuq.quantize.structure import logits_of
from mcuq.reference import feeds_to_float, feeds_to_int, port_to_real, run_float, run_int


@dataclass(frozen=True)
class Evaluation:
    """Shares are 0..1; None where they make no sense (no labels, or an output without classes).

    ``agreement``: rows for which both networks name the same class. ``sqnr_db``: signal power over
    noise power of the outputs, or of what a final softmax or argmax reads; the worst output counts.
    """

    samples: int
    float_top1: float | None
    int8_top1: float | None
    agreement: float | None
    sqnr_db: float


def evaluate(
    graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], labels: Array | None = None
) -> Evaluation:
    """Compare on ``feeds`` (as ``data.load`` returns them); the first output is the classifier."""
    pairs = [
        (logits_of(graph, a.tensor), logits_of(qgraph, b.tensor))
        for a, b in zip(graph.outputs, qgraph.outputs, strict=True)
    ]
    first, first_int = graph.outputs[0], qgraph.outputs[0]
    reals = run_float(graph, feeds_to_float(graph, feeds), {first.tensor, *(a for a, _ in pairs)})
    integers = run_int(
        qgraph, feeds_to_int(qgraph, feeds), {first_int.tensor, *(b for _, b in pairs)}
    )
    rows = len(reals[first.tensor])
    expected = classes(graph, first.tensor, reals[first.tensor])
    output = port_to_real(first_int, integers[first_int.tensor])
    found = classes(graph, first.tensor, output)
    if labels is not None:
        _check_labels(graph, labels, reals[first.tensor], expected)
    return Evaluation(
        rows,
        _share(expected, labels),
        _share(found, labels),
        _share(expected, found),
        min(sqnr(reals[a], _real(qgraph, b, integers[b])) for a, b in pairs),
    )


def float_top1(graph: Graph, feeds: Mapping[str, Array], labels: Array) -> float | None:
    """The share of rows whose class the first output of a float network names."""
    name = graph.outputs[0].tensor
    output = run_float(graph, feeds_to_float(graph, feeds), {name})[name]
    return _share(classes(graph, name, output), labels)


def sqnr(exact: Array, found: Array) -> float:
    """Signal power over noise power in dB; infinite if equal.

    >>> round(sqnr(np.array([10.0, 10.0]), np.array([9.0, 11.0])), 3)
    20.0
    """
    signal = float(np.sum(np.square(exact, dtype=np.float64)))
    noise = float(np.sum(np.square(exact.astype(np.float64) - found)))
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal > 0 else float("-inf")


def classes(graph: Graph, name: str, output: Array) -> Array | None:
    """(N,) class numbers: the index of an argmax, the first maximum, or above 0.5 for one sigmoid.

    None where the output is not one vector of classes per row.
    """
    node = _behind_views(graph, name)
    rows = output.reshape(len(output), -1)
    if node is not None and spec(node.op).gives_indices and rows.shape[1] == 1:
        return rows[:, 0].astype(np.int64)
    if rows.shape[1] == 1 and node is not None and node.op == "sigmoid":
        return (rows[:, 0] > 0.5).astype(np.int64)
    if len(graph.shape(name)) == 2 and rows.shape[1] > 1:
        return np.asarray(rows.argmax(axis=1))
    return None


def _behind_views(graph: Graph, name: str) -> Node | None:
    node = graph.producer(name)
    while node is not None and is_view(node):
        node = graph.producer(node.inputs[0])
    return node


def _real(qgraph: QGraph, name: str, integers: Array) -> Array:
    for port in qgraph.outputs:
        if port.tensor == name:
            return port_to_real(port, integers)
    tensor = qgraph.tensor(name)
    scale = _softmax_scale(qgraph, name)
    frac = np.array(tensor.frac, np.float64)
    reals: Array = (integers.astype(np.float64) - tensor.zero) * 2.0**-frac * scale
    return reals


def _softmax_scale(qgraph: QGraph, name: str) -> float:
    """How many times the integers of ``name`` a softmax behind it means."""
    for node in qgraph.consumers(name):
        if spec(node.op).classifies and "scale" in node.attrs:
            return node.float("scale")
        if spec(node.op).values >= Values.SAME:
            return _softmax_scale(qgraph, node.output)
    return 1.0


def _share(a: Array | None, b: Array | None) -> float | None:
    return None if a is None or b is None else float(np.mean(a == b))


def _check_labels(graph: Graph, labels: Array, output: Array, expected: Array | None) -> None:
    if len(labels) != len(output):
        raise DataError("labels", f"{len(labels)} labels for {len(output)} rows")
    if expected is None:
        reason = f"output '{graph.outputs[0].name}' of shape {output.shape} is not a class per row"
        raise DataError("labels", reason, "Evaluate without labels")
    count = output.reshape(len(output), -1).shape[1]
    if count > 1 and int(labels.max(initial=0)) >= count:
        reason = f"class {int(labels.max())} where the network has {count} classes"
        raise DataError("labels", reason, "Number the classes from 0 as the network does")
