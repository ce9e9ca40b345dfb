"""Steps with alternatives: the one whose network errs least on held-out rows is taken."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mcuq.quantize.equalize import equalize, is_traded
from mcuq.quantize.equalize.refine import refine_equalization
from mcuq.quantize.finish import finish, fresh_numbers
from mcuq.quantize.guard import GAIN, trial_error
from mcuq.quantize.ranges import scales
from mcuq.quantize.ranges.inputs import affine_inputs
from mcuq.quantize.ranges.search import search_scales
from mcuq.quantize.rounding.bias import correct_biases
from mcuq.quantize.rounding.compensate import round_layers
from mcuq.quantize.simulate import decibels
from mcuq.quantize.state import Stage, State, StepNote

TRADES = {"fast": (1.0,), "normal": (0.3, 1.0, 3.0), "best": (0.1, 0.3, 1.0, 3.0, 10.0)}


def choose(name: str, state: State, steps: Sequence[tuple[str, Stage]]) -> State:
    """``state``, or the alternative that is better once finished."""
    best, error = state, trial_error(finish(state))
    before = error
    for index, (label, step) in enumerate(steps):
        state.options.report(f"{name} {label}".strip(), index / len(steps))
        candidate = step(state)
        found = trial_error(finish(candidate))
        if found < min(error, before * GAIN):
            best, error = candidate, found
    kept = best is not state
    note = StepNote(name, decibels(before), decibels(error), kept)
    return best.with_(notes=(*state.notes, note))


def choose_affine_inputs(state: State) -> State:
    """Scale and offset of the inputs, if that helps."""
    return choose("affine input", state, [("", affine_inputs)])


def choose_equalization(state: State) -> State:
    """Rescaled channels, as far as that helps."""
    traded = is_traded(state)
    trades = TRADES[state.options.effort] if traded else (1.0,)
    steps = [(f"{t:g}", partial(_equalized, t)) for t in trades]
    found = choose("equalization", state, steps)
    if state.options.effort != "best" or not traded:
        return found
    return choose("equalization of each layer", found, [("", lambda _: refine_equalization(state))])


def choose_ranges(state: State) -> State:
    """Fracs by the error of the network's output, if that helps."""
    return choose("range search", state, [("", _searched)])


def choose_rounding(state: State) -> State:
    """Corrected biases, then compensated rounding, each if it helps; then with all rows."""
    error = trial_error(state)
    steps: list[tuple[str, Stage]] = [("bias correction", correct_biases)]
    if state.options.effort != "fast":
        steps.append(("compensated rounding", round_layers))
    chosen: Stage | None = None
    notes = list(state.notes)
    for name, step in steps:
        candidate = step(state)
        found = trial_error(candidate)
        kept = found < error * GAIN
        notes.append(StepNote(name, decibels(error), decibels(found), kept))
        if kept:
            chosen, error = step, found
    state = state.with_(notes=tuple(notes), all_rows=True)
    return chosen(state) if chosen else state


def _equalized(trade: float, state: State) -> State:
    return fresh_numbers(equalize(state, trade))


def _searched(state: State) -> State:
    return scales.choose_weights(search_scales(finish(state))).with_(biases={})
