"""Mixed precision: 16 bits for the tensors that hurt the output most, under a budget of cycles.

Each set of tensors that could be wide is tried alone; what it takes off the output's error is its
sensitivity. The most sensitive are widened one after the other, those that break the budget left
out, until the finished network reaches the target. The caller's own buffers keep 8 bits.
"""

from __future__ import annotations

from mcuq.quantize import scales, wide
from mcuq.quantize.assemble import assemble
from mcuq.quantize.finish import finish
from mcuq.quantize.guard import held_rows, output_error
from mcuq.quantize.limits import limit_fracs
from mcuq.quantize.simulate import (
    Simulation,
    decibels,
    float_outputs,
    output_names,
    relative_error,
)
from mcuq.quantize.state import State, StepNote

TARGET_DB = 40.0
BUDGET = 1.5
"""At most so many times the estimated cycles of the network with 8 bits."""

ROWS = 32
"""So many held-out rows show the sensitivities."""


def choose_mixed(state: State) -> State:
    """``state`` with 16 bits where that helps most; as it is unless the options ask for it."""
    if not state.options.mixed:
        return state
    least = _price(state)
    before = output_error(finish(state), held_rows(state))
    best, error, names = state, before, frozenset[str]()
    for group in _by_sensitivity(state):
        trial = _with_wide(state, names.union(group))
        if _price(trial) > BUDGET * least:
            continue
        names = names.union(group)
        best = trial
        error = output_error(finish(best), held_rows(best))
        if decibels(error) >= TARGET_DB:
            break
    facts = {
        "target_db": TARGET_DB,
        "budget": BUDGET,
        "price": round(_price(best) / least, 3) if least else None,
        "tensors": sorted(names),
    }
    note = StepNote("mixed precision", decibels(before), decibels(error), bool(names))
    return best.with_(notes=(*state.notes, note), mixed=facts)


def _by_sensitivity(state: State) -> list[tuple[str, ...]]:
    """The sets that could be wide, the one that takes most off the output's error first."""
    done = finish(state)
    feeds = {name: rows[:ROWS] for name, rows in held_rows(state).items()}
    exact, names = float_outputs(done, feeds), output_names(done.graph)
    simulation = Simulation(done, feeds)
    errors = []
    for index, group in enumerate(_groups(state)):
        acts = _with_wide(state, frozenset(group)).acts
        error = relative_error(exact, simulation.try_(names, {n: acts[n] for n in group}))
        errors.append((error, index, group))
    return [group for _, _, group in sorted(errors)]


def _groups(state: State) -> list[tuple[str, ...]]:
    ports = {port.tensor for port in (*state.graph.inputs, *state.graph.outputs)}
    return [
        group
        for group in wide.candidates(state.graph)
        if not ports.intersection(group) and state.acts[group[0]].kind == "s8"
    ]


def _with_wide(state: State, names: frozenset[str]) -> State:
    acts = limit_fracs(state.graph, wide.widened(state, state.acts, names))
    return scales.choose_weights(state.with_acts(acts))


def _price(state: State) -> float:
    """The estimated cycles of one inference; 0 where nobody knows."""
    return state.options.price(assemble(state)) if state.options.price else 0.0
