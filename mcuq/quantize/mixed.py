"""Mixed precision: 16 bits for the tensors that hurt the output most, under a budget of time.

Each set of tensors that could be wide is tried alone: what it takes off the output's error, and
what it costs. The one that takes off most for its price is widened, then the others are measured
anew beside it, until none fits the budget. The caller's own buffers keep 8 bits. Costs are several
(estimated cycles and instructions), as shares of what 8 bits cost; the largest share counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcuq.quantize import wide
from mcuq.quantize.assemble import assemble
from mcuq.quantize.finish import finish
from mcuq.quantize.guard import held_rows, output_error
from mcuq.quantize.ranges import scales
from mcuq.quantize.ranges.limits import limit_fracs
from mcuq.quantize.simulate import (
    Simulation,
    decibels,
    float_outputs,
    output_names,
    relative_error,
)
from mcuq.quantize.state import Mixed, State, StepNote

BUDGET = 1.5
"""At most so many times each of the costs of the network with 8 bits."""

ROWS = 32
"""So many held-out rows show the sensitivities."""

LEAST_EXTRA = 0.001
"""A set that costs next to nothing, or saves some, is rated as if it added this share."""


def choose_mixed(state: State) -> State:
    """``state`` with 16 bits where that helps most; as it is unless the options ask for it."""
    if not state.options.mixed:
        return state
    search = _Search(state)
    before = output_error(finish(state), held_rows(state))
    best, error, chosen = state, before, frozenset[str]()
    for names in filter(None, dict.fromkeys((search.run(), search.everything()))):
        trial = _with_wide(state, names)
        found = output_error(finish(trial), held_rows(trial))
        if found < error:
            best, error, chosen = trial, found, names
    price = search.price(best)
    facts = Mixed(BUDGET, round(price, 3) if price else None, tuple(sorted(chosen)))
    note = StepNote("mixed precision", decibels(before), decibels(error), best is not state)
    return best.with_(notes=(*state.notes, note), mixed=facts)


@dataclass(frozen=True)
class _Trial:
    """What the network would be with ``names`` wide: its output's error and its price."""

    names: frozenset[str]
    error: float
    price: float


class _Search:
    """Sets of tensors, widened in the order of what they gain for their price."""

    def __init__(self, state: State) -> None:
        done = finish(state)
        feeds = {name: rows[:ROWS] for name, rows in held_rows(state).items()}
        self._least = _costs(state)
        self._state = state
        self._exact, self._outputs = float_outputs(done, feeds), output_names(done.graph)
        self._simulation = Simulation(done, feeds)

    def run(self) -> frozenset[str]:
        """The tensors to widen.

        What a set gains for its price seldom rises by others beside it: only the set that was best
        when it was last measured is measured again, until it stays the best.
        """
        now = self._trial(frozenset())
        groups = _groups(self._state)
        worth = {group: self._worth(now, group)[0] for group in groups}
        while worth:
            group = max(worth, key=lambda name: worth[name])
            found, trial = self._worth(now, group)
            if found < max((w for g, w in worth.items() if g != group), default=found):
                worth[group] = found
            elif found <= 0.0 or trial.price > BUDGET:
                del worth[group]
            else:
                del worth[group]
                now = trial
        return now.names

    def everything(self) -> frozenset[str]:
        """All sets at once, if that fits: it may be no dearer, as nothing is converted."""
        names = frozenset(name for group in _groups(self._state) for name in group)
        return names if self.price(_with_wide(self._state, names)) <= BUDGET else frozenset()

    def _worth(self, now: _Trial, group: tuple[str, ...]) -> tuple[float, _Trial]:
        """The error that ``group`` takes off for each part of the price that it adds."""
        trial = self._trial(now.names.union(group))
        extra = trial.price - now.price if trial.price else 1.0
        return (now.error - trial.error) / max(extra, LEAST_EXTRA), trial

    def price(self, state: State) -> float:
        """The largest of the costs, as a share of that with 8 bits; 0 where nobody knows."""
        pairs = zip(_costs(state), self._least, strict=True)
        return max((cost / least for cost, least in pairs if least), default=0.0)

    def _trial(self, names: frozenset[str]) -> _Trial:
        state = _with_wide(self._state, names)
        found = self._simulation.try_(self._outputs, {name: state.acts[name] for name in names})
        return _Trial(names, relative_error(self._exact, found), self.price(state))


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


def _costs(state: State) -> tuple[float, ...]:
    return tuple(state.options.price(assemble(state))) if state.options.price else ()
