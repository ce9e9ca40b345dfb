"""Gates for continuous integration: what a compiled model measures, held against limits.

Limits are given, or are what another compile (the baseline) measures: nothing may get worse. What
is measured is what ``check`` and ``eval`` measure, and only as much as the limits ask for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mcuq import schema
from mcuq.draw.html import table
from mcuq.errors import BoardError, DataError, McuqError, brief, one_line
from mcuq.files import read_file
from mcuq.measure.check import HOST, check
from mcuq.measure.evaluate import evaluate_file
from mcuq.measure.limits import AT_LEAST, ON_BOARD, Limits
from mcuq.model.compiled import Compiled, load_compiled
from mcuq.progress import Progress, silent
from mcuq.targets import boards
from mcuq.targets.boards import Board

VECTORS = 8
DECIBEL = 0.05
"""The SQNR of a baseline may be missed by so much: processors differ in float's last bits."""

_UNITS = {
    "flash": "B", "ram": "B", "stack": "B", "instructions": "", "accuracy": "%", "sqnr": "dB",
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What was measured on ``board``; None for what was not.

    ``ram``: arena and statics; ``stack``: the proven worst case of all compilers. ``accuracy``: of
    the integer network in percent; ``sqnr``: in dB, infinite where it equals float.
    """

    board: str | None = None
    flash: int | None = None
    ram: int | None = None
    stack: int | None = None
    instructions: int | None = None
    accuracy: float | None = None
    sqnr: float | None = None
    difference: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``from_json`` reads it: an infinite SQNR is a text, for JSON has none."""
        facts = asdict(self)
        return {**facts, "sqnr": "inf" if self.sqnr == math.inf else self.sqnr}


@dataclass(frozen=True)
class Gate:
    """One limit. ``by``: who set it, a limit or the baseline; ``measured``: None if unknown."""

    what: str
    by: str
    measured: float | str | None
    limit: float | str
    passed: bool

    @property
    def line(self) -> str:
        """What is wrong, in one line."""
        if isinstance(self.measured, str):
            return one_line(f"{self.what}: {self.measured}")
        least = self.what in AT_LEAST
        bound = f"{'at least' if least else 'at most'} {text_of(self.what, self.limit)}"
        return f"{self.what}: {text_of(self.what, self.measured)}, {bound} ({self.by})"


@dataclass(frozen=True, repr=False)
class Verified:
    """``gates``: in the order of ``Limits``, those of the baseline last."""

    name: str
    measured: Measured
    gates: tuple[Gate, ...]

    def __repr__(self) -> str:
        kept = len(self.gates) - len(self.broken)
        return brief("Verified", self.name, f"{kept} of {len(self.gates)} limits kept")

    def _repr_html_(self) -> str:
        rows = [
            (g.what, text_of(g.what, g.measured), text_of(g.what, g.limit), g.by, g.passed)
            for g in self.gates
        ]
        return table(("what", "measured", "limit", "from", "kept"), rows)

    @property
    def broken(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    def to_json(self) -> dict[str, Any]:
        gates = [asdict(gate) for gate in self.gates]
        measured = self.measured.to_json()
        return {
            "name": self.name,
            "passed": not self.broken,
            "measured": measured,
            "gates": gates,
        }

    def to_junit(self) -> bytes:
        """The gates as test cases; without times, so that equal results are equal bytes."""
        counts = {"tests": str(len(self.gates)), "failures": str(len(self.broken))}
        suite = ElementTree.Element("testsuite", {"name": f"mcuq verify {self.name}", **counts})
        for gate in self.gates:
            names = {"classname": f"mcuq.{self.name}", "name": f"{gate.what} ({gate.by})"}
            case = ElementTree.SubElement(suite, "testcase", names)
            if not gate.passed:
                ElementTree.SubElement(case, "failure", {"message": gate.line})
        ElementTree.indent(suite)
        text = ElementTree.tostring(suite, encoding="unicode")
        return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def text_of(what: str, value: float | str | None) -> str:
    """A measured number or a limit for people.

    >>> text_of("flash", 12345), text_of("sqnr", 31.456)
    ('12,345 B', '31.46 dB')
    """
    if value is None or isinstance(value, str):
        return value or "not measured"
    number = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
    return f"{number} {_UNITS[what]}".rstrip()


def verify(
    folder: str | Path,
    limits: Limits,
    *,
    board: str | Path | Board | None = None,
    data: str | Path | None = None,
    baseline: str | Path | None = None,
    progress: Progress = silent,
) -> Verified:
    """Hold the model in ``folder`` against limits, and against a baseline if there is one.

    ``board``: by default the one it was compiled for. ``data``: for the accuracy, and for the SQNR,
    which is that of the compile's own judgement without. ``baseline``: a compiled folder, or the
    JSON file of an earlier run.
    """
    wanted = set(limits.by_measure())
    if not wanted and baseline is None:
        raise McuqError("verify", "no limit is given", "Pass --max-flash, --baseline or others")
    compiled = load_compiled(folder)
    before = None
    if baseline is not None and Path(baseline).is_file():
        before = from_json(Path(baseline))
        wanted |= {what for what in _UNITS if getattr(before, what) is not None}
        wanted -= {"accuracy"} if data is None else set()
    elif baseline is not None:
        wanted |= {*ON_BOARD, "sqnr", *(["accuracy"] if data is not None else [])}
        progress(f"baseline {baseline}", 0.0)
        old = load_compiled(baseline)
        before = measure(old, wanted, board or compiled.bundle.board, data, progress, "baseline")
    progress("measuring", 0.5)
    found = measure(compiled, wanted, board, data, progress, str(folder))
    if before and before.board and found.board and before.board != found.board:
        reason = f"was measured on {before.board}, this is {found.board}"
        raise DataError(str(baseline), reason, f"Pass --board {before.board}")
    gates = [*_exact(found), *_limited(found, limits), *_against(found, before)]
    return Verified(compiled.bundle.id, found, tuple(gates))


def measure(
    compiled: Compiled,
    wanted: Collection[str],
    board: str | Path | Board | None,
    data: str | Path | None,
    progress: Progress,
    thing: str,
) -> Measured:
    """What ``wanted`` names, and whether the board computes exactly what it should."""
    found = Measured()
    if any(what in wanted for what in ON_BOARD):
        given = board or compiled.bundle.board
        if given is None:
            raise BoardError(thing, "was compiled for no board in particular", "Pass --board")
        found = _on_board(compiled, boards.load(given), progress)
    if data is not None:
        made = compiled.bundle
        result = evaluate_file(made, data).result
        share = result.int8_top1
        if share is None and "accuracy" in wanted:
            raise DataError(str(data), "has no classes to know the accuracy by", "Add an array y")
        accuracy = None if share is None else round(100 * share, 3)
        return replace(found, accuracy=accuracy, sqnr=_rounded(result.sqnr_db))
    if "accuracy" in wanted:
        raise DataError(thing, "the accuracy is not known without data", "Pass --data FILE.npz")
    if "sqnr" in wanted:
        found = replace(found, sqnr=_judged(compiled, thing))
    return found


def _on_board(compiled: Compiled, board: Board, progress: Progress) -> Measured:
    verdicts = check(compiled, [board], VECTORS, 0, progress, clang=True)
    here = next(verdict for verdict in verdicts if verdict.board != HOST)
    bad = next((verdict for verdict in verdicts if not verdict.exact), None)
    return Measured(
        board.name,
        here.flash,
        here.ram,
        max(here.stacks.values(), default=None),
        here.instructions,
        difference=None if bad is None else f"{bad.board}: {bad.first}",
    )


def _judged(compiled: Compiled, thing: str) -> float:
    """The SQNR that the compile itself saw."""
    judged = compiled.report.judged
    if judged is None:
        raise DataError(thing, "the SQNR is not known without data", "Pass --data FILE.npz")
    return math.inf if judged.sqnr_db is None else judged.sqnr_db


def _rounded(decibels: float) -> float:
    return round(decibels, 3) if math.isfinite(decibels) else math.inf


def _exact(found: Measured) -> Iterator[Gate]:
    if found.board is not None:
        wanted = "every tensor exact"
        passed = found.difference is None
        yield Gate("exact", "check", found.difference or wanted, wanted, passed)


def _limited(found: Measured, limits: Limits) -> Iterator[Gate]:
    for what, limit in limits.by_measure().items():
        value = getattr(found, what)
        passed = value >= limit if what in AT_LEAST else value <= limit
        yield Gate(what, "limit", value, limit, passed)


def _against(found: Measured, before: Measured | None) -> Iterator[Gate]:
    """Nothing may be worse than before; SQNR and accuracy by more than ``DECIBEL``."""
    for what in _UNITS if before else ():
        limit, value = getattr(before, what), getattr(found, what)
        if limit is not None and value is not None:
            spare = DECIBEL if what == "sqnr" else 0.0
            passed = value >= limit - spare if what in AT_LEAST else value <= limit
            yield Gate(what, "baseline", value, limit, passed)


def from_json(path: Path) -> Measured:
    """What an earlier run wrote as ``measured``."""
    size = schema.optional(schema.whole(0, 1 << 53))
    number = schema.optional(schema.real())
    try:
        facts = schema.table(schema.anything)(schema.from_json(read_file(path)), "it")
        values = schema.table(schema.anything)(facts.get("measured"), "measured")
        found = schema.Record(values, "measured")
        equal = found.values.get("sqnr") == "inf"
        return Measured(
            found.read("board", schema.optional(schema.text())),
            found.read("flash", size),
            found.read("ram", size),
            found.read("stack", size),
            found.read("instructions", size),
            found.read("accuracy", number),
            math.inf if equal else found.read("sqnr", number),
        )
    except ValueError as error:
        reason = f"is no result of an earlier verify ({error})"
        raise DataError(str(path), reason, "Give its --json file, or a compiled folder") from error
