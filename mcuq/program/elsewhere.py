"""Kernels that were chosen for one core, on another: what they take there beside its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mcuq.program.lower import Program, Step, lower
from mcuq.targets.cores import CORES, GENERIC, Cpu

WORTH = 1.1
"""Below so many times the cycles of a core's own kernels nothing is said."""


@dataclass(frozen=True)
class Elsewhere:
    """A program's kernels on ``core``, and that core's own.

    ``factor``: estimated cycles, over those of its own kernels; None if the core ``lacks`` features
    that they were written for, and runs their plain C, of which there is no estimate.
    ``instructions``: the estimate of its own kernels.
    """

    core: str
    features: frozenset[str]
    factor: float | None
    lacks: frozenset[str]
    instructions: float

    def times(self, executed: int | None = None) -> str:
        """``about 2.1 x the cycles of cortex-m4's own``; ``executed``: instructions, if counted."""
        factor, what = self.factor, "cycles"
        if factor is None and executed is not None:
            factor, what = executed / max(1.0, self.instructions), "instructions"
        if factor is None:
            missing = ", ".join(sorted(self.lacks))
            return f"much more than {self.core}'s own, for it lacks {missing}"
        return f"about {factor:.1f} x the {what} of {self.core}'s own"


def kernels_of(program: Program) -> str:
    """Which core the kernels are for."""
    return "any core" if program.cpu == GENERIC else program.cpu.name


def needs_of(program: Program) -> frozenset[str]:
    """The features that the chosen kernels were written for; elsewhere their plain C runs."""
    return frozenset(feature for step in program.steps for feature in step.variant.needs)


def elsewhere(program: Program, cpu: Cpu) -> Elsewhere | None:
    """``program`` on ``cpu``; None if that core's own kernels are the same, or hardly faster."""
    if cpu.features == program.cpu.features and cpu.multiply_cycles == program.cpu.multiply_cycles:
        return None
    own = lower(program.qgraph, cpu, program.prefer)
    lacks = needs_of(program) - cpu.features
    if lacks:
        return Elsewhere(cpu.name, cpu.features, None, lacks, own.instructions)
    pairs = zip(program.steps, own.steps, strict=True)
    factor = sum(_cycles(theirs, ours) for theirs, ours in pairs) / max(1.0, own.cycles)
    if factor < WORTH:
        return None
    return Elsewhere(cpu.name, cpu.features, factor, lacks, own.instructions)


def better(program: Program) -> tuple[Elsewhere, ...]:
    """The cores that have more than the program's own, and kernels that use it."""
    found = (elsewhere(program, cpu) for cpu in _richer(program.cpu))
    return tuple(row for row in found if row)


def sentence(program: Program, rows: tuple[Elsewhere, ...]) -> str:
    """Which core they are for, and what they take on ``rows``, where they lack nothing.

    ``kernels for any core; on cortex-m4 about 2.1 x the cycles of --board cortex-m4``.
    """
    slow = [f"on {r.core} about {r.factor:.1f} x the cycles of --board {r.core}" for r in rows]
    return f"kernels for {kernels_of(program)}" + (f"; {', '.join(slow)}" if slow else "")


def _richer(cpu: Cpu) -> Iterator[Cpu]:
    """One core for each set of features that holds more than those of ``cpu``."""
    seen: set[frozenset[str]] = set()
    for core in CORES.values():
        other = core.cpu(*core.options)
        if cpu.features < other.features and other.features not in seen:
            seen.add(other.features)
            yield other


def _cycles(step: Step, own: Step) -> float:
    """The estimate of the kernel of ``step`` on the core that ``own`` was chosen for."""
    return next(c.cycles for c in own.choices if c.symbol == step.variant.symbol)
