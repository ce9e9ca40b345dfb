"""A compiled model in pictures: its network, its arena over time, its flash, its costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcuq.compress.notes import Compression
from mcuq.draw.bars import Bar, bars
from mcuq.draw.graph import Vertex, graph
from mcuq.draw.lifetimes import Box, lifetimes
from mcuq.draw.svg import Picture
from mcuq.draw.treemap import Tile, treemap
from mcuq.errors import size_text
from mcuq.kernels.sizes import kernel_flash
from mcuq.model.report import Explained, ExplainedLayer, PortFacts, Report, StepFacts, TensorFacts
from mcuq.program.fit import estimate_flash
from mcuq.program.lower import Program
from mcuq.program.plan import Placed, Plan

MOST = 40
"""So many rows a picture of bars has; the network's own has them all."""


def network(program: Program, report: Report) -> Picture:
    """Every step, what it reads, and its part in the estimated instructions."""
    whole = sum(step.estimated_instructions for step in report.steps) or 1
    roots = {port.tensor: program.root(port.tensor) for port in program.qgraph.inputs}
    rows = [
        Vertex(p.name, f"input {_sizes(p.shape)} {p.kind}", (), roots[p.tensor], 0.0, "")
        for p in report.inputs
    ]
    for step, facts in zip(program.steps, report.steps, strict=True):
        share = facts.estimated_instructions / whole
        detail = f"{facts.op} → {_tensor(facts.output)}"
        output = program.root(step.node.output)
        rows.append(Vertex(facts.name, detail, program.reads(step), output, share, f"{share:.1%}"))
    told = (
        f"{len(report.steps)} steps from {_names(report.inputs)} to {_names(report.outputs)}, each "
        "with its part in the estimated instructions"
    )
    return graph("Network", told, rows)


def costs(report: Report) -> Picture:
    """The estimated instructions of the steps that take most."""
    shown = {id(s) for s in _costliest(report.steps)[:MOST]}
    rows = [
        Bar(step.name, (float(step.estimated_instructions),), _cost(step))
        for step in report.steps
        if id(step) in shown
    ]
    whole = sum(step.estimated_instructions for step in report.steps)
    first = ", ".join(s.name for s in _costliest(report.steps)[:3])
    told = f"about {whole:,} in all{_of(rows, report.steps)}; the most: {first}"
    return bars("Estimated instructions", told, rows)


def errors(found: Explained) -> Picture:
    """The part of each layer and cause in the noise at the output, of the loudest layers."""
    loudest = sorted(found.layers, key=lambda x: -sum(x.share_of_noise.values()))
    shown = {id(layer) for layer in loudest[:MOST]}
    causes = tuple(found.layers[0].share_of_noise) if found.layers else ()
    rows = [
        Bar(layer.name, tuple(100 * s for s in layer.share_of_noise.values()), _noise(layer))
        for layer in found.layers
        if id(layer) in shown
    ]
    worst = ", ".join(layer.name for layer in loudest[:3])
    told = f"percent of the noise at the output{_of(rows, found.layers)}; the most: {worst}"
    return bars("Error by layer and cause", told, rows, causes)


def _noise(layer: ExplainedLayer) -> str:
    share = 100 * sum(layer.share_of_noise.values())
    known = "" if layer.sqnr_db is None else f", {layer.sqnr_db:.1f} dB so far"
    return f"{share:.1f} %{known}"


def _costliest(steps: Sequence[StepFacts]) -> list[StepFacts]:
    return sorted(steps, key=lambda step: -step.estimated_instructions)


def _of(shown: Sequence[object], rows: Sequence[object]) -> str:
    """A word on what is not shown."""
    return "" if len(shown) == len(rows) else f", {len(shown)} of {len(rows)} shown"


def arena(program: Program, plan: Plan) -> Picture:
    """Which bytes of the arena hold what, step by step."""
    boxes = [_box(name, placed, "a", "tensor") for name, placed in plan.tensors.items()]
    boxes += [
        _box(program.steps[index].node.name, placed, "b", "scratch")
        for index, placed in plan.scratch.items()
    ]
    told = (
        f"{plan.size:,} bytes, where no plan of these steps needs less than {plan.lower_bound:,}; "
        f"{len(plan.tensors)} tensors and {len(plan.scratch)} scratch buffers share them"
    )
    return lifetimes("Arena over time", told, boxes, len(program.steps), ("tensors", "scratch"))


def flash(program: Program) -> Picture:
    """The constants of every step, the code of every kernel, and what joins them."""
    symbols = {call.symbol for step in program.steps for call in step.calls}
    code = [(s, kernel_flash(s, program.cpu.name)) for s in sorted(symbols)]
    weights = [(step.node.name, step.flash) for step in program.steps]
    rest = estimate_flash(program, program.cpu.name) - sum(n for _, n in (*code, *weights))
    tiles = [Tile(name, size, "a", size_text(size)) for name, size in weights]
    tiles += [Tile(name.removeprefix("mcuq_"), size, "b", size_text(size)) for name, size in code]
    tiles.append(Tile("parameters, calls", rest, "c", size_text(rest)))
    constants, kernels = (size_text(sum(n for _, n in part)) for part in (weights, code))
    told = f"{constants} of constants, {kernels} of kernels, {size_text(rest)} of calls"
    return treemap("Flash", told, tiles, ("constants", "kernel code", "parameters, calls"))


def compression(done: Compression) -> Iterator[Picture]:
    """Flash and cycles of each layer before and after it was compressed."""
    layers = done.layers
    yield _saved("bytes", [(layer.layer, layer.flash_before, layer.flash) for layer in layers])
    yield _saved("cycles", [(layer.layer, layer.cycles_before, layer.cycles) for layer in layers])


def _saved(what: str, rows: Sequence[tuple[str, int, int]]) -> Picture:
    told = f"what is left of each layer's {what}, and what compression took away"
    shown = [
        Bar(name, (float(new), float(max(0, old - new))), _change(old, new))
        for name, old, new in rows
    ]
    return bars(f"Compression: {what}", told, shown, ("now", "saved"))


def _change(old: int, new: int) -> str:
    percent = f", {100 * (new - old) / old:+.0f} %" if old else ""
    return f"{old:,} → {new:,}{percent}"


def _box(name: str, placed: Placed, kind: str, what: str) -> Box:
    buffer = placed.buffer
    life = f"steps {buffer.first + 1} to {buffer.last + 1}"
    note = f"{what}, {buffer.size:,} bytes at {placed.offset:,}, {life}"
    return Box(name, buffer.first, buffer.last, placed.offset, buffer.size, kind, note)


def _cost(step: StepFacts) -> str:
    per_mac = step.estimated_instructions / step.macs if step.macs else None
    ratio = "" if per_mac is None else f", {per_mac:.2f} a MAC"
    return f"{step.estimated_instructions:,}{ratio}"


def _names(ports: Sequence[PortFacts]) -> str:
    return ", ".join(port.name for port in ports)


def _tensor(tensor: TensorFacts) -> str:
    return f"{_sizes(tensor.shape)} {tensor.kind}"


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape[1:])) or "1"
