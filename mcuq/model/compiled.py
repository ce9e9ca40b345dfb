"""A compiled model: from integers to the files of its C, in memory and back from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcuq import schema
from mcuq.emit import emit
from mcuq.emit.entry import Buffer, Entry, StepInfo
from mcuq.emit.facts import golden_arrays, model_facts
from mcuq.errors import DataError, McuqError
from mcuq.files import write_folder, written_files
from mcuq.ir import Array
from mcuq.kernels.variant import Cpu
from mcuq.model import bundle
from mcuq.model.bundle import Bundle
from mcuq.model.report import Json, model_report, to_json
from mcuq.program import fit
from mcuq.program.choose import PREFERENCES
from mcuq.program.elsewhere import better, sentence
from mcuq.program.lower import Program, lower
from mcuq.program.plan import Plan, plan
from mcuq.qir import QGraph
from mcuq.reference import run_int
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import GENERIC

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Target:
    """What C is made for: the core of ``board`` or, without one, any; ``prefer`` picks kernels."""

    board: Board | None
    prefer: str

    @property
    def core(self) -> Cpu:
        return boards.cpu(self.board) if self.board else GENERIC

    def lower(self, qgraph: QGraph) -> Program:
        return lower(qgraph, self.core, self.prefer)


def target_of(board: str | Path | Board | None, prefer: str) -> Target:
    """The target of a board, of its name or of its file."""
    if prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    return Target(None if board is None else boards.load(board), prefer)


@dataclass(frozen=True)
class Compiled:
    """A compiled model in memory. ``advice``: what the user should know, one sentence each."""

    bundle: Bundle
    program: Program
    plan: Plan
    report: Json
    files: Mapping[str, str]
    advice: tuple[str, ...] = ()

    @property
    def entry(self) -> Entry:
        """What a test harness needs to know of the generated C."""
        return entry_of(self.program, self.plan, self.bundle.id)

    def write(self, folder: str | Path) -> Path:
        """Write everything into ``folder``: all of it, or nothing."""
        texts = {name: text.encode() for name, text in self.files.items()}
        return write_folder(Path(folder), {**texts, bundle.FILE: bundle.dump(self.bundle)})


def generate(made: Bundle, board: Board | None) -> Compiled:
    """The files of a quantized network, for ``board`` (fit checked) or for any core."""
    program = Target(board, made.prefer).lower(made.qgraph)
    placed = plan(program)
    report = model_report(program, placed, made.id, made.digest, made.quantization)
    if board and not board.is_core:
        report["boards"] = {board.name: fit.check(program, placed, board)}
    richer = better(program)
    report["kernels"] = sentence(program, richer)
    report["slower_than_own"] = {row.core: row.factor for row in richer}
    facts = model_facts(program, placed, made.id, made.source, made.digest, richer)
    golden = golden_arrays(facts, *_known(program.qgraph, made.vectors))
    return Compiled(made, program, placed, report, emit(facts, to_json(report), golden))


def _known(
    qgraph: QGraph, vectors: Mapping[str, Array]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The first vector and what comes out, in the order of the ports."""
    rows = {name: values[:1] for name, values in vectors.items()}
    found = run_int(qgraph, rows, {port.tensor for port in qgraph.outputs})
    inputs = tuple(rows[port.name] for port in qgraph.inputs)
    return inputs, tuple(found[port.tensor] for port in qgraph.outputs)


def load_compiled(folder: str | Path) -> Compiled:
    """What ``Compiled.write`` wrote, from its bundle; the files are read back, not made anew.

    DataError if another version of mcuq wrote them, which would plan or choose kernels otherwise.
    """
    path = Path(folder)
    made = bundle.load(path)
    program = Target(made.board, made.prefer).lower(made.qgraph)
    placed = plan(program)
    report = model_report(program, placed, made.id, made.digest, made.quantization)
    files = _read_texts(path)
    if _identity(files.get("report.json", "{}")) != _identity(to_json(report)):
        reason = "was compiled by another version of mcuq, or its report.json was changed"
        raise DataError(str(path), reason, "Compile the model again")
    return Compiled(made, program, placed, report, files)


def _read_texts(folder: Path) -> dict[str, str]:
    """The text files that mcuq wrote; what the user put beside them is no part of the model."""
    names = [name for name in written_files(folder) if name != bundle.FILE]
    for name in names:
        if not (folder / name).is_file():
            raise DataError(str(folder), f"lacks its file '{name}'", "Compile the model again")
    try:
        return {name: (folder / name).read_text(encoding="utf-8") for name in names}
    except UnicodeDecodeError as error:
        raise DataError(str(folder), f"holds no text ({error})", "Compile it again") from error


def _identity(report: str) -> tuple[object, ...]:
    """What the C in a folder depends on, from the text of its report."""
    try:
        facts = schema.table(schema.anything)(schema.from_json(report), "report")
        found = schema.Record(facts, "report")
        return (
            found.read("mcuq", schema.text()),
            found.read("arena", schema.whole(0)),
            found.read("steps", schema.several(_kernel)),
        )
    except ValueError:
        return ()


def _kernel(value: object, place: str) -> tuple[str, str]:
    """The name of a step of the report, and its kernel."""
    step = schema.Record(schema.table(schema.anything)(value, place), place)
    return step.read("name", schema.text()), step.read("kernel", schema.text())


def entry_of(program: Program, placed: Plan, identity: str) -> Entry:
    """The buffers and steps of the generated function, in its order."""
    tensors = program.qgraph.tensors
    facts = model_facts(program, placed, identity, "", "")
    return Entry(
        identity,
        facts.arena,
        tuple(Buffer(p.c_name, p.bytes) for p in facts.inputs),
        tuple(Buffer(p.c_name, p.bytes) for p in facts.outputs),
        tuple(StepInfo(s.node.name, tensors[s.node.output].bytes) for s in program.steps),
    )
