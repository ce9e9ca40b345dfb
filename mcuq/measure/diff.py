"""What changed between two compiles, by their reports alone: nothing is built or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcuq import schema
from mcuq.errors import DataError
from mcuq.schema import Record, anything, optional, real, several, table, text, whole

FILE = "report.json"
_SIZE = whole(0, 1 << 53)


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


@dataclass(frozen=True)
class Diff:
    """``numbers``: all of them, changed or not. ``steps``: those that differ, in order.

    ``board``: the one that flash and stack are of; None if there is none in both.
    """

    old: str
    new: str
    board: str | None
    numbers: tuple[Change, ...]
    steps: tuple[StepChange, ...]

    def to_json(self) -> dict[str, Any]:
        numbers = {n.what: {"old": n.old, "new": n.new, "by": n.by} for n in self.numbers}
        steps = [asdict(step) for step in self.steps]
        names = {"old": self.old, "new": self.new, "board": self.board}
        return {**names, "numbers": numbers, "steps": steps}


@dataclass(frozen=True)
class _Report:
    """The part of a report that is compared."""

    name: str
    numbers: Mapping[str, float | None]
    boards: Mapping[str, Mapping[str, int]]
    kernels: Mapping[str, str]


def diff(old: str | Path, new: str | Path) -> Diff:
    """The difference of two compiled folders, also of other versions of mcuq.

    Flash and stack are those of the first board that both were compiled for.
    """
    before, after = _read(Path(old)), _read(Path(new))
    board = next((name for name in after.boards if name in before.boards), None)
    numbers = [Change(key, value, after.numbers[key]) for key, value in before.numbers.items()]
    if board is not None:
        was, now = before.boards[board], after.boards[board]
        numbers = [*(Change(key, was[key], now[key]) for key in was), *numbers]
    return Diff(before.name, after.name, board, tuple(numbers), tuple(_steps(before, after)))


def _steps(before: _Report, after: _Report) -> Iterator[StepChange]:
    for name in dict.fromkeys((*before.kernels, *after.kernels)):
        change = StepChange(name, before.kernels.get(name), after.kernels.get(name))
        if change.old != change.new:
            yield change


def _read(folder: Path) -> _Report:
    path = folder / FILE
    if not path.is_file():
        reason = "holds no report.json"
        raise DataError(str(folder), reason, "Name a folder that mcuq compile wrote")
    try:
        found = Record(table(anything)(schema.from_json(path.read_bytes()), "report"), "report")
        return _report(found)
    except ValueError as error:
        reason = f"is damaged or was changed ({error})"
        raise DataError(str(path), reason, "Compile the model again") from error


def _report(found: Record) -> _Report:
    steps = found.read("steps", several(_step))
    judged = found.read("judged", optional(table(anything)))
    decibels = optional(real())((judged or {}).get("sqnr_db"), "judged.sqnr_db")
    numbers = {
        "weights B": found.read("flash_weights", _SIZE),
        "arena B": found.read("arena", _SIZE),
        "MACs": found.read("macs", _SIZE),
        "est. instructions": sum(cost for _, _, cost in steps),
        "SQNR dB": decibels,
    }
    boards = found.read("boards", optional(table(_board))) or {}
    return _Report(found.read("name", text()), numbers, boards, {n: k for n, k, _ in steps})


def _step(value: object, place: str) -> tuple[str, str, int]:
    """The name of a step, its kernel, and its estimated instructions."""
    step = Record(table(anything)(value, place), place)
    cost = step.read("estimated_instructions", _SIZE)
    return step.read("name", text()), step.read("kernel", text()), cost


def _board(value: object, place: str) -> dict[str, int]:
    found = Record(table(anything)(value, place), place)
    keys = {"flash": "flash B", "stack": "stack B", "io": "input and output B"}
    return {label: found.read(key, _SIZE) for key, label in keys.items()}
