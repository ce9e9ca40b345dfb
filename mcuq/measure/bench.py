"""Executed instructions of one inference, exact and repeatable, per step and in total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mcuq.draw.bars import Bar, bars
from mcuq.draw.svg import Picture
from mcuq.emulate import count, cycles
from mcuq.errors import brief
from mcuq.files import temporary
from mcuq.firmware import image as build
from mcuq.model import vectors
from mcuq.model.compiled import Compiled
from mcuq.program.choose import Choice
from mcuq.program.elsewhere import elsewhere, kernels_of
from mcuq.progress import Progress, silent
from mcuq.targets import boards
from mcuq.targets.boards import Board


@dataclass(frozen=True)
class StepCost:
    """One step. ``cycles_estimate``: with memory that never waits; None for cores without a
    published cycle model. ``stalls``: cycles beside it that the core waits for flash, where the
    board's file says how that is read. ``cycles``: measured on a board.
    """

    name: str
    op: str
    kernel: str
    macs: int
    instructions: int
    cycles_estimate: int | None
    choices: tuple[Choice, ...]
    stalls: int | None = None
    cycles: int | None = None

    @property
    def per_mac(self) -> float | None:
        return self.instructions / self.macs if self.macs else None


@dataclass(frozen=True, repr=False)
class Bench:
    """The cost of one inference on one board; bytes without the harness.

    ``clock_hz`` is None for a core. ``kernels``: which core they are for, and what the board's own
    would take. ``on``: where the board is on which ``cycles`` were measured. Of a stream
    ``instructions`` are the mean of several steps, ``worst`` the most; the rest is of one of them.
    """

    board: str
    core: str
    clock_hz: int | None
    macs: int
    instructions: int
    cycles_estimate: int | None
    flash: int
    ram: int
    steps: tuple[StepCost, ...]
    kernels: str
    stalls: int | None = None
    on: str | None = None
    cycles: int | None = None
    worst: int | None = None

    def __repr__(self) -> str:
        return brief("Bench", self.board, f"{self.instructions:,} instructions")

    def _repr_html_(self) -> str:
        return self.picture.svg

    @property
    def picture(self) -> Picture:
        """The instructions of every step."""
        rows = [Bar(s.name, (float(s.instructions),), f"{s.instructions:,}") for s in self.steps]
        told = f"{self.instructions:,} in all on {self.board}"
        return bars("Counted instructions", told, rows)

    @property
    def milliseconds(self) -> float | None:
        if self.cycles_estimate is None:
            return None
        return self._milliseconds(self.cycles_estimate + (self.stalls or 0))

    @property
    def measured_milliseconds(self) -> float | None:
        return self._milliseconds(self.cycles)

    def _milliseconds(self, cycles: int | None) -> float | None:
        if cycles is None or self.clock_hz is None:
            return None
        return 1000 * cycles / self.clock_hz

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "milliseconds_estimate": self.milliseconds,
            "milliseconds": self.measured_milliseconds,
        }

    def measured(self, on: str, cycles: Sequence[int] | None) -> Bench:
        """With the ``cycles`` of each step that a board needed; None: it counts none."""
        if cycles is None:
            return replace(self, on=on)
        steps = (replace(s, cycles=n) for s, n in zip(self.steps, cycles, strict=True))
        return replace(self, on=on, cycles=sum(cycles), steps=tuple(steps))


def bench(compiled: Compiled, board: Board, progress: Progress = silent) -> Bench:
    """Count one inference on ``board``; the total is of an image without any hooks."""
    compiled = compiled.on(board)
    with temporary() as work:
        progress("building", 0.1)
        plain, stepped = (
            build.compile_image(compiled.files, compiled.entry, board, work, kind)
            for kind in ("plain", "steps")
        )
        progress("counting", 0.5)
        typical = vectors.typical(compiled.bundle)
        counts = count.count(plain, stepped, typical, reads=board.reads)
        several = _over_steps(compiled, plain)
        estimates = [_cycles(profile, stepped, board) for profile in counts.step_profiles]
        whole = _cycles(counts.profile, plain, board)
        waits = [_stalls(profile, board) for profile in counts.step_profiles]
    steps = tuple(
        StepCost(s.node.name, s.node.op, s.variant.symbol, s.macs, n, c, s.choices, w)
        for s, n, c, w in zip(compiled.program.steps, counts.steps, estimates, waits, strict=True)
    )
    assert plain.sizes is not None
    return Bench(
        board.name,
        board.cpu,
        None if board.is_core else board.clock_hz,
        compiled.program.macs,
        round(sum(several) / len(several)) if several else counts.total,
        whole,
        plain.sizes.flash,
        plain.sizes.ram,
        steps,
        _kernels(compiled, board, counts.total),
        _stalls(counts.profile, board),
        worst=max(several) if several else None,
    )


def _over_steps(compiled: Compiled, plain: build.Image) -> list[int]:
    """The instructions of several steps of a stream; empty without one."""
    if compiled.program.qgraph.stream is None:
        return []
    return [count.count_total(plain, vector) for vector in vectors.stepwise(compiled.bundle)]


def _kernels(compiled: Compiled, board: Board, executed: int) -> str:
    """Which core the kernels are for, and what the board's own would take."""
    program = compiled.program
    row = elsewhere(program, boards.cpu(board))
    text = f"kernels for {kernels_of(program)}"
    return f"{text}: {row.times(executed)}, see 'mcuq retarget'" if row else text


def _cycles(profile: count.Profile, image: build.Image, board: Board) -> int | None:
    return cycles.estimate(profile, image.elf, board.cpu, board.multiply_cycles)


def _stalls(profile: count.Profile, board: Board) -> int | None:
    if board.reads is None or profile.misses is None:
        return None
    return cycles.stalls(profile.misses, board.reads)
