"""Program and Plan -> the facts of ``report.json``: sizes, cost and layout of every step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mcuq.emit.order import sentence
from mcuq.ir import Port
from mcuq.program.lower import Program, Step
from mcuq.program.plan import Plan
from mcuq.qir import QGraph, QTensor
from mcuq.quantize import Given, Quantized
from mcuq.schema import finite
from mcuq.version import __version__

Json = dict[str, Any]
# A list that json.dumps has spread over lines, one number each.
_NUMBERS = re.compile(r"\[\n((?:\s+-?[\d.eE+-]+,?\n)+)\s*\]")


def model_report(
    program: Program,
    plan: Plan,
    model_id: str,
    digest: str,
    quantization: Mapping[str, Any] | None = None,
) -> Json:
    """``macs``, ``params``, ``flash_weights``, ``arena``, ``arena_lower_bound``, ``io``, ``steps``.

    Bytes everywhere; ``arena`` includes scratch; ``io`` is what the caller's own input and output
    buffers take beside it. ``quantization`` is what ``quantization_facts`` returned.
    """
    graph = program.qgraph
    return {
        "mcuq": __version__,
        "name": model_id,
        "source_sha256": digest,
        "core": program.cpu.name,
        "prefer": program.prefer,
        "macs": program.macs,
        "params": _parameters(graph),
        "flash_weights": program.flash,
        "arena": plan.size,
        "arena_lower_bound": plan.lower_bound,
        "io": sum(graph.tensors[p.tensor].bytes for p in (*graph.inputs, *graph.outputs)),
        "inputs": [_port(p, graph) for p in graph.inputs],
        "outputs": [_port(p, graph) for p in graph.outputs],
        "steps": [_step(step, program, plan, i) for i, step in enumerate(program.steps)],
        **(quantization or {}),
    }


def quantization_facts(result: Quantized, effort: str, rows: int) -> Json:
    """``quantization``: the output's SQNR before and after each step; ``quantized_model``: which
    numbers of an already quantized model were kept.
    """
    steps = [
        {"step": n.step, "before_db": _db(n.before), "after_db": _db(n.after), "kept": n.kept}
        for n in result.notes
    ]
    facts: Json = {"quantization": {"effort": effort, "calibration_rows": rows, "steps": steps}}
    if result.mixed:
        facts["quantization"]["mixed_precision"] = dict(result.mixed)
    if result.given:
        kept = sum(tensor.kept for tensor in result.given)
        facts["quantized_model"] = {
            "kept": kept,
            "refitted": len(result.given) - kept,
            "tensors": [asdict(tensor) for tensor in result.given],
        }
    return facts


def given_advice(given: Sequence[Given]) -> tuple[str, ...]:
    """One line on what became of an already quantized model; none for a float model."""
    if not given:
        return ()
    kept = sum(tensor.kept for tensor in given)
    if kept == len(given):
        return (f"quantized model: the numbers of all {kept} tensors are kept exactly",)
    text = (
        f"quantized model: {len(given) - kept} of {len(given)} tensors are fitted anew: "
        "their scale is no power of two"
    )
    return (text,)


def _db(value: float) -> float:
    return round(value, 3)


def to_json(report: Json) -> str:
    """The report as text, lists of numbers on one line."""
    text = json.dumps(finite(report), indent=2)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _port(port: Port, graph: QGraph) -> Json:
    return {
        "name": port.name,
        **_tensor(graph.tensors[port.tensor]),
        "model_shape": list(port.shape),
        "order": sentence(port, "in the header") or "the model's own",
        "scale": list(port.scale),
        "offset": list(port.offset),
    }


def _step(step: Step, program: Program, plan: Plan, index: int) -> Json:
    graph = program.qgraph
    inputs = [graph.tensors[n] for n in step.node.inputs if not graph.is_constant(n)]
    placed = plan.tensors.get(step.node.output)
    return {
        "name": step.node.name,
        "op": step.node.op,
        "kernel": step.variant.symbol,
        "macs": step.macs,
        "inputs": [_tensor(t) for t in inputs],
        "output": _tensor(graph.tensors[step.node.output]),
        "flash": step.flash,
        "scratch": step.scratch,
        "arena_offset": placed.offset if placed else None,
        "estimated_instructions": round(step.choices[0].cost),
    }


def _tensor(tensor: QTensor) -> Json:
    return {
        "tensor": tensor.name,
        "shape": list(tensor.shape),
        "kind": tensor.kind,
        "frac": tensor.frac,
        "zero": tensor.zero,
    }


def _parameters(qgraph: QGraph) -> int:
    """The number of weights and biases, tables not counted."""
    read = {n for node in qgraph.nodes if node.op != "lut" for n in node.inputs}
    constants = (t for n, t in qgraph.tensors.items() if n in read and t.data is not None)
    return sum(t.size for t in constants if t.kind in ("s8", "s32"))
