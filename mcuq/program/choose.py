"""Which kernel variant runs each step: cycles against flash, code of a kernel counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from mcuq.kernels.sizes import kernel_flash
from mcuq.kernels.variant import Call, Variant

# What shares of the least possible cycles, instructions and flash weigh. Cycles are estimated for
# one core of a family; where flash matters, instructions count too, as pipelines differ.
PREFERENCES = {"balanced": (0.6, 0.4, 1.0), "speed": (1.0, 0.0, 0.0), "size": (0.0, 0.0, 1.0)}

# "size" may take this share more than the least flash, for time. Weighed as cycles are here against
# flash, choices go from fast to small.
_SPARE = 0.03
_TRADES = tuple(0.5**i for i in range(8))

# "balanced" gives up kernels until the code of a model takes at most about so many bytes.
_LARGE = 11_900
# About what the call and the parameters of a step take.
_CALL = 64


@dataclass(frozen=True)
class Choice:
    """A variant that could run a step: estimated instructions and cycles, bytes of constants."""

    symbol: str
    cost: float
    cycles: float
    flash: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """An accepted variant of a node, packed, with its estimated instructions on ``core``.

    ``waits``: cycles that its multiplications take beyond one each, and for flash.
    """

    variant: Variant
    calls: tuple[Call, ...]
    cost: float
    core: str
    waits: float = 0.0

    @property
    def symbol(self) -> str:
        return self.variant.symbol

    @property
    def flash(self) -> int:
        return sum(array.data.nbytes for call in self.calls for array in call.arrays)

    @property
    def cycles(self) -> float:
        return self.cost * self.variant.cycles + self.waits

    @property
    def choice(self) -> Choice:
        return Choice(self.symbol, self.cost, self.cycles, self.flash)


Selected = tuple[Candidate, tuple[Candidate, ...]]


def choose(steps: Sequence[tuple[Candidate, ...]], prefer: str) -> list[Selected]:
    """One candidate for every step, together with all of the step's candidates.

    Minimizes cycles, instructions and flash, each as a share of its least possible sum and weighed
    by ``PREFERENCES``; with "balanced", then gives up to three kernels up if the code is too large.
    "size" takes the fewest cycles of what is found within 3 % of the least flash.
    """
    weigh = _Weights(steps, PREFERENCES[prefer])
    best = _least(steps, weigh)
    if prefer == "balanced" and _code(best) > _LARGE:
        best = _smaller(steps, weigh, best)
    if prefer == "size":
        best = _faster(steps, best)
    return list(zip(best, steps, strict=True))


def _least(steps: Sequence[tuple[Candidate, ...]], weigh: _Weights) -> list[Candidate]:
    """The least objective that is found.

    A kernel that serves few steps may not be worth its code: starting from the best candidate of
    each step, kernels are given up one by one as long as that is a gain.
    """
    allowed = {c.symbol for candidates in steps for c in candidates}
    best = weigh.pick(steps, allowed)
    while True:
        trials = {symbol: weigh.pick(steps, allowed - {symbol}) for symbol in sorted(_used(best))}
        gains = {symbol: weigh.total(trial) for symbol, trial in trials.items() if trial}
        given_up = min(gains, key=gains.__getitem__, default=None)
        if given_up is None or gains[given_up] >= weigh.total(best):
            return best
        best = trials[given_up]
        allowed -= {given_up}


def _faster(steps: Sequence[tuple[Candidate, ...]], smallest: list[Candidate]) -> list[Candidate]:
    """The fewest cycles of choices, ``smallest`` among them, that are near the least flash."""
    trials = [_least(steps, _Weights(steps, (trade, 0.0, 1.0))) for trade in _TRADES]
    sizes = [(_flash(picked), picked) for picked in (smallest, *trials)]
    most = (1 + _SPARE) * min(size for size, _ in sizes)
    small = [picked for size, picked in sizes if size <= most]
    return min(small, key=lambda picked: sum(c.cycles for c in picked))


def _smaller(
    steps: Sequence[tuple[Candidate, ...]], weigh: _Weights, best: list[Candidate]
) -> list[Candidate]:
    """The best choice without one to three of the kernels of ``best`` whose code is not too large.

    ``best`` itself if there is none. No other kernel for sparse layers comes in.
    """
    plain = {c.symbol for candidates in steps for c in candidates if not c.variant.compressed}
    known = plain | _used(best)
    some = [set(pair) for count in (1, 2, 3) for pair in combinations(sorted(_used(best)), count)]
    trials = [trial for given_up in some if (trial := weigh.pick(steps, known - given_up))]
    small = [trial for trial in trials if _code(trial) <= _LARGE]
    return min(small, key=weigh.total) if small else best


class _Weights:
    """The objective of ``choose`` for one program."""

    def __init__(
        self, steps: Sequence[tuple[Candidate, ...]], weights: tuple[float, float, float]
    ) -> None:
        by_cycles, by_instructions, by_flash = weights
        cycles = sum(min(c.cycles for c in candidates) for candidates in steps)
        instructions = sum(min(c.cost for c in candidates) for candidates in steps)
        flash = sum(min(c.flash for c in candidates) for candidates in steps)
        self.per_cycle = by_cycles / max(cycles, 1.0)
        self.per_instruction = by_instructions / max(instructions, 1.0)
        self.per_byte = by_flash / max(flash, 1)

    def of(self, candidate: Candidate) -> tuple[float, float]:
        """A candidate's own share of the objective; fewer cycles decide between equals."""
        time = candidate.cycles * self.per_cycle + candidate.cost * self.per_instruction
        return time + candidate.flash * self.per_byte, candidate.cycles

    def pick(self, steps: Sequence[tuple[Candidate, ...]], allowed: set[str]) -> list[Candidate]:
        """The best allowed candidate of every step; empty if a step has none."""
        picked: list[Candidate] = []
        for candidates in steps:
            left = [c for c in candidates if c.symbol in allowed]
            if not left:
                return []
            picked.append(min(left, key=self.of))
        return picked

    def total(self, picked: Sequence[Candidate]) -> float:
        """The objective with the code of every kernel counted once."""
        return sum(self.of(c)[0] for c in picked) + _code(picked) * self.per_byte


def _code(picked: Sequence[Candidate]) -> int:
    """Bytes of the kernels, and of their calls."""
    cores = {c.symbol: c.core for c in picked}
    return _CALL * len(picked) + sum(kernel_flash(symbol, core) for symbol, core in cores.items())


def _flash(picked: Sequence[Candidate]) -> int:
    """Bytes of constants and of code."""
    return sum(c.flash for c in picked) + _code(picked)


def _used(picked: Sequence[Candidate]) -> set[str]:
    return {c.symbol for c in picked}
