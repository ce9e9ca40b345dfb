"""Compression on the way to C: what is asked for, and what it brings in bytes and cycles."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mcuq import exporters
from mcuq.compress.notes import Compression, LayerGain, LayerNote
from mcuq.compress.pipeline import Compressed, compress_graph, effective
from mcuq.compress.request import CLUSTER4_OR_EVEN, Methods, Request, parse
from mcuq.compress.sparsity import Pattern, mask_of
from mcuq.compress.threads import use_common_instructions
from mcuq.draw.html import table
from mcuq.errors import McuqError, brief
from mcuq.ir import Array, Graph, Shape
from mcuq.kernels.variant import Cpu
from mcuq.ops import has_weights
from mcuq.program.lower import Program, Step, lower
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph
from mcuq.quantize import Options, quantize
from mcuq.quantize.state import OPTIONAL

ROWS = 32

MOST_EPOCHS = 10**6


def requested(
    given: str | Request | None, told: Request | None, epochs: int | None = None
) -> Request | None:
    """The request of ``--compress`` and ``--recover`` and of what a configuration ``told``, if any.

    The text replaces its methods for all layers, and leaves its layers and settings.
    """
    if given is None and told is None:
        if epochs:
            raise McuqError("--recover", "there is nothing to recover from", "Add --compress")
        return None
    request = given if isinstance(given, Request) else told or Request()
    if isinstance(given, str):
        request = replace(request, default=parse(given))
    if epochs is not None:
        if not 0 <= epochs <= MOST_EPOCHS:
            raise McuqError("--recover", f"{epochs} epochs", f"Give 0 to {MOST_EPOCHS}")
        request = replace(request, tuning=replace(request.tuning, epochs=epochs))
    if request.tuning.epochs:
        use_common_instructions()
    return request


def plain_program(graph: Graph, feeds: Mapping[str, Array], core: Cpu, prefer: str) -> Program:
    """``graph`` as a program quickly quantized, for its sizes and cost only."""
    options = Options(effort="fast", ranges="minmax", skip=OPTIONAL, rows=ROWS)
    return lower(quantize(graph, feeds, options), core, prefer)


def gains(done: Compressed, before: Program, after: Program) -> tuple[LayerGain, ...]:
    """One per layer with weights, in the order of ``after``."""
    old = {step.node.name: step for step in before.steps}
    plain = {s.node.name: s for s in lower(_densified(after), after.cpu, after.prefer).steps}
    notes = {note.layer: note for note in done.notes}
    return tuple(
        _gain(notes[step.node.name], old[step.node.name], step, plain[step.node.name])
        for step in after.steps
        if step.node.name in notes and step.node.name in old
    )


def _gain(note: LayerNote, old: Step, new: Step, plain: Step) -> LayerGain:
    first, chosen = old.choices[0], new.choices[0]
    possible = {choice.symbol for choice in plain.choices}
    dense = chosen.symbol in possible
    others = [choice for choice in new.choices if choice.symbol not in possible]
    why = ""
    changes_weights = _changes_weights(note.methods)
    if dense and changes_weights and others:
        best = min(others, key=lambda choice: choice.cycles)
        why = (
            f"{best.symbol} would take {best.flash:,} B and {round(best.cycles):,} cycles, "
            f"the dense {chosen.symbol} {chosen.flash:,} B and {round(chosen.cycles):,}"
        )
    elif dense and changes_weights:
        why = "no kernel of this core makes use of such weights in such a layer"
    smaller = chosen.flash < first.flash or chosen.cycles < 0.99 * first.cycles
    return LayerGain(
        **vars(note),
        flash_before=first.flash,
        flash=chosen.flash,
        cycles_before=round(first.cycles),
        cycles=round(chosen.cycles),
        kernel=chosen.symbol,
        dense=dense,
        pays=smaller,
        why=why,
    )


def _changes_weights(methods: str) -> bool:
    return any(not part.startswith("structured") for part in methods.split(",") if part != "none")


def paying(request: Request, graph: Graph, program: Program) -> tuple[Request, tuple[str, ...]]:
    """The request without what no chosen kernel would make use of, and a line on each such thing.

    ``program``: ``graph`` lowered as it is. Random weights of the same kind are tried. What a
    pattern of ``request.layers`` asks for is done in any case.
    """
    wanted = {
        name: methods
        for name, methods in effective(graph, request).items()
        if (methods.zeros or methods.codes) and not request.names(name)
    }
    used, even = _used(program, wanted), _faster_even(program, wanted)
    lost: dict[str, list[str]] = {}
    layers = list(request.layers)
    for name, methods in wanted.items():
        kept = Methods(
            methods.structured,
            methods.zeros if "zeros" in used[name] else None,
            methods.codes if "codes" in used[name] else None,
        )
        if kept.codes == "cluster4" and name in even:
            kept = replace(kept, codes=CLUSTER4_OR_EVEN)
        if kept != methods:
            layers.append((glob.escape(name), kept))
            gone = Methods(None, *_gone(methods, kept))
            if gone != Methods():
                lost.setdefault(f"{gone} left out", []).append(name)
    text = "the kernel chosen for these layers would make no use of it"
    return replace(request, layers=tuple(layers)), tuple(
        f"{', '.join(names)}: {what}, as {text}" for what, names in lost.items()
    )


def _gone(methods: Methods, kept: Methods) -> tuple[Pattern | None, str | None]:
    zeros = methods.zeros if kept.zeros is None else None
    return zeros, methods.codes if kept.codes is None else None


def _used(program: Program, wanted: Mapping[str, Methods]) -> dict[str, set[str]]:
    """By layer, which of zeros and codes the kernel that is chosen makes use of."""
    chosen = _choices(program, {name: (m.zeros, m.codes) for name, m in wanted.items()})
    plain = _choices(program, dict.fromkeys(wanted, (None, None)))
    zeros = _choices(program, {name: (m.zeros, None) for name, m in wanted.items()})
    codes = _choices(program, {name: (None, m.codes) for name, m in wanted.items()})
    used: dict[str, set[str]] = {name: set() for name in wanted}
    for name in wanted:
        symbol = chosen[name][0]
        if symbol in plain[name]:
            continue
        if symbol in zeros[name]:
            used[name].add("zeros")
        if symbol in codes[name]:
            used[name].add("codes")
        if not used[name]:
            used[name] = {"zeros", "codes"}
    return used


def _faster_even(program: Program, wanted: Mapping[str, Methods]) -> set[str]:
    """The layers for which another kernel is chosen if the values are on an even scale."""
    kinds = {name: (m.zeros, m.codes) for name, m in wanted.items() if m.codes == "cluster4"}
    some = _choices(program, kinds)
    even = _choices(program, {name: (zeros, "int4") for name, (zeros, _) in kinds.items()})
    return {name for name in kinds if some[name][0] != even[name][0]}


Kinds = Mapping[str, tuple[Pattern | None, str | None]]


def _choices(program: Program, kinds: Kinds) -> dict[str, list[str]]:
    """The kernels of each layer with weights of a kind, the chosen one first."""
    made = lower(_with_random(program.qgraph, kinds), program.cpu, program.prefer)
    return {s.node.name: [c.symbol for c in s.choices] for s in made.steps if s.node.name in kinds}


def _with_random(qgraph: QGraph, kinds: Kinds) -> QGraph:
    """``qgraph`` with weights of these kinds in the layers that are named."""
    tensors = dict(qgraph.tensors)
    for node in qgraph.nodes:
        if node.name in kinds:
            weights = tensors[node.inputs[1]]
            tensors[weights.name] = replace(weights, data=_random(weights.shape, *kinds[node.name]))
    return replace(qgraph, tensors=tensors)


def _random(shape: Shape, zeros: Pattern | None, codes: str | None) -> Array:
    """Integers, none of them 0 but by the pattern, of as few values as the codes have.

    Only those of int4 are on an even scale.
    """
    chance = np.random.default_rng(0)
    count = {"cluster2": 4, None: 120}.get(codes, 16) - bool(zeros and codes)
    values = chance.integers(0, count, shape) + 1
    if codes != "int4":
        values[values == count] = 127
    kept = True if zeros is None else mask_of(chance.random(shape), zeros)
    return np.asarray(values * kept, np.int8)


def _densified(program: Program) -> QGraph:
    """The integer network with weights that no kernel can shorten."""
    layers = [node.name for node in program.qgraph.nodes if has_weights(node)]
    return _with_random(program.qgraph, dict.fromkeys(layers, (None, None)))


def _advice(layers: Sequence[LayerGain]) -> tuple[str, ...]:
    """A line for each way in which layers were compressed in vain."""
    found: dict[str, list[str]] = {}
    for gain in layers:
        if gain.methods != "none" and (gain.why or not gain.pays):
            reason = gain.why or "neither smaller nor faster"
            found.setdefault(f"{gain.methods} does not pay: {reason}", []).append(gain.layer)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in found.items())


@dataclass(frozen=True, repr=False)
class Small:
    """A compressed float network; ``layers``: what it brings each layer, if there was data."""

    whole: Graph
    done: Compressed
    layers: tuple[LayerGain, ...] = ()

    def __repr__(self) -> str:
        before, now = (sum(getattr(x, k) for x in self.done.notes) for k in ("before", "nonzero"))
        return brief("Small", self.graph.name, f"{before:,} weights", f"{now:,} of them left")

    def _repr_html_(self) -> str:
        columns = ("layer", "methods", "#weights", "#left", "#flash B before", "#now", "#dB")
        rows = [
            (x.layer, x.methods, x.before, x.nonzero, x.flash_before, x.flash, x.sqnr_db)
            for x in self.layers
        ]
        return table(columns, rows)

    @property
    def graph(self) -> Graph:
        return self.done.graph

    @property
    def report(self) -> Compression:
        """What compression did and brought."""
        return Compression(self.done.sqnr_db, self.layers)

    @property
    def advice(self) -> tuple[str, ...]:
        """What the user should know, one sentence each."""
        return (*self.done.warnings, *_advice(self.layers))

    def write(self, path: str | Path) -> Path:
        """Write an ordinary float ONNX file."""
        return exporters.save(self.graph, path)


@dataclass(frozen=True)
class Squeezed:
    """A compressed network not yet weighed; ``before``: the program of the ``whole`` network."""

    whole: Graph
    done: Compressed
    before: Program

    def weighed(self, after: Program) -> Small:
        """With what compression brings each layer of ``after``, its program now."""
        return Small(self.whole, self.done, gains(self.done, self.before, after))


def squeeze(
    graph: Graph,
    request: Request,
    feeds: Mapping[str, Array],
    core: Cpu,
    prefer: str,
    *,
    labels: Array | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress = silent,
) -> Squeezed:
    """``graph`` compressed as requested, but for what ``core`` has no use of (a warning each)."""
    before = plain_program(graph, feeds, core, prefer)
    request, useless = paying(request, graph, before)
    place = None if checkpoint is None else Path(checkpoint)
    done = compress_graph(graph, request, feeds, labels, checkpoint=place, report=progress)
    return Squeezed(graph, replace(done, warnings=(*done.warnings, *useless)), before)
