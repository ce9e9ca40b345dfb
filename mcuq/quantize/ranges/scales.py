"""Ranges of activations, and the power-of-two scale that suits each: min-max or least error."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcuq.data.rows import rows_of
from mcuq.errors import ModelError
from mcuq.fixed import floor_log2
from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of, spec
from mcuq.ops.parts import coded
from mcuq.ops.parts.weights import finest, quantize_weights
from mcuq.qir import QTensor
from mcuq.quantize import given, wide
from mcuq.quantize.ranges.by_values import METHODS, best
from mcuq.quantize.ranges.candidates import (
    FRAC_MAX,
    FRAC_MIN,
    SILENT_FRAC,
    FracZero,
    candidates,
    middle,
)
from mcuq.quantize.ranges.floors import Floors, raised
from mcuq.quantize.ranges.inside import Inner
from mcuq.quantize.ranges.limits import limit_fracs
from mcuq.quantize.ranges.sensitivity import sensitivities
from mcuq.quantize.state import State
from mcuq.quantize.structure import (
    activations,
    groups,
    never_negative,
    recurrent,
    weighted,
)
from mcuq.quantize.tails import Collector, expected_noise
from mcuq.reference import chunk_rows, run_exact

SAMPLES = 300_000
"""About so many values of a tensor are looked at by the methods that go by values."""


def observe(state: State) -> State:
    """Find the range of every activation over the calibration rows, and of values inside nodes."""
    collector, inner, floors = Collector(), Inner(state.graph), Floors(state.graph)
    for part in row_parts(state):
        values = run_exact(state.graph, part)
        bad = [name for name, reals in values.items() if not bool(np.isfinite(reals).all())]
        if bad:
            reason = f"tensor '{bad[0]}' becomes infinite or NaN on the calibration data"
            remedy = "Check the weights and the data's preparation"
            raise ModelError(state.graph.name, reason, remedy)
        collector.add(values)
        inner.add(values)
        floors.add(values)
    seen = collector.seen()
    found = {name: each.bounds for name, each in seen.items()}
    _check_spans(state.graph, found)
    low = floors.found(found)
    seen.update((n, seen[n].limited(floor, math.inf)) for n, floor in low.items() if n in seen)
    found = {name: each.bounds for name, each in seen.items()}
    silent = {n for n in activations(state.graph) if found[n] == (0.0, 0.0)}
    warnings = tuple(_first_silent(state.graph, silent))
    new = tuple(text for text in warnings if text not in state.warnings)
    weight = sensitivities(state.graph, state.feeds, state.options.seed)
    warned = state.warnings + new
    graph = raised(inner.noted(), low)
    return state.with_(graph=graph, ranges=found, seen=seen, sensitivity=weight, warnings=warned)


def _check_spans(graph: Graph, found: Mapping[str, tuple[float, float]]) -> None:
    """Refuse operators that cannot compute with the values that calibration has seen."""
    for node in graph.nodes:
        span = found.get(node.inputs[0], (0.0, 0.0))
        reason = spec(node.op).refuses(node, span)
        if reason:
            spanned = f"{span[0]:.3g} to {span[1]:.3g}"
            raise ModelError(
                graph.name,
                f"node '{node.name}': {reason} ({spanned} on the calibration data)",
                "Keep them on one side, as with Abs or an added constant",
            )


def _first_silent(graph: Graph, silent: Collection[str]) -> Iterator[str]:
    """A line for each layer that makes a zero of what is not zero."""
    for node in graph.nodes:
        sources = [name for name in node.inputs if not graph.is_constant(name)]
        if node.output in silent and not all(name in silent for name in sources):
            yield f"layer '{node.name}' gives 0 for every calibration row"


def choose_scales(state: State) -> State:
    """Choose frac and zero of every activation."""
    graph = state.graph
    never, fixed, kept = never_negative(graph), dictated(graph), given.kept_activations(graph)
    acts: dict[str, QTensor] = {}
    wanted: dict[tuple[str, ...], tuple[str, tuple[FracZero, ...]]] = {}
    for group in groups(graph):
        special = next((fixed[n] for n in group if n in fixed), None)
        below = all(n in never for n in group)
        span = span_of(state, group)
        options = candidates(*span, below)
        forced = next((state.options.fracs[n] for n in group if n in state.options.fracs), None)
        method = method_of(state, group)
        kind, (frac, zero) = "s8", options[0]
        if special:
            kind, frac, zero = special
        elif forced is not None:
            frac, zero = forced, middle(*span, forced, below)
        elif group[0] in kept:
            kind, frac, zero = kept[group[0]]
        elif method == "auto" and group[0] in state.seen:
            frac, zero = least_noise(state, group, options)
        elif method in METHODS and len(options) > 1:
            wanted[group] = (method, options)
        for name in group:
            acts[name] = QTensor(name, graph.shape(name), kind, frac, zero)
    acts = wide.widened(state, _by_values(state, acts, wanted))
    return state.with_(acts=limit_fracs(graph, acts))


def method_of(state: State, group: Sequence[str]) -> str:
    """The name of the method by which the range of a group is found."""
    given_names = state.options.ranges
    if isinstance(given_names, str):
        return given_names
    default = given_names.get("*", "auto")
    return next((given_names[name] for name in group if name in given_names), default)


def span_of(state: State, group: Sequence[str]) -> tuple[float, float]:
    return min(state.ranges[n][0] for n in group), max(state.ranges[n][1] for n in group)


def least_noise(state: State, group: Sequence[str], options: Sequence[FracZero]) -> FracZero:
    """The candidate that is expected to add the least noise to the network's output."""
    errors = sum(expected_noise(state.seen[n], state.sensitivity.get(n), options) for n in group)
    return options[int(np.argmin(errors))]


