"""What changed between two compiles, by their reports alone: nothing is built or run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcuq.draw.html import table
from mcuq.errors import brief
from mcuq.model import report
from mcuq.model.report import Report


@dataclass(frozen=True)
class Change:
    """One number before and after; None where a report does not have it."""

    what: str
    old: float | None
    new: float | None

    @property
    def by(self) -> float | None:
        if self.old is None or self.new is None:
            return None
        return round(self.new - self.old, 3)

    @property
    def percent(self) -> float | None:
        return None if self.by is None or not self.old else 100 * self.by / self.old


@dataclass(frozen=True)
class StepChange:
    """A step that another kernel runs, or that only one of the two has (the other is None)."""

    step: str
    old: str | None
    new: str | None


@dataclass(frozen=True, repr=False)
class Diff:
    """``numbers``: all of them, changed or not. ``steps``: those that differ, in order.

    ``board``: the one that flash and stack are of; None if there is none in both.
    """

    old: str
    new: str
    board: str | None
    numbers: tuple[Change, ...]
    steps: tuple[StepChange, ...]

    def __repr__(self) -> str:
        changed = sum(bool(number.by) for number in self.numbers)
        return brief("Diff", f"{self.old} and {self.new}", f"{changed} numbers differ")

    def _repr_html_(self) -> str:
        return table(
            ("", "#old", "#new", "#by"), [(n.what, n.old, n.new, n.by) for n in self.numbers]
        )

    def to_json(self) -> dict[str, Any]:
        numbers = {n.what: {"old": n.old, "new": n.new, "by": n.by} for n in self.numbers}
        steps = [asdict(step) for step in self.steps]
        names = {"old": self.old, "new": self.new, "board": self.board}
        return {**names, "numbers": numbers, "steps": steps}


def diff(old: str | Path, new: str | Path) -> Diff:
    """The difference of two compiled folders, also of other versions of mcuq.

    Flash and stack are those of the first board that both were compiled for.
    """
    before, after = report.load(Path(old)), report.load(Path(new))
    board = next((name for name in after.boards if name in before.boards), None)
    was, now = (_numbers(found, board) for found in (before, after))
    numbers = tuple(Change(what, value, now[what]) for what, value in was.items())
    return Diff(before.name, after.name, board, numbers, tuple(_steps(before, after)))


def _numbers(found: Report, board: str | None) -> dict[str, float | None]:
    """What is compared, by its name and unit."""
    numbers: dict[str, float | None] = {}
    if board is not None:
        needs = found.boards[board]
        numbers = {"flash B": needs.flash, "stack B": needs.stack, "input and output B": needs.io}
    return {
        **numbers,
        "weights B": found.flash_weights,
        "arena B": found.arena,
        "MACs": found.macs,
        "est. instructions": sum(step.estimated_instructions for step in found.steps),
        "SQNR dB": found.judged.sqnr_db if found.judged else None,
    }


def _steps(before: Report, after: Report) -> Iterator[StepChange]:
    was, now = ({step.name: step.kernel for step in found.steps} for found in (before, after))
    for name in dict.fromkeys((*was, *now)):
        change = StepChange(name, was.get(name), now.get(name))
        if change.old != change.new:
            yield change
