"""A compiled model: from integers to the files of its C, in memory and back from a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcuq.draw.html import table
from mcuq.emit import cores_of, emit, emit_family, family, weights_of
from mcuq.emit.entry import Argument, Entry, StepInfo
from mcuq.emit.facts import ArrayFacts, ModelFacts, golden_arrays, model_facts
from mcuq.emit.ports import port_facts
from mcuq.errors import DataError, McuqError
from mcuq.files import read_file, write_folder, written_files
from mcuq.ir import fed, shown, state_ports
from mcuq.kernels.variant import Cpu
from mcuq.model import bundle
from mcuq.model.bundle import Bundle
from mcuq.model.facts import report_of
from mcuq.model.pictures import network
from mcuq.model.report import FILE, Apart, Member, Report, from_json, to_json
from mcuq.program import fit
from mcuq.program.choose import PREFERENCES
from mcuq.program.elsewhere import better
from mcuq.program.fit import Memory
from mcuq.program.lower import Program, lower
from mcuq.program.plan import Plan, plan
from mcuq.program.state import state_bytes
from mcuq.qir import QGraph
from mcuq.reference import port_to_int, run_int
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import GENERIC

_MOST_TEXT = 1 << 30


@dataclass(frozen=True)
class Target:
    """What C is made for: the core of ``board`` or, without one, any; ``prefer`` picks kernels.

    ``boards``: all that were named, of which ``board`` has the richest core.
    """

    board: Board | None
    prefer: str
    boards: tuple[Board, ...] = ()

    @property
    def core(self) -> Cpu:
        return boards.cpu(self.board) if self.board else GENERIC

    def lower(self, qgraph: QGraph) -> Program:
        return lower(qgraph, self.core, self.prefer)


def target_of(board: str | Path | Board | None, prefer: str) -> Target:
    """The target of a board, or of several, by names or files."""
    if prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    if board is None:
        return Target(None, prefer)
    found = boards.load_all(board)
    return Target(richest_first(found)[0], prefer, found)


def richest_first(given: Sequence[Board]) -> tuple[Board, ...]:
    """One board for every kind of core that a compiler's macros tell apart."""
    kinds: dict[int, Board] = {}
    for board in given:
        kinds.setdefault(family.rank(boards.cpu(board)), board)
    return tuple(kinds[kind] for kind in sorted(kinds))


@dataclass(frozen=True, repr=False)
class Compiled:
    """A compiled model in memory. ``advice``: what the user should know, one sentence each.

    ``variants``: of a folder for several cores, the models of each, of which all else is the first.
    ``blob``: the weights, if they lie apart from the code.
    """

    bundle: Bundle
    program: Program
    plan: Plan
    report: Report
    files: Mapping[str, str]
    advice: tuple[str, ...] = ()
    variants: tuple[Compiled, ...] = ()
    blob: bytes | None = None

    def __repr__(self) -> str:
        return self.report.brief("Compiled")

    def _repr_html_(self) -> str:
        return table(("", ""), self.report.summary) + network(self.program, self.report).svg

    def on(self, board: Board | None) -> Compiled:
        """What is compiled for ``board``, or for this computer: of a family, that member."""
        if not self.variants:
            return self
        cpus = [variant.program.cpu for variant in self.variants]
        index = family.chosen(cpus, boards.cpu(board) if board else None)
        return replace(self.variants[index], files=self.files, variants=())

    @property
    def entry(self) -> Entry:
        """What a test harness needs to know of the generated C."""
        return replace(entry_of(self.program, self.plan, self.bundle.id), blob=self.blob)

    @property
    def facts(self) -> ModelFacts:
        """What a template may print of it; of a family, of its richest core."""
        made = self.bundle
        named = (made.id, made.source, made.digest)
        return model_facts(self.program, self.plan, *named, apart=made.weights)

    def write(self, folder: str | Path) -> Path:
        """Write everything into ``folder``: all of it, or nothing."""
        texts = {name: text.encode() for name, text in self.files.items()}
        weights = {} if self.blob is None else {blob_name(self.bundle): self.blob}
        files = {**texts, **weights, bundle.FILE: bundle.dump(self.bundle)}
        return write_folder(Path(folder), files, bundle.FILE)


def blob_name(made: Bundle) -> str:
    """The file of the weights, where they lie apart."""
    return f"{made.id}_weights.bin"


def generate_for(made: Bundle, given: Sequence[Board]) -> Compiled:
    """The files of a quantized network for boards, all of which it must fit; for none: any core.

    If their cores differ in what a compiler's macros tell, they are a family: one folder.
    """
    kinds = richest_first(given)
    if len(kinds) < 2:
        whole = generate(made, kinds[0] if kinds else None)
        fits = _fits((whole,), given)
        if len(fits) < 2:
            return whole
        return _with_report(whole, replace(whole.report, boards=fits))
    if made.weights is not None:
        names = ", ".join(board.name for board in kinds)
        reason = f"is for one core, not for {names}: each packs its weights its own way"
        raise McuqError("--weights blob", reason, "Compile a folder for each")
    drafts = [_draft(replace(made, board=board), board) for board in kinds]
    models = tuple(model for model, _ in drafts)
    rows = family.variants([(m.program.cpu, max(1, m.plan.size)) for m in models])
    members = [(facts, row) for (_, facts), row in zip(drafts, rows, strict=True)]
    report = replace(
        models[0].report,
        kernels=cores_of(members),
        slower_than_own={},
        boards=_fits(models, given),
        family=tuple(Member(row.core, row.condition, row.arena) for row in rows),
    )
    golden = _golden(models[0], members[0][0])
    files = emit_family(members, to_json(report), golden)
    bundled = replace(made, board=kinds[0], family=kinds)
    first = models[0]
    return Compiled(bundled, first.program, first.plan, report, files, variants=models)


