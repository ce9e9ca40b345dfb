"""A network in integers whose scales are made up: enough to know its sizes, without any data."""

from __future__ import annotations

import numpy as np

from mcuq.config import Config
from mcuq.errors import ModelError, raise_all
from mcuq.ir import Array, Graph, Port
from mcuq.ops import index_limit
from mcuq.program import least
from mcuq.program.lower import lower
from mcuq.qir import QGraph
from mcuq.quantize import Options, needs_calibration, quantize
from mcuq.quantize.state import OPTIONAL
from mcuq.stream import suppress
from mcuq.targets import boards
from mcuq.targets.boards import Board

ROWS = 4


def refuse_misfit(graph: Graph, board: Board, settings: Config) -> None:
    """FitError if ``graph`` surely does not fit ``board``, whatever its scales will be.

    Weights are called too large only if, rounded, they are too large in the smallest of all formats
    as well.
    """
    faults = least.faults(graph, board)
    if faults.flash and _smallest(graph, board, settings) <= board.flash.length:
        faults = least.Faults(None, faults.ram)
    raise_all([error for error in (faults.flash, faults.ram) if error])


def _smallest(graph: Graph, board: Board, settings: Config) -> int:
    """The constants of each step in the smallest format that it could have."""
    program = lower(made_up(graph, settings), boards.cpu(board), "size")
    return sum(min(choice.flash for choice in step.choices) for step in program.steps)


def made_up(graph: Graph, settings: Config) -> QGraph:
    """The integers of ``graph`` with the scales of seeded inputs; with its own where it has all.

    With what chooses among its boxes.
    """
    wanted = suppress.wanted_of(settings.suppressions, graph)
    return suppress.suppressed(_rounded(graph, settings), wanted)


def _rounded(graph: Graph, settings: Config) -> QGraph:
    bits = settings.quantize.bits
    options = Options(effort="fast", ranges="mse", bits=bits, skip=OPTIONAL, rows=ROWS)
    if not needs_calibration(graph):
        return quantize(graph, {}, options)
    failed: ModelError | None = None
    for low, high in ((-2.0, 2.0), (0.0, 1.0), (0.5, 0.6)):
        try:
            return quantize(graph, _inputs(graph, low, high), options)
        except ModelError as error:  # a logarithm, say, of what its inputs never are
            failed = failed or error
    assert failed is not None
    raise failed


def _inputs(graph: Graph, low: float, high: float) -> dict[str, Array]:
    chance = np.random.default_rng(0)
    return {p.name: _rows(graph, p, chance, low, high) for p in graph.inputs}


def _rows(graph: Graph, port: Port, chance: np.random.Generator, low: float, high: float) -> Array:
    shape = (ROWS, *graph.shape(port.tensor)[1:])
    if port.kind == "s16":
        limit = index_limit(graph, port.tensor)
        span = (-8192, 8192) if limit is None else (0, limit)
        return chance.integers(*span, shape).astype(np.int16)
    if port.kind == "u8":
        return chance.integers(0, 256, shape).astype(np.uint8)
    return chance.uniform(low, high, shape).astype(np.float32)
