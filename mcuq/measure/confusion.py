"""How often the integer network takes one class for another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.draw.grid import grid
from mcuq.draw.svg import Picture
from mcuq.ir import Array, Graph
from mcuq.measure.evaluate import classes
from mcuq.qir import QGraph
from mcuq.reference import feeds_to_int, port_to_real, run_int

MOST = 40
"""A picture of more classes would be a speckled square."""


def confusion(
    graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], labels: Array
) -> Array | None:
    """(classes, classes) counts: rows of one class that were taken for another.

    ``labels``: (N,) the classes of ``feeds``. None where the first output names no class.
    """
    port, own = graph.outputs[0], qgraph.outputs[0]
    integers = run_int(qgraph, feeds_to_int(qgraph, feeds), {own.tensor})[own.tensor]
    found = classes(graph, port.tensor, port_to_real(own, integers))
    if found is None:
        return None
    count = max(int(labels.max(initial=0)), int(found.max(initial=0)), 1) + 1
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (labels.astype(np.int64), found), 1)
    return counts


def picture(counts: Array) -> Picture | None:
    """The matrix; None if it has too many classes."""
    if len(counts) > MOST:
        return None
    right, rows = int(np.trace(counts)), int(counts.sum())
    told = f"{right:,} of {rows:,} rows right; mixed up most often: {_mixed_up(counts)}"
    return grid("Confusion matrix", told, counts.tolist(), "taken for", "class")


def mixed_up(counts: Array, most: int = 10) -> list[tuple[int, int, int]]:
    """The class, what it was taken for, and how often; the most frequent first."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = (divmod(int(i), len(counts)) for i in order)
    return [(a, b, int(wrong[a, b])) for a, b in places if wrong[a, b]]


def _mixed_up(counts: Array) -> str:
    worst = mixed_up(counts, 3)
    return ", ".join(f"{a} for {b} ({n} times)" for a, b, n in worst) or "none"