def _with_report(whole: Compiled, report: Report) -> Compiled:
    return replace(whole, report=report, files={**whole.files, FILE: to_json(report)})


def _fits(models: Sequence[Compiled], given: Sequence[Board]) -> dict[str, Memory]:
    """What the model needs of each board's memory; FitError if one has less."""
    cpus = [model.program.cpu for model in models]
    found = {}
    for board in given:
        if not board.is_core:
            model = models[family.chosen(cpus, boards.cpu(board))]
            found[board.name] = fit.check(model.program, model.plan, board)
    return found


def generate(made: Bundle, board: Board | None) -> Compiled:
    """The files of a quantized network, for ``board`` (fit checked) or for any core."""
    draft, facts = _draft(made, board)
    files = emit(facts, to_json(draft.report), _golden(draft, facts))
    return replace(draft, files=files, blob=weights_of(facts))


def _draft(made: Bundle, board: Board | None) -> tuple[Compiled, ModelFacts]:
    """All but the files, and what they are made of."""
    program = Target(board, made.prefer).lower(made.qgraph)
    placed = plan(program)
    real = board is not None and not board.is_core
    fits = {board.name: fit.check(program, placed, board)} if board and real else {}
    richer = better(program)
    report = report_of(made, program, placed, richer, fits)
    if made.weights is not None:
        report = replace(report, weights=Apart(blob_name(made), made.weights))
    facts = model_facts(program, placed, made.id, made.source, made.digest, richer, made.weights)
    return Compiled(made, program, placed, report, {}), facts


def _golden(model: Compiled, facts: ModelFacts) -> tuple[ArrayFacts, ...]:
    """The first vector and what comes out, in the order of the ports."""
    qgraph = model.program.qgraph
    rows = {name: values[:1] for name, values in model.bundle.vectors.items()}
    rows |= {state.read: port_to_int(port, state.start) for state, port, _ in state_ports(qgraph)}
    found = run_int(qgraph, rows, {port.tensor for port in qgraph.outputs})
    inputs = tuple(rows[port.name] for port in fed(qgraph))
    return golden_arrays(facts, inputs, tuple(found[port.tensor] for port in shown(qgraph)))


def load_compiled(folder: str | Path) -> Compiled:
    """What ``Compiled.write`` wrote, from its bundle; the files are read back, not made anew.

    DataError if another version of mcuq wrote them, which would plan or choose kernels otherwise.
    """
    path = Path(folder)
    made = bundle.load(path)
    program = Target(made.board, made.prefer).lower(made.qgraph)
    placed = plan(program)
    apart = blob_name(made) if made.weights is not None else None
    files = _read_texts(path, apart)
    report = _stored_report(path, files, report_of(made, program, placed, (), {}))
    variants = tuple(_draft(replace(made, board=board), board)[0] for board in made.family)
    weights = read_file(path / apart, _MOST_TEXT) if apart else None
    return Compiled(made, program, placed, report, files, variants=variants, blob=weights)


def _read_texts(folder: Path, apart: str | None) -> dict[str, str]:
    """The text files that mcuq wrote; what the user put beside them is no part of the model."""
    written = written_files(folder)
    names = [name for name in written if name not in (bundle.FILE, apart)]
    for name in (*names, *([apart] if apart else [])):
        if not (folder / name).is_file():
            raise DataError(str(folder), f"lacks its file '{name}'", "Compile the model again")
    try:
        return {name: read_file(folder / name, _MOST_TEXT).decode() for name in names}
    except UnicodeDecodeError as error:
        raise DataError(str(folder), f"holds no text ({error})", "Compile it again") from error


def _stored_report(folder: Path, files: Mapping[str, str], expected: Report) -> Report:
    """The report in ``files``, if the C there does what is ``expected``; DataError otherwise."""
    try:
        stored = from_json(files.get(FILE, ""))
    except ValueError:
        stored = None
    if stored is None or _identity(stored) != _identity(expected):
        reason = f"was compiled by another version of mcuq, or its {FILE} was changed"
        raise DataError(str(folder), reason, "Compile the model again")
    return stored


def _identity(report: Report) -> tuple[object, ...]:
    """What the C in a folder depends on."""
    return report.mcuq, report.arena, [(step.name, step.kernel) for step in report.steps]


def entry_of(program: Program, placed: Plan, identity: str) -> Entry:
    """The buffers and steps of the generated function, in its order."""
    graph = program.qgraph
    inputs = port_facts(fed(graph), "in", identity, graph.tensors)
    outputs = port_facts(shown(graph), "out", identity, graph.tensors)
    return Entry(
        identity,
        max(placed.size, 1),
        tuple(Argument(p.c_name, p.bytes) for p in inputs),
        tuple(Argument(p.c_name, p.bytes) for p in outputs),
        tuple(StepInfo(s.node.name, graph.tensors[s.node.output].bytes) for s in program.steps),
        state=state_bytes(graph),
    )
