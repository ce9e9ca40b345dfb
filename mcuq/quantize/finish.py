"""What every alternative is judged by: the network with the last steps that the effort allows."""

from __future__ import annotations

from mcuq.quantize.ranges import scales
from mcuq.quantize.rounding.bias import correct_biases
from mcuq.quantize.rounding.compensate import round_layers
from mcuq.quantize.state import State


def finish(state: State) -> State:
    """``state`` with corrected biases, and with compensated rounding unless in haste."""
    if state.options.effort == "fast":
        return correct_biases(state)
    return round_layers(state)


def fresh_numbers(state: State) -> State:
    """Scales and weights found anew for a changed graph."""
    for step in (scales.choose_scales, scales.choose_weights):
        state = step(state)
    return state
