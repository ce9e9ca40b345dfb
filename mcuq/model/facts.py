"""A quantized network, its program and its plan -> the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mcuq.emit.order import sentence
from mcuq.ir import Port, fed, shown
from mcuq.model.bundle import Bundle
from mcuq.model.report import (
    MixedPrecision,
    PortFacts,
    Quantization,
    QuantizedModel,
    QuantizerStep,
    Report,
    StepFacts,
    StreamFacts,
    TensorFacts,
)
from mcuq.program import elsewhere
from mcuq.program.fit import Memory
from mcuq.program.lower import Program, Step
from mcuq.program.plan import Plan
from mcuq.program.state import state_bytes
from mcuq.qir import QGraph, QTensor
from mcuq.quantize import Given, Quantized
from mcuq.version import __version__


def report_of(
    made: Bundle,
    program: Program,
    plan: Plan,
    richer: tuple[elsewhere.Elsewhere, ...],
    boards: Mapping[str, Memory],
) -> Report:
    """The report of ``made`` as ``program`` runs it; ``richer``: what ``better`` found.

    ``boards``: what it takes of those that it was compiled for.
    """
    graph, history = program.qgraph, made.history
    return Report(
        mcuq=__version__,
        name=made.id,
        source_sha256=made.digest,
        core=program.cpu.name,
        prefer=program.prefer,
        macs=program.macs,
        params=_parameters(graph),
        flash_weights=program.flash,
        arena=plan.size,
        arena_lower_bound=plan.lower_bound,
        io=sum(graph.tensors[p.tensor].bytes for p in (*fed(graph), *shown(graph))),
        inputs=tuple(_port(p, graph) for p in fed(graph)),
        outputs=tuple(_port(p, graph) for p in shown(graph)),
        steps=tuple(_step(step, program, plan) for step in program.steps),
        quantization=history.quantization,
        quantized_model=history.quantized_model,
        judged=history.judged,
        compression=history.compression,
        boards=boards,
        stream=_stream(graph),
        kernels=elsewhere.sentence(program, richer),
        slower_than_own={r.core: r.factor for r in richer if r.factor is not None},
    )


def quantization_of(result: Quantized, effort: str, rows: int) -> Quantization:
    """The output's SQNR before and after each step, and which tensors got 16 bits."""
    notes = [(n.step, _decibels(n.before), _decibels(n.after), n.kept) for n in result.notes]
    mixed = MixedPrecision(**vars(result.mixed)) if result.mixed else None
    return Quantization(effort, rows, tuple(QuantizerStep(*note) for note in notes), mixed)


def quantized_model_of(given: Sequence[Given]) -> QuantizedModel | None:
    """Which numbers of an already quantized model were kept; None for a float model."""
    kept = sum(tensor.kept for tensor in given)
    return QuantizedModel(kept, len(given) - kept, tuple(given)) if given else None


def given_advice(found: QuantizedModel | None) -> tuple[str, ...]:
    """One line on what became of an already quantized model; none for a float model."""
    if found is None:
        return ()
    if not found.refitted:
        return (f"quantized model: the numbers of all {found.kept} tensors are kept exactly",)
    text = (
        f"quantized model: {found.refitted} of {len(found.tensors)} tensors are fitted anew: "
        "their scale is no power of two"
    )
    return (text,)


def _decibels(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _stream(graph: QGraph) -> StreamFacts | None:
    found = graph.stream
    if found is None:
        return None
    return StreamFacts(state_bytes(graph), found.frames, found.warmup, found.delay)


def _port(port: Port, graph: QGraph) -> PortFacts:
    return PortFacts(
        port.name,
        *_numbers(graph.tensors[port.tensor]),
        tuple(port.shape),
        sentence(port, "in the header") or "the model's own",
        tuple(port.scale),
        tuple(port.offset),
    )


def _step(step: Step, program: Program, plan: Plan) -> StepFacts:
    graph = program.qgraph
    inputs = [graph.tensors[n] for n in step.node.inputs if not graph.is_constant(n)]
    placed = plan.tensors.get(step.node.output)
    return StepFacts(
        step.node.name,
        step.node.op,
        step.variant.symbol,
        step.macs,
        tuple(TensorFacts(*_numbers(t)) for t in inputs),
        TensorFacts(*_numbers(graph.tensors[step.node.output])),
        step.flash,
        step.scratch,
        placed.offset if placed else None,
        round(step.choices[0].cost),
    )


def _numbers(
    tensor: QTensor,
) -> tuple[str, tuple[int, ...], str, int | tuple[int, ...], int]:
    return tensor.name, tensor.shape, tensor.kind, tensor.frac, tensor.zero


def _parameters(qgraph: QGraph) -> int:
    """The number of weights and biases, tables not counted."""
    read = {n for node in qgraph.nodes if node.op != "lut" for n in node.inputs}
    constants = (t for n, t in qgraph.tensors.items() if n in read and t.data is not None)
    return sum(t.size for t in constants if t.kind in ("s8", "s32"))
