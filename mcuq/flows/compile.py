"""The whole road from a model to the files of its C: what ``mcuq compile`` and the API share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq import importers, quantize, schema
from mcuq.compress import weigh
from mcuq.compress.request import Request
from mcuq.config import Config, quantize_options
from mcuq.data import feeds as data
from mcuq.data.batches import Given, gathered
from mcuq.emit import emit
from mcuq.emit.entry import Buffer, Entry, StepInfo
from mcuq.emit.facts import model_facts
from mcuq.emit.naming import check_id, model_id
from mcuq.errors import DataError, McuqError
from mcuq.files import write_folder, written_files
from mcuq.fixed import DTYPES, RANGES
from mcuq.flows.made_up import refuse_misfit
from mcuq.importers.sizes import Sizes
from mcuq.ir import Array, Graph, Shape
from mcuq.kernels.variant import Cpu
from mcuq.measure import judge
from mcuq.model import bundle
from mcuq.model.bundle import Bundle
from mcuq.model.report import Json, given_advice, model_report, quantization_facts, to_json
from mcuq.passes import pipeline
from mcuq.passes.describe_input import describe
from mcuq.program import fit
from mcuq.program.choose import PREFERENCES
from mcuq.program.lower import Program, lower
from mcuq.program.plan import Plan, plan
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph
from mcuq.reference import feeds_to_int
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import GENERIC

if TYPE_CHECKING:
    import torch

    from mcuq.importers.imported import Imported

VECTORS = 32
WIDE_ENOUGH_DB = 40.0
"""With 8 bits no network gets near this; 16 bits that are below are compared with 8."""

Calibration = str | Path | Array | Mapping[str, Array]


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


def compile_model(
    model: str | Path | torch.nn.Module,
    example_input: Any = None,
    calibration: Given | None = None,
    *,
    board: str | Path | Board | None = None,
    name: str | None = None,
    prefer: str = "balanced",
    config: Config | None = None,
    compress: str | Request | None = None,
    recover: int | None = None,
    labels: Array | None = None,
    checkpoint: str | Path | None = None,
    shapes: Mapping[str, Shape] | None = None,
    progress: Progress = silent,
) -> Compiled:
    """Compile a network to C.

    ``model``: a path of a ``.onnx`` or ``.pt2`` file, or a ``torch.nn.Module`` together with its
    ``example_input`` (a tensor or a tuple of them). ``calibration``: typical inputs in the model's
    own layout: a file, an array or tensor, a list of samples, a loader of batches, or a dict of
    these by input name (``data.batches``). ``board`` picks the fastest kernels
    for its core and refuses what does not fit it. ``name`` prefixes the C symbols. ``prefer``:
    balanced, speed or size (``lower.lower``). ``config``: what the command's ``--config``,
    ``--effort`` and ``--ranges`` say, such as ``Config(quantize={"effort": "best"})``.
    ``compress``: what to leave out first, such as "structured:0.5,cluster:4bit"; ``recover``: the
    network is tuned after that for so many epochs, with the (N,) classes ``labels`` of the
    calibration rows if known; ``checkpoint``: a file that lets tuning go on where it was stopped.
    ``shapes``: by input name, of inputs whose sizes the model leaves open, the batch as 1.

    Raises ``McuqError`` for whatever is wrong with the model, the data or the board.
    """
    importers.check_kind(model)
    calibration = None if calibration is None else gathered(calibration)
    target, settings = _target(board, prefer), config or Config()
    request = weigh.requested(compress, settings.compress, recover)
    progress("reading the model", 0.0)
    sizes = sizes_of(shapes, settings, calibration)
    source = _read(model, example_input, name, settings, sizes)
    if target.board and request is None:  # compression would make it smaller
        refuse_misfit(source.graph, target.board, settings)
    feeds = calibration_feeds(calibration, source.graph)
    compared = importers.check(source.imported, source.graph, feeds)
    squeezed = None
    if request is not None:
        tuned: Any = {"labels": labels, "checkpoint": checkpoint, "progress": progress}
        squeezed = weigh.squeeze(source.graph, request, feeds, target.core, prefer, **tuned)
    made, advice = _quantized(source, squeezed, feeds, target, settings, progress)
    progress("generating C", 0.95)
    return replace(generate(made, target.board), advice=(*compared, *advice))


@dataclass(frozen=True)
class _Target:
    """What C is made for: the core of ``board`` or, without one, any; ``prefer`` picks kernels."""

    board: Board | None
    prefer: str

    @property
    def core(self) -> Cpu:
        return boards.cpu(self.board) if self.board else GENERIC

    def lower(self, qgraph: QGraph) -> Program:
        return lower(qgraph, self.core, self.prefer)


def _target(board: str | Path | Board | None, prefer: str) -> _Target:
    if prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    return _Target(None if board is None else boards.load(board), prefer)


@dataclass(frozen=True)
class _Source:
    """A network that is ready to be quantized, and where it comes from."""

    id: str
    name: str
    digest: str
    graph: Graph
    imported: Imported


def _read(
    model: str | Path | torch.nn.Module,
    example: Any,
    name: str | None,
    settings: Config,
    sizes: Sizes,
) -> _Source:
    imported, digest, source = import_model(model, example, sizes)
    identity = check_id(name) if name else model_id(Path(source).stem)
    graph = prepare(imported.graph, settings)
    return _Source(identity, Path(source).name, digest, graph, imported)


def _costs(program: Program) -> tuple[float, float]:
    """What mixed precision has a budget of."""
    return program.cycles, program.instructions


def _quantized(
    source: _Source,
    squeezed: weigh.Squeezed | None,
    feeds: Mapping[str, Array],
    target: _Target,
    settings: Config,
    progress: Progress,
) -> tuple[Bundle, tuple[str, ...]]:
    """The network in integers, compressed before that or not, and what the user should know."""
    options = quantize.Options(
        **quantize_options(settings),
        price=lambda qgraph: _costs(target.lower(qgraph)),
        report=progress,
    )
    graph = squeezed.done.graph if squeezed else source.graph
    result = quantize.quantize_report(graph, feeds, options)
    facts = quantization_facts(result, options.effort, data.rows_of(feeds))
    advice = (*source.graph.notes, *result.warnings, *given_advice(result.given))
    if feeds:
        seen = data.rows_of(feeds) if squeezed else options.rows
        found = judge.judge(graph, result.qgraph, feeds, seen, result.rounded)
        facts["judged"] = found.to_json()
        advice = (*advice, *found.warnings, *_worse_than_narrow(graph, result, feeds, seen, found))
    if squeezed:
        small = squeezed.weighed(target.lower(result.qgraph))
        facts["compression"] = small.report
        advice = (*small.advice, *advice)
    made = Bundle(
        source.id,
        source.name,
        source.digest,
        target.board,
        target.prefer,
        graph,
        result.qgraph,
        _vectors(result.qgraph, feeds),
        None if result.rounded is graph else result.rounded,
        facts,
        source.graph if squeezed else None,
    )
    return made, advice


def _worse_than_narrow(
    graph: Graph,
    result: quantize.Quantized,
    feeds: Mapping[str, Array],
    seen: int,
    found: judge.Judgement,
) -> tuple[str, ...]:
    """A line if 16 bits are worse than a quick look at 8; good ones are not looked at."""
    wide = any(tensor.kind == "s16" for tensor in result.qgraph.tensors.values())
    if not wide or found.result.sqnr_db >= WIDE_ENOUGH_DB:
        return ()
    quick = quantize.quantize(graph, feeds, quantize.Options(effort="fast"))
    narrow = judge.judge(graph, quick, feeds, seen, None).result.sqnr_db
    if narrow <= found.result.sqnr_db:
        return ()
    text = f"16 bits give {found.result.sqnr_db:.1f} dB, 8 bits {narrow:.1f} dB: use --bits 8"
    return (text,)


def generate(made: Bundle, board: Board | None) -> Compiled:
    """The files of a quantized network, for ``board`` (fit checked) or for any core."""
    program = _Target(board, made.prefer).lower(made.qgraph)
    placed = plan(program)
    report = model_report(program, placed, made.id, made.digest, made.quantization)
    if board:
        report["boards"] = {board.name: fit.check(program, placed, board)}
    facts = model_facts(program, placed, made.id, made.source, made.digest)
    return Compiled(made, program, placed, report, emit(facts, to_json(report)))


def load_compiled(folder: str | Path) -> Compiled:
    """What ``Compiled.write`` wrote, from its bundle; the files are read back, not made anew.

    DataError if another version of mcuq wrote them, which would plan or choose kernels otherwise.
    """
    path = Path(folder)
    made = bundle.load(path)
    program = _Target(made.board, made.prefer).lower(made.qgraph)
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


def prepare(graph: Graph, config: Config) -> Graph:
    """The graph with its inputs described as the configuration says, and all passes run."""
    for name, described in config.inputs.items():
        graph = describe(
            graph, name, described.kind, described.mean, described.std, described.layout
        )
    return pipeline.run(graph)


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


def sizes_of(
    shapes: Mapping[str, Shape] | None, settings: Config, calibration: Calibration | None
) -> Sizes:
    """What is known of sizes that a model leaves open: given ones first, then those of the data."""
    given = {n: tuple(shape) for n, shape in {**settings.shapes, **(shapes or {})}.items()}
    if calibration is None:
        return Sizes(given)
    return Sizes(given, lambda: data.shapes_of(calibration))


def import_model(
    model: str | Path | torch.nn.Module, example: Any, sizes: Sizes | None = None
) -> tuple[Imported, str, str]:
    """What was imported, the SHA-256 of what it was made from, and the name of its source."""
    if isinstance(model, (str, Path)):
        imported = importers.read(model, sizes)
        content = hashlib.sha256()
        for file in importers.files_of(model):
            content.update(file.read_bytes())
        return imported, content.hexdigest(), str(model)
    if example is None and not hasattr(model, "graph_module"):  # of an exported program
        raise DataError("compile", "no example input", "Pass example_input with the module")
    imported = importers.read_torch(model, example)
    return imported, _digest(imported.graph), type(model).__name__


def _digest(graph: Graph) -> str:
    """The SHA-256 of a graph's nodes and constants: the same for the same network."""
    state = hashlib.sha256(repr([(n.op, n.inputs, n.outputs) for n in graph.nodes]).encode())
    for _, tensor in sorted(graph.tensors.items()):
        if tensor.data is not None:
            state.update(np.ascontiguousarray(tensor.data).tobytes())
    return state.hexdigest()


def _vectors(qgraph: QGraph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The first calibration rows as integers; seeded random ones if there is no calibration."""
    if feeds:
        return feeds_to_int(qgraph, {n: v[:VECTORS] for n, v in feeds.items()})
    chance = np.random.default_rng(0)
    found = {}
    for port in qgraph.inputs:
        low, high = RANGES[port.kind]
        shape = (VECTORS, *qgraph.tensors[port.tensor].shape[1:])
        found[port.name] = chance.integers(low, high + 1, shape).astype(DTYPES[port.kind])
    return found


def calibration_feeds(given: Calibration | None, graph: Graph) -> dict[str, Array]:
    if given is None and not quantize.needs_calibration(graph):
        return {}
    if given is None:
        raise DataError(
            graph.name,
            "no calibration data, without which the ranges of activations are unknown",
            "Pass --calib DATA.npz with 100 or more typical inputs",
        )
    if isinstance(given, (str, Path)):
        return data.load(given, graph)
    return data.from_arrays(given, graph)
