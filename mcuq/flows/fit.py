"""Settings of compression that fit limits of flash and RAM with the least loss.

Three ways are gone, each as far as it must: fewer channels; shared values, with as few channels
less as RAM and flash then need; zeros in blocks, for layers that have kernels for them, likewise.
Sizes are those of ``fit.estimate``; the loss is that of the integer network.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcuq.compress import weigh
from mcuq.compress.pipeline import Compressed, compress_graph
from mcuq.compress.request import Methods, Request, Tuning
from mcuq.compress.sparsity import Pattern
from mcuq.compress.weigh import Small
from mcuq.config import Config
from mcuq.data.batches import Given
from mcuq.draw.html import table
from mcuq.errors import McuqError, brief, size_text
from mcuq.flows.compress import PREFER, read
from mcuq.ir import Array, Graph, Shape
from mcuq.measure.evaluate import evaluate
from mcuq.ops import layout_of
from mcuq.program import fit
from mcuq.program.plan import plan
from mcuq.progress import Progress, silent, usual
from mcuq.quantize import Options, quantize
from mcuq.quantize.calibration import calibration_feeds
from mcuq.quantize.equalize.weight_noise import mixes
from mcuq.quantize.structure import weighted
from mcuq.targets import boards
from mcuq.targets.boards import Board

if TYPE_CHECKING:
    import torch

SHARES = tuple(round(0.05 * step, 2) for step in range(20))
"""Amounts that are tried: 0 to 0.95."""

ZEROS = 0.8
WAYS = ("channels", "shared values", "zeros", "channels and zeros")
EVALUATED = 1000
"""At most so many rows show the loss."""


@dataclass(frozen=True)
class Budget:
    """Bytes of flash and RAM, and the points of accuracy (or of agreement) that may be lost."""

    flash: int
    ram: int
    max_drop: float = 1.0


@dataclass(frozen=True)
class Point:
    """Settings that were tried. ``drop``: in points; None where only the size was asked for.

    ``accuracy``: of the integer network in percent, or without labels the share of rows for which
    it names the class that the float network names. ``best``: no other point is as small in both
    memories and loses less.
    """

    settings: str
    flash: int
    ram: int
    cycles: int
    fits: bool
    accuracy: float | None = None
    drop: float | None = None
    sqnr_db: float | None = None
    best: bool = False


@dataclass(frozen=True, repr=False)
class Fitted:
    """``small``: what fits with the least loss, None if nothing does; ``verdict``: in one line."""

    small: Small | None
    points: tuple[Point, ...]
    verdict: str

    def __repr__(self) -> str:
        return brief("Fitted", self.verdict)

    def _repr_html_(self) -> str:
        columns = ("settings", "#flash B", "#RAM B", "#est. cycles", "fits", "#points lost", "best")
        rows = [(p.settings, p.flash, p.ram, p.cycles, p.fits, p.drop, p.best) for p in self.points]
        return table(columns, rows)

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "points": [asdict(point) for point in self.points]}


def fit_model(
    model: str | Path | torch.nn.Module,
    example_input: Any = None,
    calibration: Given | None = None,
    *,
    board: str | Path | Board,
    flash: int | None = None,
    ram: int | None = None,
    max_drop: float = 1.0,
    config: Config | None = None,
    recover: int | None = None,
    labels: Array | None = None,
    checkpoint: str | Path | None = None,
    shapes: Mapping[str, Shape] | None = None,
    progress: Progress = usual,
) -> Fitted:
    """As ``fit_graph``, for a model as ``compile_model`` takes it.

    ``flash`` and ``ram``: bytes; None: what the board has. Of ``config`` the shapes and the
    settings of tuning count.
    """
    if not 0 <= max_drop <= 100:  # nor NaN
        raise McuqError("--max-drop", f"{max_drop:g} points", "Give 0 to 100")
    target = boards.load(board)
    if not (flash and ram):
        target = boards.with_memory(target)
    budget = Budget(flash or target.flash.length, ram or target.ram.length, max_drop)
    settings = config or Config()
    request = weigh.requested(settings.compress or Request(), None, recover)
    graph, feeds = read(model, example_input, calibration, shapes, settings, progress)
    feeds = calibration_feeds(None, graph) if feeds is None else feeds
    place = None if checkpoint is None else Path(checkpoint)
    return fit_graph(
        graph,
        target,
        budget,
        feeds,
        labels,
        tuning=request.tuning if request else None,
        checkpoint=place,
        progress=progress,
    )


def fit_graph(
    graph: Graph,
    board: Board,
    budget: Budget,
    calibration: Mapping[str, Array],
    labels: Array | None = None,
    *,
    tuning: Tuning | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Fitted:
    """``graph``, which must be ready (``passes.run``), within ``budget`` on ``board``."""
    search = _Search(graph, board, budget, calibration, labels, tuning or Tuning(), checkpoint)
    search.progress = progress
    return search.run()


class _Search:
    """The points tried so far; sizes are remembered, for the ways share their first settings."""

    def __init__(
        self,
        graph: Graph,
        board: Board,
        budget: Budget,
        calibration: Mapping[str, Array],
        labels: Array | None,
        tuning: Tuning,
        checkpoint: Path | None,
    ) -> None:
        self.graph, self.board, self.budget = graph, board, budget
        self.calibration, self.labels = calibration, labels
        self.tuning, self.checkpoint = tuning, checkpoint
        self.progress: Progress = silent
        self.points: dict[Methods, Point] = {}
        self.made: dict[Methods, Compressed] = {}
        self.sparse = tuple(
            glob.escape(node.name)
            for node in weighted(graph)
            if mixes(node) and prod(layout_of(node).kernel(graph.shape(node.inputs[1]))) == 1
        )

    def run(self) -> Fitted:
        dense = self._measured(Methods())
        if dense.fits:
            return self._fitted(Methods(), f"fits {self.board.name} as it is")
        found = [self._made_to_fit(way) for way in WAYS]
        fitting = [m for m in dict.fromkeys(found) if m is not None]
        if not fitting:
            return Fitted(None, self._table(), self._nearest())
        best = min(fitting, key=lambda m: (self.points[m].drop or 0.0, self.points[m].flash))
        point = self.points[best]
        if (point.drop or 0.0) > self.budget.max_drop:
            verdict = (
                f"what fits loses {point.drop:.2f} points or more ({point.settings}), "
                f"{self.budget.max_drop:g} are allowed. Tune it with --recover, or allow more"
            )
            return Fitted(None, self._table(), verdict)
        return self._fitted(best, f"fits {self.board.name} with {point.settings}")

    def _made_to_fit(self, way: str) -> Methods | None:
        """The gentlest settings of a way that fit when they are made with all rows.

        A few rows, which show the sizes, may choose other channels.
        """
        while (methods := self._along(way)) is not None:
            point = self.points[methods] if methods in self.made else self._measured(methods)
            if point.fits:
                return methods
        return None

    def _along(self, way: str) -> Methods | None:
        """The gentlest settings of a way that fit by what is known of their sizes."""
        if way == "zeros":
            least = self._least([Methods(s) for s in SHARES], "ram")
            shares = [] if least is None else [replace(least, zeros=_zeros(a)) for a in SHARES]
        elif way == "channels":
            shares = [Methods(share) for share in SHARES]
        elif way == "shared values":
            shares = [Methods(share, codes="cluster4") for share in SHARES]
        else:
            shares = [Methods(share, zeros=_zeros(ZEROS)) for share in SHARES]
        if not self.sparse and "zeros" in way:
            return None
        return self._least(shares, "fits")

    def _least(self, options: list[Methods], what: str) -> Methods | None:
        """The first of ``options``, which get ever smaller, that fits (by bisection)."""
        low, high = 0, len(options)
        while low < high:
            middle = (low + high) // 2
            point = self._sized(options[middle])
            fits = point is None or (point.fits if what == "fits" else self._ram_fits(point))
            low, high = (low, middle) if fits else (middle + 1, high)
        while low < len(options) and self._sized(options[low]) is None:
            return None
        return _without_nothing(options[low]) if low < len(options) else None

    def _ram_fits(self, point: Point) -> bool:
        return point.ram <= self.budget.ram

    def _request(self, methods: Methods, tuning: Tuning) -> Request:
        plain = replace(methods, zeros=None)
        layers = tuple((name, methods) for name in self.sparse) if methods.zeros else ()
        return Request(plain, layers, tuning=tuning)

    def _sized(self, methods: Methods) -> Point | None:
        """The size alone, without tuning; None where a layer would be emptied."""
        methods = _without_nothing(methods)
        if methods not in self.points:
            self.progress(f"sizing {methods}", 0.1)
            try:
                small = compress_graph(
                    self.graph, self._request(methods, Tuning()), _few(self.calibration)
                ).graph
            except McuqError:
                return None
            self.points[methods] = self._point(methods, small)
        return self.points[methods]

    def _point(self, methods: Methods, small: Graph) -> Point:
        core = boards.cpu(self.board)
        program = weigh.plain_program(small, self.calibration, core, PREFER)
        needs = fit.estimate(program, plan(program), self.board)
        fits = needs.flash <= self.budget.flash and needs.all_ram <= self.budget.ram
        return Point(str(methods), needs.flash, needs.all_ram, round(program.cycles), fits)

    def _measured(self, methods: Methods) -> Point:
        """The point with its loss: tuned, quantized and run on the calibration rows."""
        methods = _without_nothing(methods)
        self.progress(f"measuring {methods}", 0.5)
        place = self.checkpoint
        if place is not None:
            place = place.with_name(f"{place.stem}-{len(self.made)}{place.suffix}")
        tuning = self.tuning if methods != Methods() else Tuning()
        done = compress_graph(
            self.graph,
            self._request(methods, tuning),
            self.calibration,
            self.labels,
            checkpoint=place,
            report=self.progress,
        )
        self.made[methods] = done
        qgraph = quantize(done.graph, self.calibration, Options(effort="fast"))
        rows = {name: values[:EVALUATED] for name, values in self.calibration.items()}
        classes = None if self.labels is None else self.labels[:EVALUATED]
        result = evaluate(self.graph, qgraph, rows, classes)
        share = result.agreement if classes is None else result.int8_top1
        base = 1.0 if classes is None else result.float_top1
        point = self._point(methods, done.graph)
        drop = None if share is None or base is None else round(100 * (base - share), 3)
        accuracy = None if share is None else round(100 * share, 3)
        self.points[methods] = replace(
            point, accuracy=accuracy, drop=drop, sqnr_db=round(result.sqnr_db, 2)
        )
        return self.points[methods]

    def _fitted(self, methods: Methods, verdict: str) -> Fitted:
        methods = _without_nothing(methods)
        done = self.made[methods]
        core = boards.cpu(self.board)
        before, after = (
            weigh.plain_program(g, self.calibration, core, PREFER) for g in (self.graph, done.graph)
        )
        point = self.points[methods]
        loss = "" if point.drop is None else f", {point.drop:.2f} points lost"
        text = f"{verdict}: {size_text(point.flash)} flash, {size_text(point.ram)} RAM{loss}"
        small = Small(self.graph, done, weigh.gains(done, before, after))
        return Fitted(small, self._table(), text)

    def _table(self) -> tuple[Point, ...]:
        """All points, the largest first; ``best`` marks those that no other beats."""
        points = sorted(self.points.values(), key=lambda p: (-p.flash, -p.ram, p.settings))
        known = [p for p in points if p.drop is not None]
        return tuple(
            replace(p, best=p.drop is not None and not any(_beats(q, p) for q in known))
            for p in points
        )

    def _nearest(self) -> str:
        """Which limit cannot be met, and how near the smallest came."""
        parts = []
        for what, has in (("flash", self.budget.flash), ("ram", self.budget.ram)):
            least = min(self.points.values(), key=lambda p: int(getattr(p, what)))
            needs = int(getattr(least, what))
            if needs > has:
                parts.append(
                    f"{size_text(has)} {'RAM' if what == 'ram' else what} cannot be met: the "
                    f"nearest is {size_text(needs)} with {least.settings}"
                )
        return "; ".join(parts) or "no settings meet both limits at once"


def _beats(one: Point, other: Point) -> bool:
    a, b = ((p.flash, p.ram, p.drop or 0.0) for p in (one, other))
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _zeros(amount: float) -> Pattern:
    return Pattern("block", amount)


def _without_nothing(methods: Methods) -> Methods:
    """The same settings with amounts of 0 left out."""
    zeros = methods.zeros if methods.zeros and methods.zeros.amount else None
    return Methods(methods.structured or None, zeros, methods.codes)


def _few(calibration: Mapping[str, Array]) -> dict[str, Array]:
    """Enough rows to find sizes."""
    return {name: values[:64] for name, values in calibration.items()}
