"""Range search: the frac of each tensor with the least error of the network's own output.

Tensors that share one scale are tried together, one step finer and one coarser, in order, until
nothing improves or ``ROUNDS`` are done. The output's error sees what a tensor's own error does
not: that a clipped outlier may or may not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from mcuq.data.rows import thinned
from mcuq.ir import Array, Graph
from mcuq.ops import spec
from mcuq.qir import QTensor, frac_of
from mcuq.quantize import given
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.ranges.candidates import FRAC_MAX, FRAC_MIN
from mcuq.quantize.ranges.limits import limit_fracs
from mcuq.quantize.simulate import Simulation, float_outputs, output_names, relative_error
from mcuq.quantize.state import State
from mcuq.quantize.structure import activations, groups

ROUNDS = 2
MOST_SETS = 100
"""So many sets of tensors are tried: each runs what follows it anew."""

ENOUGH = 1 << 25
"""So many values of all tensors say enough with effort fast: a few rows of large images."""

GAIN = 0.995
"""A change must bring the error below this share: smaller gains are noise."""


def search_scales(state: State) -> State:
    """Move the frac of one group at a time where that lowers the output's error."""
    feeds = _enough_rows(state)
    exact = float_outputs(state, feeds)
    names = output_names(state.graph)
    simulation = Simulation(state, feeds)
    best = relative_error(exact, {n: simulation.value(n) for n in names})
    movable = _loudest(state, [g for g in groups(state.graph) if _movable(state, g)])
    acts = dict(state.acts)
    for turn in range(ROUNDS):
        changed = False
        for index, group in enumerate(movable):
            state.options.report("ranges", (turn + index / len(movable)) / ROUNDS)
            for change in _moves(state.graph, acts, group):
                error = relative_error(exact, simulation.try_(names, change))
                if error < best * GAIN:
                    best, changed = error, True
                    simulation.commit(change)
                    acts.update(change)
                    break
        if not changed:
            break
    return state.with_acts(acts)


def _enough_rows(state: State) -> dict[str, Array]:
    """The rows by which changes are judged."""
    feeds = fit_rows(state)
    if state.options.effort != "fast":
        return feeds
    values = sum(prod(state.graph.shape(name)) for name in activations(state.graph))
    return thinned(feeds, max(1, ENOUGH // values))


def _loudest(state: State, movable: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """At most ``MOST_SETS``, in order: those whose rounding does most to the output."""
    if len(movable) <= MOST_SETS:
        return movable

    def noise(group: tuple[str, ...]) -> float:
        known = (float(state.sensitivity[n].sum()) for n in group if n in state.sensitivity)
        return sum(known) * 4.0 ** -frac_of(state.acts[group[0]])

    kept = set(sorted(movable, key=noise, reverse=True)[:MOST_SETS])
    return [group for group in movable if group in kept]


def _movable(state: State, group: tuple[str, ...]) -> bool:
    """Not what is dictated: softmax, bytes, argmax, a frac set by hand, a quantized model's."""
    graph = state.graph
    dictated = {n.output for n in graph.nodes if spec(n.op).output is not None}
    dictated |= {port.tensor for port in graph.inputs if port.kind == "u8" or port.scale}
    dictated |= given.kept_activations(graph).keys() | state.options.fracs.keys()
    narrow = all(state.acts[name].kind == "s8" for name in group)  # 16 bits need no search
    return narrow and not dictated.intersection(group)


def _moves(
    graph: Graph, acts: Mapping[str, QTensor], group: tuple[str, ...]
) -> list[dict[str, QTensor]]:
    """The group one step finer, and one step coarser, as far as shifts allow."""
    moves = []
    for step in (1, -1):
        frac = frac_of(acts[group[0]]) + step
        change = {name: replace(acts[name], frac=frac) for name in group}
        allowed = limit_fracs(graph, {**acts, **change})
        if FRAC_MIN <= frac <= FRAC_MAX and all(allowed[n].frac == frac for n in group):
            moves.append(change)
    return moves
