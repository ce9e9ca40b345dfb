"""The integer network judged on rows: how close it is to the float one, and what is lost in it.

Columns (the last axis of an output, such as classes) are judged one by one, for an error that is
small beside the largest column may be all there is of another. Behind a softmax or an argmax their
inputs are judged, which alone say how close a decision is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.data.rows import evenly, rows_of
from mcuq.fixed import RANGES
from mcuq.ir import Array, Graph, Node
from mcuq.measure.evaluate import Evaluation, evaluate, maker_of, rounded
from mcuq.model.report import Judged
from mcuq.ops import spec
from mcuq.qir import QGraph, frac_of
from mcuq.quantize.structure import logits_of

POOR_DB = 15.0
BOUNDED_ERROR = 0.02
"""Outputs of functions within -1..1 that err by less are close enough, however small they are."""

OUTLIERS = 0.01
"""Of hundreds of columns one in a hundred may be poor: those of the least signal are."""

SILENT = 1e-6
"""A column varies if its deviation is above this share of its tensor's largest value."""

MOST_ROWS, WORK = 256, 300_000_000
"""At most so many rows are judged, and fewer where they would take more products."""

LISTED = 8
RECONSTRUCTED = 32


@dataclass(frozen=True)
class Judgement:
    """``held_out``: quantization has not seen the rows. ``warnings``: one sentence each.

    ``agreement``: rows that get the same class; None where the output is no vector of classes.
    """

    held_out: bool
    result: Evaluation
    warnings: tuple[str, ...]
    agreement: float | None

    @property
    def facts(self) -> Judged:
        """As the report has them."""
        return Judged(
            self.result.samples,
            self.held_out,
            rounded(self.result.sqnr_db),
            self.agreement,
            tuple(output.facts for output in self.result.outputs),
            self.warnings,
        )


def judge(
    graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], seen: int, rounded: Graph | None
) -> Judgement:
    """``graph`` and ``qgraph`` on rows of ``feeds``, of which quantization used ``seen`` at most.

    ``rounded``: the network whose numbers were rounded, if that is not ``graph``.
    """
    rows, held_out = _rows(feeds, seen, _work(graph))
    result = evaluate(graph, qgraph, rows)
    warnings = (*_columns(graph, result), *_pads(rounded or graph, qgraph))
    agreement = None if _reconstructs(graph) else result.agreement
    return Judgement(held_out, result, warnings, agreement)


def _reconstructs(graph: Graph) -> bool:
    """Whether the output has the shape of the input and is too wide for classes: no classes."""
    shape = graph.outputs[0].shape
    return graph.inputs[0].shape == shape and shape[-1] >= RECONSTRUCTED


def _work(graph: Graph) -> int:
    """Products of one inference."""
    return sum(
        spec(n.op).macs(n, [graph.shape(i) for i in n.inputs], graph.shape(n.output))
        for n in graph.nodes
    )


def _rows(feeds: Mapping[str, Array], seen: int, work: int) -> tuple[dict[str, Array], bool]:
    """Rows that were left out when at most ``seen`` were taken evenly, if there are enough."""
    rows = np.arange(rows_of(feeds))
    most = max(8, min(MOST_ROWS, WORK // max(1, work)))
    unseen = np.setdiff1d(rows, evenly(len(rows), seen))
    held_out = len(unseen) >= 16
    pool = unseen if held_out else rows
    chosen = pool[evenly(len(pool), most)]
    return {name: values[chosen] for name, values in feeds.items()}, held_out


def _columns(graph: Graph, result: Evaluation) -> Iterator[str]:
    for port, output in zip(graph.outputs, result.outputs, strict=True):
        if output.found is None or output.exact is None:
            continue
        maker = maker_of(graph, logits_of(graph, port.tensor))
        bounded = maker is not None and max(map(abs, spec(maker.op).bounds(maker))) <= 1.0
        yield from _column_warnings(port.name, output.exact, output.found, bounded)


def _column_warnings(name: str, exact: Array, found: Array, bounded: bool) -> Iterator[str]:
    """``exact`` and ``found``: (values, columns)."""
    error = np.sqrt(np.mean((exact - found) ** 2, axis=0))
    signal = np.sqrt(np.mean(exact**2, axis=0))
    varies = exact.std(axis=0) > SILENT * np.abs(exact).max(initial=0.0)
    small = error <= BOUNDED_ERROR if bounded else np.zeros(len(error), bool)
    stuck = varies & (np.ptp(found, axis=0) == 0) & ~small & (len(found) > 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = 20 * np.log10(signal / error)
    poor = (error > 0) & (signal > 0) & (decibels < POOR_DB) & ~stuck & ~small
    if stuck.any():
        yield (
            f"output '{name}': {_listed(stuck)} one value in integers while "
            f"{'it varies' if stuck.sum() == 1 else 'they vary'} in float: scale the columns alike "
            "in the network, or give them outputs of their own"
        )
    if poor.sum() > len(poor) * OUTLIERS:
        worst = float(decibels[poor].min())
        verb = "lies" if poor.sum() == 1 else "lie"
        text = f"{_named(poor)} {verb} under {POOR_DB:g} dB ({worst:.1f} dB at worst)"
        yield f"output '{name}': {text}"


def _listed(columns: Array) -> str:
    return f"{_named(columns)} {'takes' if columns.sum() == 1 else 'take'}"


def _named(columns: Array) -> str:
    places = np.flatnonzero(columns)
    if len(columns) == 1:
        return "its one column"
    first = ", ".join(str(place) for place in places[:LISTED])
    more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
    return f"column{'' if len(places) == 1 else 's'} {first}{more} of {len(columns)}"


def _pads(graph: Graph, qgraph: QGraph) -> Iterator[str]:
    """A line for each padding with a value that the padded tensor cannot hold."""
    for node in graph.nodes:
        values = _padding(node)
        tensor = qgraph.tensors.get(node.inputs[0])
        if not values or tensor is None or not isinstance(tensor.frac, int):
            continue
        step = 2.0 ** -frac_of(tensor)
        low, high = ((bound - tensor.zero) * step for bound in RANGES[tensor.kind])
        outside = [v for v in values if not low - step <= v <= high + step]
        if outside:
            source = _own_name(graph, node)
            yield (
                f"node '{node.name}': pads with {outside[0]:g}, but '{source}' holds "
                f"{low:.4g} to {high:.4g}: the padding becomes the nearest of these"
            )


def _own_name(graph: Graph, node: Node) -> str:
    """The name, not of a view, of what ``node`` reads."""
    maker = maker_of(graph, node.inputs[0])
    return node.inputs[0] if maker is None else maker.output


def _padding(node: Node) -> Sequence[float]:
    if node.op == "pad":
        return tuple(float(v) for v in node.attrs["value"])
    if "pad_value" in node.attrs and any(node.ints("pads")):
        return tuple(float(v) for v in node.attrs["pad_value"])
    return ()
