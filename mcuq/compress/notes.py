"""What compression did to each layer, and to the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.compress.request import Methods
from mcuq.ir import Array, Graph
from mcuq.ops import layout_of
from mcuq.ops.parts.coded import joined
from mcuq.quantize.simulate import decibels, output_names, relative_error
from mcuq.quantize.structure import weighted
from mcuq.reference import feeds_to_float, run_float

ROWS = 64


@dataclass(frozen=True)
class LayerNote:
    """``before`` and ``after``: weights; ``nonzero`` of the latter; ``values``: distinct ones, or
    where the channels share a table, those in it.

    ``sqnr_db``: of the layer's output against that of the network before; None without data, or
    where the shapes differ.
    """

    layer: str
    methods: str
    before: int
    after: int
    nonzero: int
    values: int
    sqnr_db: float | None = None


def notes_of(
    before: Graph,
    after: Graph,
    methods: Mapping[str, Methods],
    calibration: Mapping[str, Array] | None,
) -> tuple[LayerNote, ...]:
    """One note per layer with weights, in order."""
    pairs = {node.name: node for node in weighted(before)}
    found = _sqnrs(before, after, calibration)
    notes = []
    for node in weighted(after):
        weights = after.data(node.inputs[1])
        notes.append(
            LayerNote(
                node.name,
                str(methods[node.name]),
                before.data(pairs[node.name].inputs[1]).size,
                weights.size,
                int(np.count_nonzero(weights)),
                len(np.unique(_in_table(weights, layout_of(node).outputs))),
                found.get(node.output),
            )
        )
    return tuple(notes)


def _in_table(weights: Array, axis: int) -> Array:
    """The weights, without their channels' powers of two where these share a table."""
    table = joined(weights, axis)
    return weights if table is None else table[0]


def output_sqnr(
    before: Graph, after: Graph, calibration: Mapping[str, Array] | None
) -> float | None:
    """The SQNR of the logits in dB, the mean over the outputs; None without data."""
    if not calibration:
        return None
    names = output_names(before)
    exact, found = (run_float(g, _rows(g, calibration), names) for g in (before, after))
    return round(decibels(relative_error(exact, found)), 2)


def _sqnrs(
    before: Graph, after: Graph, calibration: Mapping[str, Array] | None
) -> dict[str, float]:
    if not calibration:
        return {}
    names = {
        node.output
        for node in weighted(after)
        if node.output in before.tensors and before.shape(node.output) == after.shape(node.output)
    }
    exact, found = (run_float(g, _rows(g, calibration), names) for g in (before, after))
    errors = {n: relative_error({n: exact[n]}, {n: found[n]}) for n in sorted(names)}
    return {name: round(decibels(error), 2) for name, error in errors.items()}


def _rows(graph: Graph, calibration: Mapping[str, Array]) -> dict[str, Array]:
    feeds = feeds_to_float(graph, calibration)
    count = len(next(iter(feeds.values())))
    kept = np.unique(np.linspace(0, count - 1, min(count, ROWS)).round().astype(int))
    return {name: values[kept] for name, values in feeds.items()}
