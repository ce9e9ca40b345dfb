"""Equalization set by set: each set of joined tensors gets the strength that suits the output.

One strength for all is a compromise: a signed residual trunk wants even channels, the layer behind
it fine weights. The sets are tried in order, one at a time, with everything else as it stands.
"""

from __future__ import annotations

from mcuq.quantize.equalize import choose_factors, components, rescaled, survey
from mcuq.quantize.finish import finish, fresh_numbers
from mcuq.quantize.guard import fit_rows, held_rows, output_error
from mcuq.quantize.state import State

CHANGES = (0.5, -0.5, 1.0, -1.0)
"""Strengths on top of what stands: 1 makes the channels even, negative ones take back."""

GAIN = 0.985
"""A change must bring the error below this share: smaller gains are luck."""


def refine_equalization(state: State) -> State:
    """``state``, rescaled once more with its own strength for each set."""
    seen = survey(state)
    parts = components(state.graph)
    best, error = state, _error(state)
    strengths = dict.fromkeys(seen.peaks, 0.0)
    for index, part in enumerate(parts):
        state.options.report("equalization of each layer", index / len(parts))
        for change in CHANGES if part.channels > 1 else ():
            changed = {**strengths, part.tensors[0]: change}
            factors = choose_factors(state.graph, seen, changed)
            candidate = fresh_numbers(rescaled(state, factors))
            found = _error(candidate)
            if found < error * GAIN:
                best, error, strengths = candidate, found, changed
    return best


def _error(state: State) -> float:
    """The error of the finished network over all rows, those held out counting half."""
    done = finish(state)
    return (output_error(done, fit_rows(done)) + output_error(done, held_rows(done))) / 2
