"""What compression did to each layer, and to the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mcuq.compress.request import Methods
from mcuq.data.rows import thinned
from mcuq.ir import Array, Graph, Node
from mcuq.ops import has_weights, layout_of
from mcuq.ops.parts.coded import joined
from mcuq.quantize.simulate import decibels, output_names, relative_error
from mcuq.quantize.structure import recurrent, weighted
from mcuq.reference import feeds_to_float, run_float
from mcuq.schema.records import Bytes

ROWS = 64


@dataclass(frozen=True)
class LayerNote:
    """What compression did to a layer."""

    layer: Annotated[str, "its name"]
    methods: Annotated[str, "what was done to it"]
    before: Annotated[Bytes, "weights before"]
    after: Annotated[Bytes, "weights now"]
    nonzero: Annotated[Bytes, "of these, not zero"]
    values: Annotated[Bytes, "distinct ones; where channels share a table, those in it"]
    sqnr_db: Annotated[
        float | None, "of its output against before; null: no data, or another shape"
    ]


@dataclass(frozen=True)
class LayerGain(LayerNote):
    """And what that brings on the core, next to the network before."""

    flash_before: Annotated[Bytes, "bytes of constants before"]
    flash: Annotated[Bytes, "and now"]
    cycles_before: Annotated[Bytes, "estimated cycles before"]
    cycles: Annotated[Bytes, "and now"]
    kernel: Annotated[str, "the C function that runs it now"]
    dense: Annotated[bool, "the kernel stores all weights as they are"]
    pays: Annotated[bool, "it got smaller or faster"]
    why: Annotated[str, "what other kernels would take, if it stayed dense for all that"]


@dataclass(frozen=True)
class Compression:
    """What was left out before quantizing."""

    output_sqnr_db: Annotated[
        float | None, "of the smaller float network against the whole one; null: no data"
    ]
    layers: Annotated[tuple[LayerGain, ...], "those with weights"]


def notes_of(
    before: Graph,
    after: Graph,
    methods: Mapping[str, Methods],
    calibration: Mapping[str, Array] | None,
) -> tuple[LayerNote, ...]:
    """One note per layer with weights, in order."""
    pairs = {node.name: node for node in _layers(before)}
    found = _sqnrs(before, after, calibration)
    notes = []
    for node in _layers(after):
        weights = _weights(after, node)
        notes.append(
            LayerNote(
                node.name,
                str(methods[node.name]),
                _weights(before, pairs[node.name]).size,
                weights.size,
                int(np.count_nonzero(weights)),
                len(np.unique(_in_table(weights, _rows_axis(node)))),
                found.get(node.output),
            )
        )
    return tuple(notes)


def _layers(graph: Graph) -> tuple[Node, ...]:
    return (*weighted(graph), *recurrent(graph))


def _weights(graph: Graph, node: Node) -> Array:
    """Of a recurrent layer those of input and state, side by side."""
    if has_weights(node):
        return graph.data(node.inputs[1])
    return np.concatenate([graph.data(name) for name in node.inputs[1:3]], axis=1)


def _rows_axis(node: Node) -> int:
    return layout_of(node).outputs if has_weights(node) else 0


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
    return thinned(feeds_to_float(graph, calibration), ROWS)
