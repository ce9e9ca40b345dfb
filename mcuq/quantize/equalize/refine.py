"""Equalization set by set: each set of joined tensors weighs its noise against that of weights.

How well the rounding of weights can be compensated differs from layer to layer, which no formula
knows beforehand. The sets are tried in order, one at a time, with everything else as it stands.
"""

from __future__ import annotations

from mcuq.quantize.equalize import with_trades
from mcuq.quantize.equalize.components import components
from mcuq.quantize.finish import finish, fresh_numbers
from mcuq.quantize.guard import trial_error
from mcuq.quantize.state import State

TRADES = (0.1, 10.0)
"""How many times the noise of weights may count, beside once."""

GAIN = 0.985
"""A change must bring the error below this share: smaller gains are luck."""


def refine_equalization(state: State) -> State:
    """``state``, which is not equalized yet, with the best trade for each set of tensors."""
    parts = [part for part in components(state.graph) if part.channels > 1]
    trades = {part.tensors[0]: 1.0 for part in components(state.graph)}
    best = _tried(state, trades)
    error = trial_error(finish(best))
    for index, part in enumerate(parts):
        state.options.report("equalization of each layer", index / len(parts))
        for trade in TRADES:
            changed = {**trades, part.tensors[0]: trade}
            candidate = _tried(state, changed)
            found = trial_error(finish(candidate))
            if found < error * GAIN:
                best, error, trades = candidate, found, changed
    return best


def _tried(state: State, trades: dict[str, float]) -> State:
    return fresh_numbers(with_trades(state, trades))