def minmax_frac(low: float, high: float, zero: int) -> int:
    """The finest frac at which neither end is clipped.

    >>> minmax_frac(-1.0, 0.9, 0), minmax_frac(0.0, 1.0, -128), minmax_frac(0.0, 0.0, 0)
    (7, 7, 7)
    """
    bounds = []
    if high > 0:
        bounds.append((127.49 - zero) / high)
    if low < 0 and zero == 0:
        bounds.append(128.49 / -low)
    if not bounds:
        return SILENT_FRAC
    return max(FRAC_MIN, min(FRAC_MAX, floor_log2(min(bounds))))


def choose_weights(state: State) -> State:
    """Round every weight to the nearest integer, with the least-error frac of its channel."""
    clipped_bits = 0 if method_of(state, ()) == "minmax" else 1
    found, kept = {}, given.kept_weights(state.graph)
    for node in weighted(state.graph):
        name = node.inputs[1]
        axis = layout_of(node).outputs
        fracs = kept.get(name) or layer_fracs(state.graph.data(name), axis, clipped_bits)
        floor = wide.lowest_weight_frac(node, state.acts)
        fracs = tuple(max(floor, min(frac, floor + 31)) for frac in fracs)
        found[name] = round_weights(name, state.graph.data(name), axis, fracs)
    for node in recurrent(state.graph):
        found.update(_nearest_rows(state, node))
    return state.with_weights(found)


def _nearest_rows(state: State, node: Node) -> dict[str, QTensor]:
    """The two matrices of a recurrent node, as it rounds them itself."""
    kind = wide.node_kind(node, state.acts)
    names = (node.inputs[0], node.output)
    acts = {name: wide.as_kind(state.acts[name], kind) for name in names}
    to_int = spec(node.op).to_int
    if to_int is None:
        raise TypeError(f"{node.op} has no integer form")
    made = to_int(node, state.graph, acts, {}).constants
    matrices = zip(node.inputs[1:3], made[:2], strict=True)
    return {name: replace(found, name=name) for name, found in matrices}


def layer_fracs(weights: Array, axis: int, clipped_bits: int) -> tuple[int, ...]:
    """As ``weight_fracs``; where weights share a table, the table has one frac for all channels."""
    table = coded.joined(weights, axis)
    if table is None:
        return weight_fracs(weights, axis, clipped_bits)
    (frac,) = weight_fracs(table[0], 0, clipped_bits)
    most = finest(weights)
    return tuple(max(FRAC_MIN, min(most, frac - exponent)) for exponent in table[1])


def weight_fracs(weights: Array, axis: int, clipped_bits: int) -> tuple[int, ...]:
    """The frac of each channel with the least squared rounding and clipping error."""
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).astype(np.float64)
    fracs, most = [], finest(weights)
    for row in rows:
        peak = float(np.abs(row).max(initial=0.0))
        first = min(minmax_frac(-peak, peak, 0), most)
        options = range(first, min(first + clipped_bits, most) + 1)
        errors = [(_weight_error(row, frac), frac) for frac in options]
        fracs.append(min(errors)[1])
    return tuple(fracs)


def round_weights(name: str, weights: Array, axis: int, fracs: Sequence[int]) -> QTensor:
    """The integers nearest to ``weights``, one frac per channel."""
    data = quantize_weights(weights, axis, fracs)
    return QTensor(name, weights.shape, "s8", tuple(fracs), 0, data)


def _weight_error(row: Array, frac: int) -> float:
    steps = np.clip(np.floor(row * 2.0**frac + 0.5), -128, 127)
    return float(((steps * 2.0**-frac - row) ** 2).sum())


def _by_values(
    state: State,
    acts: dict[str, QTensor],
    wanted: Mapping[tuple[str, ...], tuple[str, Sequence[FracZero]]],
) -> dict[str, QTensor]:
    """``acts`` with the candidate of each group that its method finds best."""
    samples: dict[str, list[Array]] = {name: [] for group in wanted for name in group}
    parts = row_parts(state) if wanted else []
    for part in parts:
        for name, values in run_exact(state.graph, part, samples).items():
            step = max(1, values.size * len(parts) // SAMPLES)
            samples[name].append(values.reshape(-1)[::step].copy())
    for group, (method, options) in wanted.items():
        known = [np.concatenate(samples[name]) for name in group]
        frac, zero = best(METHODS[method], known, acts[group[0]], options)
        acts.update((name, replace(acts[name], frac=frac, zero=zero)) for name in group)
    return acts


def dictated(graph: Graph) -> dict[str, tuple[str, int, int]]:
    """Tensors whose (kind, frac, zero) the operator dictates."""
    fixed = {p.tensor: ("s8", 0, -128) for p in graph.inputs if p.kind == "u8" or p.scale}
    fixed.update((p.tensor, ("s16", 0, 0)) for p in graph.inputs if p.kind == "s16")
    for node in graph.nodes:
        made = spec(node.op).output
        if made is not None:
            fixed[node.output] = (made.kind, made.frac, made.zero)
    return fixed


def row_parts(state: State) -> list[dict[str, Array]]:
    """The calibration rows, a few at a time, so that all activations of a part fit in memory."""
    rows = rows_of(state.feeds)
    size = max(1, chunk_rows(state.graph))
    return [
        {n: v[first : first + size] for n, v in state.feeds.items()}
        for first in range(0, rows, size)
    ]
