"""Accepts a step only if the network's own output gets better on rows the step has not seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.data.rows import rows_of
from mcuq.ir import Array
from mcuq.quantize.simulate import (
    Simulation,
    float_outputs,
    output_names,
    relative_error,
)
from mcuq.quantize.state import State

HELD_OUT = (1, 3)
"""Of every five rows these are held out; with few rows all serve for both."""

FEW_ROWS = 20
GAIN = 0.999
"""A step must bring the error below this share of what it was."""


def fit_rows(state: State) -> dict[str, Array]:
    """The calibration rows that steps may learn from."""
    if state.all_rows:
        return dict(state.feeds)
    return _rows(state.feeds, held_out=False)


def held_rows(state: State) -> dict[str, Array]:
    """The calibration rows that decide whether a step is kept."""
    return _rows(state.feeds, held_out=True)


def _rows(feeds: Mapping[str, Array], held_out: bool) -> dict[str, Array]:
    count = rows_of(feeds)
    if count < FEW_ROWS:
        return dict(feeds)
    chosen = np.isin(np.arange(count) % 5, HELD_OUT) == held_out
    return {name: values[chosen] for name, values in feeds.items()}


def output_error(state: State, feeds: Mapping[str, Array]) -> float:
    """Noise power / signal power of the rounded network's logits over ``feeds``."""
    simulation = Simulation(state, feeds)
    found = {name: simulation.value(name) for name in output_names(state.graph)}
    return relative_error(float_outputs(state, feeds), found)


def trial_error(state: State) -> float:
    """The error of a finished network over all rows, those held out counting half."""
    return (output_error(state, fit_rows(state)) + output_error(state, held_rows(state))) / 2
