"""The whole road from a model to the files of its C: what ``mcuq compile`` and the API share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq import importers, quantize
from mcuq.compress import weigh
from mcuq.compress.request import Request
from mcuq.config import Config
from mcuq.data.batches import Given, Plain, gathered
from mcuq.data.rows import rows_of
from mcuq.emit.naming import check_id, model_id
from mcuq.errors import DataError, McuqError
from mcuq.fixed import DTYPES, RANGES
from mcuq.flows.made_up import refuse_misfit
from mcuq.flows.streaming import Converted, carried_on, converted, decided
from mcuq.importers.sizes import Sizes
from mcuq.importers.source import import_model, sizes_of
from mcuq.ir import Array, Graph, Shape, Suppression
from mcuq.measure import judge
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, Target, generate_for, target_of
from mcuq.model.facts import given_advice, quantization_of, quantized_model_of
from mcuq.model.report import Asked, History
from mcuq.passes import pipeline
from mcuq.passes.describe_input import describe
from mcuq.passes.describe_sound import describe_sound
from mcuq.passes.label_output import label
from mcuq.passes.pair_states import growing, pair_states
from mcuq.program.lower import Program
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph
from mcuq.quantize.calibration import calibration_feeds
from mcuq.quantize.settings import QuantizeConfig
from mcuq.reference import feeds_to_int
from mcuq.stream import decide, suppress
from mcuq.stream.convert import Wish, carried, refuse_unstreamable, wish_of
from mcuq.stream.decide import Decision, check_wanted
from mcuq.targets.boards import Board

if TYPE_CHECKING:
    import torch

    from mcuq.importers.imported import Imported

VECTORS = 32
WIDE_ENOUGH_DB = 40.0
"""With 8 bits no network gets near this; 16 bits that are below are compared with 8."""


def compile_model(
    model: str | Path | torch.nn.Module | Graph,
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
    weights: int | None = None,
    stream: str | None = None,
    progress: Progress = silent,
) -> Compiled:
    """Compile a network to C.

    ``model``: a path of a ``.onnx`` or ``.pt2`` file, or a ``torch.nn.Module`` together with its
    ``example_input`` (a tensor or a tuple of them), or what ``mcuq.train.finish`` returned, which
    needs neither. ``calibration``: typical inputs in the model's own layout: a file, an array or
    tensor, a list of samples, a loader of batches, or a dict of these by input name
    (``data.batches``). ``board`` picks the fastest kernels for its core and refuses what does not
    fit it. ``name`` prefixes the C symbols. ``prefer``: balanced, speed or size. ``config``: what a
    configuration file says, such as ``Config(quantize={"effort": "best"})``. ``compress``: what to
    leave out first, such as "structured:0.5,cluster:4bit"; ``recover``: the network is tuned after
    that for so many epochs, with the (N,) classes ``labels`` of the calibration rows if known;
    ``checkpoint``: a file that lets tuning go on where it was stopped. ``shapes``: by input name,
    of inputs whose sizes the model leaves open, the batch as 1. ``weights``: the version of weights
    that lie apart from the code, in a file of their own. ``stream``:
    ``"frames=N[,axis=A][,padding=same]"`` makes of a network that reads a window of frames one that
    takes N new ones a call (``stream.convert``). Raises ``McuqError`` for whatever is wrong with
    any of them.
    """
    importers.check_kind(model)
    calibration = None if calibration is None else gathered(calibration)
    target, settings = target_of(board, prefer), config or Config()
    request = weigh.requested(compress, settings.compress, recover)
    wish = None if stream is None else wish_of(stream)
    tuning = _Tuning(request, labels, checkpoint)
    asked = _asked(settings, name, compress, recover, labels is not None, weights, stream, shapes)
    job = _Job(target, settings, tuning, wish, weights, asked, progress)
    progress("reading the model", 0.0)
    sizes = sizes_of(shapes, settings.shapes, calibration)
    return _made(_read(model, example_input, name, settings, sizes), calibration, job)


@dataclass(frozen=True)
class _Tuning:
    """What is left out of the network, if anything, and what helps to make up for that."""

    request: Request | None
    labels: Array | None
    checkpoint: str | Path | None


@dataclass(frozen=True)
class _Job:
    """What is asked for, beside the network and its data."""

    target: Target
    settings: Config
    tuning: _Tuning
    wish: Wish | None
    weights: int | None
    asked: Asked
    progress: Progress


def _asked(
    settings: Config,
    name: str | None,
    compress: str | Request | None,
    recover: int | None,
    labels: bool,
    weights: int | None,
    stream: str | None,
    shapes: Mapping[str, Shape] | None,
) -> Asked:
    """What was asked for as options of the command line."""
    chosen = settings.quantize
    bits = "mixed" if chosen.mixed else chosen.bits.get("*") if len(chosen.bits) == 1 else None
    given = {
        "--name": name,
        "--effort": chosen.effort,
        "--ranges": chosen.ranges if isinstance(chosen.ranges, str) else None,
        "--bits": bits,
        "--grids": chosen.grids,
        "--compress": compress if isinstance(compress, str) else None,
        "--recover": recover,
        "--weights": None if weights is None else "blob",
        "--weights-version": weights,
        "--stream": stream,
    }
    words = [str(word) for pair in given.items() if pair[1] is not None for word in pair]
    for port, shape in (shapes or {}).items():
        words += ["--shape", f"{port}={','.join(map(str, shape))}"]
    words += ["--labels"] if labels else []
    return Asked(tuple(words), settings.text, isinstance(compress, Request) or _beside(settings))


def _beside(settings: Config) -> bool:
    """Whether there is more than options and its file say."""
    chosen = settings.quantize
    by_tensor = isinstance(chosen.ranges, Mapping) or set(chosen.bits) - {"*"}
    plain = replace(settings, quantize=QuantizeConfig()) == Config()
    more = bool(chosen.fracs or by_tensor or chosen.seed) or not plain
    return more and not settings.text


def _made(source: _Source, calibration: Plain | None, job: _Job) -> Compiled:
    decisions = job.settings.decisions
    check_wanted(decisions, source.graph)
    suppressions = suppress.wanted_of(job.settings.suppressions, source.graph)
    _check_stream(source, job.wish, job.weights, bool(decisions))
    if job.target.board and job.tuning.request is None:  # compression would make it smaller
        refuse_misfit(source.graph, job.target.board, job.settings)
    feeds = _windows(source, calibration, job)
    compared = importers.check(source.imported, source.graph, feeds)
    squeezed = _squeezed(source, feeds, job)
    graph = squeezed.done.graph if squeezed else source.graph
    ahead = carried_on(graph, feeds, job.wish) if job.wish else None
    if job.wish and ahead:  # it is quantized as a stream, on the steps of one
        whole = (carried_on(source.graph, feeds, job.wish) if squeezed else None) or ahead
        source, job, graph = replace(source, graph=whole), replace(job, wish=None), ahead
        feeds = calibration_feeds(calibration, ahead)
    made, advice = _quantized(source, graph, squeezed, feeds, job)
    made = _with_decisions(_with_suppressions(made, suppressions), decisions)
    made = replace(made, weights=job.weights)
    job.progress("generating C", 0.95)
    return replace(generate_for(made, job.target.boards), advice=(*compared, *advice))


def _windows(source: _Source, calibration: Plain | None, job: _Job) -> dict[str, Array]:
    """Calibration rows of the network as it is; none where recordings are no windows of it, if it
    becomes a stream before it is quantized.
    """
    try:
        return calibration_feeds(calibration, source.graph)
    except DataError:
        if job.tuning.request or job.wish is None or carried(source.graph, job.wish) is None:
            raise
        return {}


def _squeezed(source: _Source, feeds: Mapping[str, Array], job: _Job) -> weigh.Squeezed | None:
    tuning, target = job.tuning, job.target
    if tuning.request is None:
        return None
    return weigh.squeeze(
        source.graph,
        tuning.request,
        feeds,
        target.core,
        target.prefer,
        labels=tuning.labels,
        checkpoint=tuning.checkpoint,
        progress=job.progress,
    )


@dataclass(frozen=True)
class _Source:
    """A network that is ready to be quantized, and where it comes from."""

    id: str
    name: str
    digest: str
    graph: Graph
    imported: Imported | None


def _read(
    model: str | Path | torch.nn.Module | Graph,
    example: Any,
    name: str | None,
    settings: Config,
    sizes: Sizes,
) -> _Source:
    source = import_model(model, example, sizes)
    identity = check_id(name) if name else model_id(Path(source.name).stem)
    graph = prepare(source.graph, settings)
    return _Source(identity, Path(source.name).name, source.digest, graph, source.imported)


def _with_decisions(made: Bundle, wanted: Mapping[str, Decision]) -> Bundle:
    """``made``, whose outputs decide if that is ``wanted``."""
    if not wanted:
        return made
    given = Converted(made.qgraph, made.graph, made.rounded or made.graph, made.vectors, "")
    found = decided(given, wanted)
    whole = made.whole and decide.decided(made.whole, wanted, decide.starts_of(made.qgraph, wanted))
    return replace(
        made,
        qgraph=found.qgraph,
        graph=found.graph,
        rounded=None if found.rounded is found.graph else found.rounded,
        vectors=found.vectors,
        whole=whole,
    )


def _with_suppressions(made: Bundle, wanted: Sequence[Suppression]) -> Bundle:
    """``made``, which chooses among its boxes if that is ``wanted``."""
    if not wanted:
        return made
    return replace(
        made,
        qgraph=suppress.suppressed(made.qgraph, wanted),
        graph=suppress.suppressed(made.graph, wanted),
        rounded=made.rounded and suppress.suppressed(made.rounded, wanted),
        whole=made.whole and suppress.suppressed(made.whole, wanted),
    )


def _check_stream(
    source: _Source, wish: Wish | None, weights: int | None, decides: bool = False
) -> None:
    """Refuse what cannot be a stream, before the long work."""
    if weights is not None and (wish or source.graph.stream or decides):
        reason = "is a stream, whose weights cannot lie apart"
        raise McuqError(source.name, reason, "Leave out --weights blob")
    if wish is not None:
        refuse_unstreamable(source.graph, wish)


def _costs(program: Program) -> tuple[float, float]:
    """What mixed precision has a budget of."""
    return program.cycles, program.instructions


def _quantized(
    source: _Source,
    graph: Graph,
    squeezed: weigh.Squeezed | None,
    feeds: Mapping[str, Array],
    job: _Job,
) -> tuple[Bundle, tuple[str, ...]]:
    """``graph``, compressed or not, in integers, and what the user should know."""
    target = job.target
    options = quantize.Options(
        **vars(job.settings.quantize),
        price=lambda qgraph: _costs(target.lower(qgraph)),
        report=job.progress,
    )
    result = quantize.quantize_report(graph, feeds, options)
    known = quantized_model_of(result.given)
    done = quantization_of(result, options.effort, rows_of(feeds))
    history = History(done, known, asked=job.asked)
    advice = (*source.graph.notes, *result.warnings, *given_advice(known))
    if feeds:
        seen = rows_of(feeds) if squeezed else options.rows
        found = judge.judge(graph, result.qgraph, feeds, seen, result.rounded)
        history = replace(history, judged=found.facts)
        advice = (*advice, *found.warnings, *_worse_than_narrow(graph, result, feeds, seen, found))
    if squeezed:
        small = squeezed.weighed(target.lower(result.qgraph))
        history = replace(history, compression=small.report)
        advice = (*small.advice, *advice)
    vectors = _vectors(result.qgraph, feeds)
    ready = Converted(result.qgraph, graph, result.rounded, vectors, "")
    if job.wish is not None:
        ready = converted(result.qgraph, graph, result.rounded, vectors, job.wish)
        advice = (ready.advice, *advice)
    whole = source.graph if squeezed and job.wish is None else None
    return _bundle(source, target, ready, history, whole), advice


def _bundle(
    source: _Source, target: Target, ready: Converted, history: History, whole: Graph | None
) -> Bundle:
    return Bundle(
        source.id,
        source.name,
        source.digest,
        target.board,
        target.prefer,
        ready.graph,
        ready.qgraph,
        ready.vectors,
        None if ready.rounded is ready.graph else ready.rounded,
        history,
        whole,
    )


def _worse_than_narrow(
    graph: Graph,
    result: quantize.Quantized,
    feeds: Mapping[str, Array],
    seen: int,
    found: judge.Judgement,
) -> tuple[str, ...]:
    """A line if 16 bits are worse than a quick look at 8; good ones are not looked at."""
    acts = (t for t in result.qgraph.tensors.values() if t.data is None)
    if all(t.kind != "s16" for t in acts) or found.result.sqnr_db >= WIDE_ENOUGH_DB:
        return ()
    quick = quantize.quantize(graph, feeds, quantize.Options(effort="fast"))
    narrow = judge.judge(graph, quick, feeds, seen, None).result.sqnr_db
    if narrow <= found.result.sqnr_db:
        return ()
    text = f"16 bits give {found.result.sqnr_db:.1f} dB, 8 bits {narrow:.1f} dB: use --bits 8"
    return (text,)


def prepare(graph: Graph, config: Config) -> Graph:
    """The graph with its ports described as the configuration says, and all passes run.

    What it keeps from call to call is a state from here on.
    """
    graph = pair_states(graph, config.states)
    for name, said in config.inputs.items():
        if said.kind == "pcm16":
            graph = describe_sound(graph, name, said.std, said.features)
        else:
            graph = describe(graph, name, said.kind, said.mean, said.std, said.layout)
    for name, labels in config.labels.items():
        graph = label(graph, name, labels)
    made = pipeline.run(graph)
    return replace(made, notes=(*made.notes, *growing(made)))


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
