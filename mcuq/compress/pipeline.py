"""All that was asked for, in order: channels, zeros, shared values, each followed by tuning.

What one step has made, the later ones keep: zeros stay zero when weights are clustered, and both
stay when the network is tuned.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from mcuq.compress.augment import Augment
from mcuq.compress.compensate import compensated
from mcuq.compress.constraint import Constraint
from mcuq.compress.layer import Wanted, compressed_layer
from mcuq.compress.notes import LayerNote, notes_of, output_sqnr
from mcuq.compress.power import input_power
from mcuq.compress.recover import Settings, recover
from mcuq.compress.request import Methods, Request
from mcuq.compress.schedule import amounts, further
from mcuq.compress.sparsity import Pattern, mask_of, masks_of, scores_of
from mcuq.compress.structured import prune_channels
from mcuq.compress.threads import torch_threads
from mcuq.data.rows import rows_of
from mcuq.errors import DataError, brief
from mcuq.ir import Array, Graph, Node, with_data
from mcuq.ops import layout_of
from mcuq.progress import Progress, silent
from mcuq.quantize.rounding.layers import Moments
from mcuq.quantize.structure import recurrent, weighted

FEW = 0.05
"""A first convolution with less than this share of the weights keeps them, unless it is named."""


@dataclass(frozen=True, repr=False)
class Compressed:
    """The compressed ``graph``; ``constraints`` say what must stay true of its weights.

    ``notes``: one per layer. ``sqnr_db``: of the output on the calibration rows, None without any.
    """

    graph: Graph
    notes: tuple[LayerNote, ...] = ()
    sqnr_db: float | None = None
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(
            "Compressed", self.graph.name, f"{len(self.notes)} layers", _lost(self.sqnr_db)
        )


def _lost(decibels: float | None) -> str:
    return "no data" if decibels is None else f"SQNR {decibels:.1f} dB"


def compress_graph(
    graph: Graph,
    request: Request,
    calibration: Mapping[str, Array] | None = None,
    labels: Array | None = None,
    *,
    checkpoint: Path | None = None,
    report: Progress = silent,
) -> Compressed:
    """``graph``, which must be ready (``passes.run``), compressed as requested.

    ``calibration``: typical inputs, as ``data.load`` returns them. Without any, errors are not made
    up for, and nothing can be tuned. ``labels``: (N,) their classes, which help tuning.
    ``checkpoint``: a file beside which tuning keeps its state, to go on after an interruption.
    """
    _check(graph, request, calibration, labels)
    with torch_threads(1):
        run = _Run(graph, request, calibration or {}, labels, checkpoint, report)
        run.prune()
        run.code()
    made = run.graph
    return Compressed(
        made,
        notes_of(graph, made, run.methods, calibration),
        output_sqnr(graph, made, calibration),
        run.constraints,
        tuple(run.warnings),
    )


class _Run:
    """The state between the steps: the network so far, and what holds of its weights."""

    def __init__(
        self,
        graph: Graph,
        request: Request,
        calibration: Mapping[str, Array],
        labels: Array | None,
        checkpoint: Path | None,
        report: Progress,
    ) -> None:
        self.teacher = self.graph = graph
        self.request, self.tuning = request, request.tuning
        self.calibration, self.labels = calibration, labels
        self.checkpoint, self.report = checkpoint, report
        self.methods = effective(graph, request)
        self.masks: dict[str, Array] = {}
        self.constraints: dict[str, Constraint] = {}
        self.warnings: list[str] = []
        wanted = self.methods.values()
        self.prunes = any(m.zeros or m.structured is not None for m in wanted)
        self.codes = any(m.codes for m in wanted)
        self.turn = 0

    @property
    def turns(self) -> int:
        """How often the network is tuned."""
        return self._steps * self.prunes + self.codes

    @property
    def _steps(self) -> int:
        return len(amounts(self.tuning.schedule, 1.0, self.tuning.steps))

    def prune(self) -> None:
        """Channels, then zeros, in as many steps as the schedule has."""
        if not self.prunes:
            return
        shares = (0.0, *amounts(self.tuning.schedule, 1.0, self.tuning.steps))
        for before, now in pairwise(shares):
            self._prune_channels(before, now)
            self.constraints = {}
            self._prune_weights(now)
            self._tune()

    def code(self) -> None:
        """Shared values, in the weights that are left."""
        if self.codes:
            self._apply("shared values", codes=True)
            self._tune(codes=True)

    def _prune_channels(self, before: float, now: float) -> None:
        for layers, amount in _structured(self.methods):
            # A share of some layers' MACs may go with the inputs that others no longer give them:
            # they lose their part of what they have left.
            everywhere = len(layers) == len(self.methods)
            share = now * amount if everywhere else further(before * amount, now * amount)
            self.report("pruning channels", self.turn / max(1, self.turns))
            self.graph = prune_channels(
                self.graph,
                share,
                importance=self._importance(),
                calibration=self.calibration or None,
                only=None if everywhere else [glob.escape(name) for name in layers],
                of=self.teacher if everywhere else None,
                seed=self.tuning.seed,
            )

    def _importance(self) -> str:
        return self.request.importance or ("taylor" if self.calibration else "magnitude")

    def _prune_weights(self, now: float) -> None:
        self.masks = self._masks(now)
        if self.masks:
            self._apply("zeros", codes=False)

    def _masks(self, now: float) -> dict[str, Array]:
        """What stays of each layer once the share ``now`` of the way is gone."""
        power = input_power(self.graph, self.calibration)
        asked: dict[Pattern, dict[str, Array]] = {}
        for node in weighted(self.graph):
            pattern = self.methods[node.name].zeros
            if pattern is not None:
                weights = self.graph.data(node.inputs[1])
                scores = scores_of(weights, power[node.name], layout_of(node).outputs)
                asked.setdefault(pattern, {})[node.name] = scores
        found: dict[str, Array] = {}
        for pattern, scores_by_name in asked.items():
            part = replace(pattern, amount=pattern.amount * now)
            if pattern.kind == "n:m" and now < 1:
                continue
            if self.request.scope == "global" and pattern.kind != "n:m":
                found.update(masks_of(scores_by_name, part))
            else:
                found.update((name, mask_of(s, part)) for name, s in scores_by_name.items())
        return found

    def _apply(self, what: str, codes: bool) -> None:
        """Zeros by the masks, or both zeros and codes, in all layers that want them."""
        power = input_power(self.graph, self.calibration)
        layers = weighted(self.graph)
        done: dict[str, Constraint] = {}

        def change(node: Node, known: Moments | None) -> Mapping[str, Array]:
            mask, wanted = self.masks.get(node.name), self.methods[node.name].codes
            if (mask is None and not (codes and wanted)) or node.inputs[1] in done:
                return {}
            self.report(f"{what} in {node.name}", len(done) / len(layers))
            asked = Wanted(mask, wanted if codes else None, power[node.name], self.tuning.seed)
            made = compressed_layer(self.graph, node, asked, known)
            done[node.inputs[1]] = made.constraint
            return {node.inputs[1]: made.weights, node.inputs[2]: made.bias}

        if self.calibration:
            self.graph = compensated(self.graph, self.calibration, change)
        for node in layers:  # what is too deep for that, or all without data
            self.graph = with_data(self.graph, change(node, None))
        self.constraints |= done

    def _tune(self, codes: bool = False) -> None:
        """The epochs of this turn; with ``codes`` half of them move codes, the others values."""
        share = divmod(self.tuning.epochs, max(1, self.turns))
        epochs = share[0] + (share[1] if self.turn + 1 == self.turns else 0)
        self.turn += 1
        if codes and epochs > 1:
            self._move_codes(epochs // 2)
            epochs -= epochs // 2
        if epochs:
            self._recover(epochs, self.constraints, str(self.turn))

    def _move_codes(self, epochs: int) -> None:
        """Let weights move from one shared value to another, which stay as they are."""
        before, kept = self.graph, self.constraints
        shared = {name: c for name, c in kept.items() if c.codes is not None}
        moving = {name: c.moving(before.data(name)) for name, c in shared.items()}
        self._recover(epochs, {**kept, **moving}, f"{self.turn}-codes")
        for name, constraint in shared.items():
            self.constraints[name] = constraint.recoded(before.data(name), self.graph.data(name))

    def _recover(self, epochs: int, constraints: Mapping[str, Constraint], name: str) -> None:
        file = self.checkpoint
        if file is not None:
            file = file.with_name(f"{file.stem}-{name}{file.suffix or '.npz'}")
        recovered = recover(
            self.graph,
            self.teacher,
            self.calibration,
            self.labels,
            constraints=constraints,
            checkpoint=file,
            report=self.report,
            settings=self._settings(epochs),
        )
        self.graph = recovered.graph
        self.warnings += recovered.warnings

    def _settings(self, epochs: int) -> Settings:
        asked = self.tuning
        return Settings(
            epochs=epochs,
            seed=asked.seed,
            learning_rate=asked.learning_rate,
            trust=asked.trust,
            hints=asked.hints,
            precision=asked.precision,
            quantized=asked.quantized,
            normalize=asked.normalize,
            augment=Augment(asked.flip, asked.shift, asked.mix),
        )


def _check(
    graph: Graph,
    request: Request,
    calibration: Mapping[str, Array] | None,
    labels: Array | None,
) -> None:
    if request.tuning.epochs and not calibration:
        reason = "recovery needs typical inputs to learn from, none are given"
        raise DataError(graph.name, reason, "Pass --calib DATA.npz with thousands of them")
    rows = rows_of(calibration or {})
    if labels is not None and len(labels) != rows:
        raise DataError("labels", f"{len(labels)} labels for {rows} rows")


def effective(graph: Graph, request: Request) -> dict[str, Methods]:
    """The methods of each layer; those that would gain little and lose much keep their weights:
    depthwise layers, and first convolutions with few weights, unless a pattern names them.
    Recurrent layers lose units, no single weights.
    """
    found = request.of_layers(graph)
    total = sum(graph.data(node.inputs[1]).size for node in weighted(graph))
    inputs = {port.tensor for port in graph.inputs}
    for node in weighted(graph):
        few = graph.data(node.inputs[1]).size < FEW * total
        delicate = layout_of(node).inputs is None or (node.inputs[0] in inputs and few)
        if delicate and not request.names(node.name):
            found[node.name] = Methods(structured=found[node.name].structured)
    for node in recurrent(graph):
        found[node.name] = Methods(structured=found[node.name].structured)
    return found


def _structured(methods: Mapping[str, Methods]) -> Iterator[tuple[list[str], float]]:
    """The layers that lose channels, those of one amount together."""
    wanted = {m.structured for m in methods.values() if m.structured}
    for amount in sorted(wanted):
        yield [name for name, m in methods.items() if m.structured == amount], amount
