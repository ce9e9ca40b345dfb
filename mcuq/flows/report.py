"""The page of a compiled model: what is known of it, drawn; ``mcuq report``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcuq.draw.bars import Bar, bars
from mcuq.draw.svg import Picture
from mcuq.emit.page import Page, Section, Table, render
from mcuq.errors import BoardError
from mcuq.flows.estimate import Needs, needs_on
from mcuq.ir import Array
from mcuq.measure.bench import Bench, bench
from mcuq.measure.check import Verdict, check
from mcuq.measure.confusion import confusion, mixed_up, picture
from mcuq.measure.evaluate import Evaluation, evaluate_file
from mcuq.measure.explain import explain
from mcuq.model import pictures
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, load_compiled
from mcuq.model.report import Asked, Explained, Report, arena_text
from mcuq.progress import Progress, silent
from mcuq.targets import boards

VECTORS = 8

_FILES = (".onnx", ".tflite", ".pt2")


@dataclass(frozen=True, repr=False)
class Evidence:
    """What is shown of a model beside its report.

    ``needs``: of the boards that ship. ``evaluation`` and ``confusion``: on labelled data, if any
    was given; ``verdicts`` and ``counted``: what was measured, if that was asked for.
    """

    compiled: Compiled
    explained: Explained
    needs: tuple[Needs, ...]
    evaluation: Evaluation | None = None
    confusion: Array | None = None
    verdicts: tuple[Verdict, ...] = ()
    counted: Bench | None = None

    def __repr__(self) -> str:
        return self.compiled.report.brief("Evidence")

    @property
    def html(self) -> str:
        """The page, one file."""
        return _html(self)

    @property
    def pictures(self) -> dict[str, str]:
        """SVG by a short name, in the order of the page."""
        return {name: shown.svg for name, shown in _drawn(self).items()}


def gather(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    measure: bool = False,
    progress: Progress = silent,
) -> Evidence:
    """All that the page shows of the model in ``folder``.

    ``data``: a file with rows x and, if known, their classes y. ``measure``: check every tensor and
    count instructions in emulation, on the board that the model was compiled for.
    """
    compiled = load_compiled(folder)
    made = compiled.bundle
    if measure and made.board is None:
        reason = "was compiled for no board in particular, on which it could be measured"
        raise BoardError(str(folder), reason, "Compile it with --board, or leave out --measure")
    found = None if data is None else evaluate_file(made, data)
    counts = None
    if found is not None and found.labels is not None:
        counts = confusion(made.graph, made.qgraph, found.feeds, found.labels)
    explained = compiled.report.explain
    if explained is None or found is not None:
        explained = explain(made, found.feeds if found else None, progress).facts
    needs = needs_on(made.qgraph, boards.all_boards(), made.prefer, progress)
    verdicts: tuple[Verdict, ...] = ()
    counted = None
    if measure and made.board is not None:
        verdicts = tuple(check(compiled, [made.board], VECTORS, 0, progress))
        counted = bench(compiled, made.board, progress)
    evaluation = found.result if found else None
    return Evidence(compiled, explained, needs, evaluation, counts, verdicts, counted)


def _drawn(found: Evidence) -> dict[str, Picture]:
    """The pictures by a short name, in the order of the page."""
    compiled = found.compiled
    program, report = compiled.program, compiled.report
    done = {
        "network": pictures.network(program, report),
        "instructions": pictures.costs(report),
        "arena": pictures.arena(program, compiled.plan),
        "flash": pictures.flash(program),
        "error": pictures.errors(found.explained),
        "boards": _boards_picture(found.needs),
    }
    if found.counted is not None:
        done["instructions"] = found.counted.picture
    matrix = None if found.confusion is None else picture(found.confusion)
    if matrix is not None:
        done["confusion"] = matrix
    for picture_of in pictures.compression(report.compression) if report.compression else ():
        done[re.sub(r"\W+", "-", picture_of.title.lower())] = picture_of
    return done


def _html(found: Evidence) -> str:
    """The page, one file."""
    report, shown = found.compiled.report, _drawn(found)
    name = found.compiled.bundle.id
    lead = f"from {found.compiled.bundle.source}, compiled by mcuq {report.mcuq}; {report.kernels}"
    return render(
        Page(f"mcuq: {name}", lead, tuple(_figures(report)), tuple(_sections(found, shown)))
    )


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    """The few numbers that come first."""
    yield from report.summary[1:]
    yield "MACs", f"{report.macs:,}"
    yield "instructions", f"{sum(step.estimated_instructions for step in report.steps):,}"
    if report.judged and report.judged.agreement is not None:
        yield "same class", f"{report.judged.agreement:.1%}"


def _sections(found: Evidence, shown: dict[str, Picture]) -> Iterator[Section]:
    compiled = found.compiled
    report = compiled.report
    yield _verdict(found)
    yield Section("Network", (), (shown["network"],), (_steps(report),))
    yield Section("Instructions", (_instructions(found),), (shown["instructions"],))
    yield Section("Arena over time", (), (shown["arena"],))
    yield Section("Flash", (), (shown["flash"],))
    yield _errors(found.explained, shown["error"])
    if found.evaluation is not None:
        yield _evaluated(found, shown.get("confusion"))
    yield Section("Boards", (), (shown["boards"],), (_boards(found.needs),))
    if report.compression is not None:
        parts = tuple(p for name, p in shown.items() if name.startswith("compression"))
        yield Section("Compression", (), parts, (_compression(report),))
    yield _reproduce(compiled)


def _verdict(found: Evidence) -> Section:
    report = found.compiled.report
    lines = [*_judged(report), *(f"Warning: {text}." for text in _warnings(report))]
    for name, needs in report.boards.items():
        lines.append(
            f"Fits {name}: about {needs.flash:,} B flash, {arena_text(report, needs)}, "
            f"{needs.stack:,} B stack, {needs.io:,} B input and output."
        )
    if report.stream:
        lines.append(f"A stream of {report.stream.frames:,} new frames a step.")
    if not found.verdicts:
        lines.append(
            "Nothing was measured for this page: 'mcuq check' compares every tensor in emulation, "
            "'mcuq report --measure' shows what it finds."
        )
    columns = ("where", "tensors", "#flash B", "#RAM B", "#stack B", "#instructions", "core")
    rows = [
        (v.board, v.outcome, v.flash, v.ram, v.stack_bound, v.instructions, v.core)
        for v in found.verdicts
    ]
    tables = (Table("Measured in emulation", columns, rows),) if rows else ()
    return Section("Verdict", tuple(lines), (), tables)


def _judged(report: Report) -> Iterator[str]:
    judged = report.judged
    if judged is None:
        yield "There was no calibration data to judge it by."
        return
    kind = "held-out calibration" if judged.held_out else "calibration"
    text = (
        "equals the float network"
        if judged.sqnr_db is None
        else (f"has {judged.sqnr_db:.1f} dB of signal over noise against the float network")
    )
    same = (
        ""
        if judged.agreement is None
        else (f", and names the same class in {100 * judged.agreement:.1f} %")
    )
    yield f"The integer network {text}{same}, on {judged.rows} {kind} rows."


def _warnings(report: Report) -> tuple[str, ...]:
    return report.judged.warnings if report.judged else ()


def _instructions(found: Evidence) -> str:
    counted = found.counted
    if counted is None:
        return "Estimated from the kernels' measured costs, not counted; a MAC is one product."
    cycles = (
        ""
        if counted.cycles_estimate is None
        else (f", an estimated {counted.cycles_estimate:,} cycles without wait states")
    )
    return f"Counted in emulation on {counted.board}: {counted.instructions:,} in all{cycles}."


def _steps(report: Report) -> Table:
    columns = (
        *("#step", "name", "operator", "kernel", "output", "#frac", "#zero", "#MACs"),
        *("#constants B", "#scratch B", "#instructions"),
    )
    rows = [
        (
            *(i, s.name, s.op, s.kernel, " x ".join(map(str, s.output.shape[1:]))),
            *(str(s.output.frac), s.output.zero, s.macs),
            *(s.flash, s.scratch, s.estimated_instructions),
        )
        for i, s in enumerate(report.steps, 1)
    ]
    return Table("All steps as a table", columns, rows, folded=True)


def _errors(found: Explained, shown: Picture) -> Section:
    decibels = "no error" if found.output_sqnr_db is None else f"{found.output_sqnr_db:.1f} dB"
    lines = (
        f"Where the error at the output comes from, on {found.rows} rows ({decibels}): the float "
        "network with one error in it at a time.",
        *(f"Note: {text}." for text in found.advice),
    )
    fixes = [(f.layer, f.cause, f.text, f.gain_db, f.price) for f in found.fixes]
    columns = ("layer", "cause", "what to do", "#dB gained", "price")
    tables = (Table("What would help", columns, fixes),) if fixes else ()
    return Section("Error by layer and cause", lines, (shown,), tables)


def _evaluated(found: Evidence, matrix: Picture | None) -> Section:
    result = found.evaluation
    assert result is not None
    tables = [Table("", ("", "#"), result.named)]
    if found.confusion is not None:
        wrong = mixed_up(found.confusion)
        columns = ("#class", "#taken for", "#times")
        tables.append(Table("Mixed up most often", columns, wrong)) if wrong else None
    return Section("On your data", (), (matrix,) if matrix else (), tuple(tables))


def _boards_picture(needs: tuple[Needs, ...]) -> Picture:
    rows = [
        Bar(n.board, (100 * max(n.flash / n.flash_length, n.ram / n.ram_length),), _room(n))
        for n in needs
    ]
    fits = sum(n.fits for n in needs)
    told = f"percent of the fuller memory; {fits} of {len(needs)} boards have room for it"
    return bars("Room on each board", told, rows, most=100)


def _room(needs: Needs) -> str:
    used = f"{100 * needs.flash / needs.flash_length:.0f} % flash"
    return f"{used}, {100 * needs.ram / needs.ram_length:.0f} % RAM"


def _boards(needs: tuple[Needs, ...]) -> Table:
    columns = (
        *("board", "core", "fits", "#flash B", "#of", "#RAM B", "#of"),
        *("#instructions", "#est. cycles", "#est. ms"),
    )
    rows = [
        (
            *(n.board, n.core, n.fits, n.flash, n.flash_length, n.ram, n.ram_length),
            *(n.instructions, n.cycles, n.milliseconds),
        )
        for n in needs
    ]
    caption = "Estimated for every board that mcuq knows, each with the kernels of its core"
    return Table(caption, columns, rows, folded=True)


def _compression(report: Report) -> Table:
    columns = ("layer", "methods", "#weights", "#now", "#not 0", "#values", "pays", "kernel", "why")
    layers = report.compression.layers if report.compression else ()
    rows = [
        (x.layer, x.methods, x.before, x.after, x.nonzero, x.values, x.pays, x.kernel, x.why)
        for x in layers
    ]
    return Table("What was done to each layer", columns, rows, folded=True)


def _reproduce(compiled: Compiled) -> Section:
    """The command that makes such a folder, and what its inputs were."""
    made, report = compiled.bundle, compiled.report
    known = report.quantization.calibration_rows if report.quantization else 0
    rows = [
        ("mcuq", report.mcuq),
        ("SHA-256 of the model", report.source_sha256),
        ("calibration rows", f"{known:,}"),
    ]
    lines = [
        "The same version, model, calibration data and configuration give the same bytes on any "
        "machine; 'mcuq sbom' lists the hashes of all files."
    ]
    if Path(made.source).suffix not in _FILES:
        lines.append(
            f"It was compiled in Python from {made.source}: mcuq.compile takes its options by name."
        )
    if made.history.asked and made.history.asked.rest:
        lines.append("Its configuration was given in Python, and is not repeated here.")
    table = Table("", ("", ""), rows)
    return Section("How to reproduce", tuple(lines), (), (table,), tuple(commands(made)))


def commands(made: Bundle) -> Iterator[str]:
    """What a shell runs to make such a folder, line by line; CALIBRATION stands for the data."""
    asked = made.history.asked or Asked()
    words = ["mcuq", "compile", made.source]
    done = made.history.quantization
    words += ["--calib", "CALIBRATION"] if done and done.calibration_rows else []
    words += ["--prefer", made.prefer]
    if made.board is not None:
        words += ["--board", ",".join(board.name for board in made.family or (made.board,))]
    words += asked.options
    if asked.config:
        yield from ("cat > mcuq.toml <<'END'", *asked.config.splitlines(), "END")
        words += ["--config", "mcuq.toml"]
    yield shlex.join([*words, "-o", "out"])
    yield "mcuq report out -o report.html"
