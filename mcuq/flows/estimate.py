"""What a model will take on boards, without any data: ``mcuq estimate``.

The network is rounded with made-up scales: those of a few seeded inputs, with no search at all.
From there on everything is what ``compile`` does: kernels are chosen, weights packed, the arena is
planned. The bytes of a layer do not depend on its scales but through the choice of kernels and the
zeros among its integers. ``BOUNDS`` says how far that may be from what a build measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcuq import importers
from mcuq.config import Config
from mcuq.draw.html import table
from mcuq.errors import McuqError, brief
from mcuq.flows.compile import prepare
from mcuq.flows.made_up import made_up
from mcuq.importers.source import import_model, sizes_of
from mcuq.ir import Graph, Shape
from mcuq.measure.inspect import inspect_graph
from mcuq.program import fit
from mcuq.program.choose import PREFERENCES
from mcuq.program.lower import lower
from mcuq.program.plan import plan
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import CORES, Cpu

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Bounds:
    """How far an estimate may be from what a build with data measures, as shares; bytes beside.

    ``flash_above``: library code counts for each kernel that calls it, and calls are rounded up.
    ``ram``: of the arena, which is exact as long as the scales leave the chosen kernels alone.
    """

    instructions: float = 0.08
    flash_below: float = 0.01
    flash_above: float = 0.1
    flash_bytes: int = 1024
    ram: float = 0.1

    def __str__(self) -> str:
        return (
            f"instructions within {self.instructions:.0%}; flash from {self.flash_below:.0%} below "
            f"to {self.flash_above:.0%} and {self.flash_bytes:,} B above; arena to the byte, or "
            f"{self.ram:.0%} where scales decide between kernels of nearly equal cost"
        )

    def holds(self, estimate: Mapping[str, int], measured: Mapping[str, int]) -> bool:
        """Whether ``instructions``, ``flash`` and ``ram`` are near enough."""
        off = {key: estimate[key] - measured[key] for key in ("instructions", "flash", "ram")}
        most = self.flash_above * measured["flash"] + self.flash_bytes
        return (
            abs(off["instructions"]) <= self.instructions * measured["instructions"]
            and -self.flash_below * measured["flash"] <= off["flash"] <= most
            and abs(off["ram"]) <= self.ram * measured["ram"]
        )


BOUNDS = Bounds()


@dataclass(frozen=True)
class Needs:
    """Bytes and instructions of one inference on a board; ``ram``: arena, stack and ``io``.

    ``stack``: what the deepest kernel takes at most; ``io``: the caller's buffers. ``cycles``:
    memory without wait states, None for a core without published ones. ``fits``: both memories.
    """

    board: str
    core: str
    flash: int
    ram: int
    arena: int
    stack: int
    io: int
    instructions: int
    cycles: int | None
    milliseconds: float | None
    flash_length: int
    ram_length: int

    @property
    def fits(self) -> bool:
        return self.flash <= self.flash_length and self.ram <= self.ram_length

    @property
    def over(self) -> str:
        """Which memories are too small; empty if it fits."""
        short = (("flash", self.flash, self.flash_length), ("RAM", self.ram, self.ram_length))
        return " and ".join(what for what, needed, has in short if needed > has)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "fits": self.fits}


@dataclass(frozen=True, repr=False)
class Estimate:
    """One model on several boards. ``weights``: its parameters, ``macs``: of one inference."""

    name: str
    macs: int
    weights: int
    boards: tuple[Needs, ...]

    def __repr__(self) -> str:
        fits = sum(needs.fits for needs in self.boards)
        return brief("Estimate", self.name, f"fits {fits} of {len(self.boards)} boards")

    def _repr_html_(self) -> str:
        columns = ("board", "core", "#flash B", "#RAM B", "#instructions", "#ms", "fits")
        rows = [
            (n.board, n.core, n.flash, n.ram, n.instructions, n.milliseconds, n.fits)
            for n in self.boards
        ]
        return table(columns, rows)

    def to_json(self) -> dict[str, Any]:
        facts = {"name": self.name, "macs": self.macs, "weights": self.weights}
        return {
            **facts,
            "bounds": asdict(BOUNDS),
            "boards": {needs.board: needs.to_json() for needs in self.boards},
        }


def estimate_model(
    model: str | Path | torch.nn.Module | Graph,
    example_input: Any = None,
    *,
    on: Sequence[str | Path | Board],
    prefer: str = "balanced",
    config: Config | None = None,
    shapes: Mapping[str, Shape] | None = None,
    progress: Progress = silent,
) -> Estimate:
    """What a model takes on each of several boards; the arguments are those of ``compile_model``.

    Of ``config`` the inputs, the shapes and the bits count; mixed precision is refused, for which
    tensors get 16 bits depends on the data.
    """
    if prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    importers.check_kind(model)
    settings = config or Config()
    if settings.quantize.mixed:
        reason = "mixed precision depends on the data"
        raise McuqError("estimate", reason, "Estimate --bits 8 and --bits 16, the two ends")
    targets = [boards.load(board) for board in on]
    progress("reading the model", 0.0)
    source = import_model(model, example_input, sizes_of(shapes, settings.shapes, None))
    return estimate_graph(prepare(source.graph, settings), targets, prefer, settings, progress)


def estimate_graph(
    graph: Graph,
    targets: Sequence[Board],
    prefer: str = "balanced",
    settings: Config | None = None,
    progress: Progress = silent,
) -> Estimate:
    """As ``estimate_model``, of a graph that the passes have left."""
    progress("made-up scales", 0.1)
    qgraph = made_up(graph, settings or Config())
    found = needs_on(qgraph, targets, prefer, progress)
    facts = inspect_graph(graph)
    return Estimate(graph.name, facts.macs, facts.weights, found)


def needs_on(
    qgraph: QGraph, targets: Sequence[Board], prefer: str, progress: Progress = silent
) -> tuple[Needs, ...]:
    """What an integer network takes on each of several boards, each with its own kernels."""
    by_core: dict[Cpu, Needs] = {}
    found = []
    for done, board in enumerate(targets):
        progress(f"kernels for {board.name}", 0.5 + 0.5 * done / len(targets))
        core = boards.cpu(board)
        if core not in by_core:
            by_core[core] = _needs(qgraph, board, prefer)
        found.append(_on(by_core[core], board))
    return tuple(found)


def _needs(qgraph: QGraph, board: Board, prefer: str) -> Needs:
    program = lower(qgraph, boards.cpu(board), prefer)
    sizes = fit.estimate(program, plan(program), board)
    known = CORES[board.cpu].cycles is not None
    return Needs(
        board.name,
        board.cpu,
        sizes.flash,
        sizes.all_ram,
        sizes.ram,
        sizes.stack,
        sizes.io,
        round(program.instructions),
        round(program.cycles) if known else None,
        None,
        board.flash.length,
        board.ram.length,
    )


def _on(needs: Needs, board: Board) -> Needs:
    """The needs of a core on another board with it."""
    cycles = needs.cycles
    return replace(
        needs,
        board=board.name,
        milliseconds=None if cycles is None else round(1000 * cycles / board.clock_hz, 3),
        flash_length=board.flash.length,
        ram_length=board.ram.length,
    )
