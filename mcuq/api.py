"""The Python API, gathered: everything that the command line does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mcuq import boards, data, verify
from mcuq.benchmark import Bench
from mcuq.benchmark import bench as _bench
from mcuq.boards import Board
from mcuq.compiler import Compiled, Progress, compile_model, load_compiled
from mcuq.emulate import run_arrays
from mcuq.evaluate import Evaluation
from mcuq.evaluate import evaluate as _evaluate
from mcuq.inspect import Facts, inspect_model
from mcuq.ir import Array
from mcuq.reference import port_to_real
from mcuq.selftest import build_selftest

__all__ = ["bench", "build_selftest", "check", "compile", "evaluate", "inspect", "load", "run"]

compile = compile_model
load = load_compiled
AnyBoard = str | Path | Board


def _board(given: AnyBoard) -> Board:
    return given if isinstance(given, Board) else boards.load(given)


def inspect(model: str | Path) -> Facts:
    """Nodes, shapes, MACs and memory of a model file, without data."""
    return inspect_model(Path(model))


def check(
    compiled: Compiled,
    on: Sequence[AnyBoard] = verify.CORES,
    vectors: int = 20,
    seed: int = 0,
    progress: Progress = lambda text, done: None,
) -> list[verify.Verdict]:
    """Compare every tensor with the reference: a verdict for the host, and one for each board."""
    return verify.check(compiled, [_board(b) for b in on], vectors, seed, progress)


def bench(compiled: Compiled, board: AnyBoard) -> Bench:
    """Executed instructions of one inference on an emulated board."""
    return _bench(compiled, _board(board))


def evaluate(compiled: Compiled, inputs: Array | Mapping[str, Array], labels: Array) -> Evaluation:
    """Accuracy and SQNR of the integer network against the float one."""
    feeds = data.from_arrays(inputs, compiled.bundle.graph)
    return _evaluate(compiled.bundle.graph, compiled.bundle.qgraph, feeds, labels)


def run(
    compiled: Compiled, board: AnyBoard, inputs: Array | Mapping[str, Array]
) -> dict[str, Array]:
    """The outputs, as reals by name, that an emulated board computes for ``inputs``."""
    graph = compiled.program.qgraph
    found = run_arrays(compiled, _board(board), data.from_arrays(inputs, graph))
    ports = {port.name: port for port in graph.outputs}
    return {name: port_to_real(ports[name], values) for name, values in found.items()}
