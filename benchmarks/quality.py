"""How much each quantization step gains: output SQNR and top-1 on data not calibrated on.

``python -m benchmarks.quality [NETWORK ...]`` prints Markdown tables. It trains its own networks
(``trained.py``; ``uneven`` is ``digits`` with channels that differ by 100 times); the MLPerf Tiny
networks and their data join in where ``../shared`` is there. ``--onnxruntime`` adds the rows of its
``quantize_static``, which must be installed. ``--wide`` measures 16 bits and mixed precision alone,
with the instructions that one inference executes on a Cortex-M4 in QEMU.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.nn import functional

from benchmarks import trained
from mcuq.importers import from_torch, load
from mcuq.ir import Graph, to_memory
from mcuq.measure.bench import bench
from mcuq.measure.evaluate import evaluate
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.passes import pipeline
from mcuq.program.lower import lower
from mcuq.qir import QGraph
from mcuq.quantize import Options, quantize
from mcuq.quantize.equalize.components import bound_of, components
from mcuq.quantize.equalize.rescale import Change, rescaled
from mcuq.quantize.state import OPTIONAL, State
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

SHARED = Path(__file__).parents[2] / "shared"
CALIBRATION_ROWS = 200


MACHINE = "mps2_an386"


def _costs(qgraph: QGraph) -> tuple[float, float]:
    """The estimated cycles and instructions of one inference on a Cortex-M4."""
    program = lower(qgraph, boards.cpu(boards.load(MACHINE)), "balanced")
    return program.cycles, program.instructions


ROWS: tuple[tuple[str, Options], ...] = (
    ("min-max ranges", Options("normal", "minmax", skip=OPTIONAL)),
    ("percentile ranges", Options("normal", "percentile", skip=OPTIONAL)),
    ("entropy (KL) ranges", Options("normal", "kl", skip=OPTIONAL)),
    ("least-error (MSE) ranges", Options("normal", "mse", skip=OPTIONAL)),
    ("least noise at the output", Options("normal", skip=OPTIONAL)),
    ("+ bias correction, compensated rounding", Options(skip=OPTIONAL[:3])),
    ("+ affine input", Options(skip=OPTIONAL[1:3])),
    ("+ equalization", Options(skip=OPTIONAL[2:3])),
    ("+ range search: `normal`", Options("normal")),
    ("`fast`", Options("fast")),
    ("`best`", Options("best")),
)

WIDE_ROWS: tuple[tuple[str, Options], ...] = (
    ("8-bit activations: `normal`", Options("normal")),
    ("16-bit activations", Options("normal", bits={"*": 16})),
    ("mixed, 1.5 times the time on Cortex-M4", Options("normal", mixed=True, price=_costs)),
)


@dataclass(frozen=True)
class Case:
    """A network with data in its own layout; ``onnx`` writes the same as a file, if it can."""

    name: str
    graph: Graph
    onnx: Callable[[Path], None] | None
    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None


@dataclass(frozen=True)
class Result:
    """``sqnr`` in dB; ``top1`` and ``agreement`` with the float network as shares; ``instructions``
    of one inference on a Cortex-M4, where they were counted.
    """

    sqnr: float
    top1: float | None
    agreement: float | None
    seconds: float
    instructions: int | None = None


def cases() -> dict[str, Callable[[], Case]]:
    """The networks that can be measured here, by name."""
    found: dict[str, Callable[[], Case]] = {
        "digits": lambda: _trained(trained.digits()),
        "uneven": lambda: uneven(_trained(trained.digits()), 100.0),
    }
    if (SHARED / "data").is_dir():
        data = SHARED / "data"
        found |= {
            "ic": _ic, "kws_ckpt": _kws, "vww": _vww,
            "mnist": lambda: _trained(trained.mnist(data)),
            "ecg": lambda: _trained(trained.ecg(data)),
            "fsdd": lambda: _trained(trained.fsdd(data)),
        }  # fmt: skip
    return found


def _trained(found: trained.Trained) -> Case:
    x, example = found.train[0], torch.from_numpy(found.train[0][:1])
    graph = pipeline.run(from_torch(found.module, example))
    export = partial(_export, found.module, example)
    return Case(found.name, graph, export, _spaced(x), *found.test)


def uneven(case: Case, spread: float) -> Case:
    """The same function, with channels rescaled exactly so that they differ by ``spread``.

    Those under an upper bound (ReLU6) stay: they all have the same.
    """
    graph = case.graph
    random = np.random.default_rng(0)
    factors = {}
    for part in components(graph):
        found = spread ** random.uniform(-0.5, 0.5, part.channels)
        free = part.channels > 1 and bound_of(graph, part) == math.inf
        for name in part.tensors if free else ():
            factors[name] = np.broadcast_to(found, graph.shape(name)[-1:])
    changed = rescaled(State(graph, {}, Options()), Change(factors)).graph
    return replace(case, name="uneven", graph=changed, onnx=None)


def _export(module: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    batch = {0: torch.export.Dim("batch")}
    torch.onnx.export(
        module, (example,), path, dynamic_shapes=(batch,), external_data=False, verbose=False
    )


def _shared_model(
    name: str, calibration: np.ndarray, test: np.ndarray, y: np.ndarray | None
) -> Case:
    path = SHARED / "models" / f"{name}.onnx"
    graph = pipeline.run(load(path))
    return Case(name, graph, partial(_without_softmax, path), calibration, test, y)


def _without_softmax(source: Path, path: Path) -> None:
    """The model with its logits as output, to compare those."""
    import onnx

    model = onnx.load(source)
    last = model.graph.node[-1]
    if last.op_type == "Softmax":
        model.graph.node.remove(last)
        model.graph.output[0].name = last.input[0]
    onnx.save(model, path)


def _ic() -> Case:
    with np.load(SHARED / "data" / "cifar10.npz") as file:
        train, test = (
            file[name].transpose(0, 3, 1, 2).astype(np.float32) for name in ("x_train", "x_test")
        )
        return _shared_model("ic", _spaced(train), test, file["y_test"])


def _kws() -> Case:
    with np.load(SHARED / "data" / "kws01.npz") as file:
        x = (file["x_int8"].astype(np.float32) - file["x_zero_point"]) * file["x_scale"]
        chosen = file["is_calib"]
        x = x[:, None].astype(np.float32)
        return _shared_model("kws_ckpt", x[chosen], x[~chosen], file["y"][~chosen])


def _vww() -> Case:
    """CIFAR-10 images enlarged: no labels, only the agreement with the float network."""
    with np.load(SHARED / "data" / "cifar10.npz") as file:
        parts = (_spaced(file["x_train"]), _spaced(file["x_test"], 400))
    calibration, test = (
        functional.interpolate(
            torch.from_numpy(part.transpose(0, 3, 1, 2).astype(np.float32) / 255),
            (96, 96),
            mode="bilinear",
        ).numpy()
        for part in parts
    )
    return _shared_model("vww", calibration, test, None)


def _spaced(x: np.ndarray, rows: int = CALIBRATION_ROWS) -> np.ndarray:
    """``rows`` rows, evenly spaced."""
    chosen: np.ndarray = x[np.linspace(0, len(x) - 1, rows).astype(int)]
    return chosen


def measure(case: Case, options: Options, count: bool = False) -> Result:
    """Quantize and compare on the test data; ``count`` the executed instructions, too."""
    port = case.graph.inputs[0]
    shape = case.graph.shape(port.tensor)
    calibration, test = (to_memory(port, shape, x) for x in (case.calibration, case.test))
    start = time.perf_counter()
    qgraph = quantize(case.graph, {port.name: calibration}, options)
    seconds = time.perf_counter() - start
    found = evaluate(case.graph, qgraph, {port.name: test}, case.labels)
    instructions = _instructions(case, qgraph, {port.name: calibration[:2]}) if count else None
    return Result(found.sqnr_db, found.int8_top1, found.agreement, seconds, instructions)


def _instructions(case: Case, qgraph: QGraph, feeds: dict[str, np.ndarray]) -> int:
    """What one inference executes on a Cortex-M4, counted in QEMU."""
    vectors = feeds_to_int(qgraph, feeds)
    made = Bundle(case.name, "", "", None, "balanced", case.graph, qgraph, vectors)
    board = boards.load(MACHINE)
    return bench(generate(made, board), board).instructions


def rows_of(case: Case, with_onnxruntime: bool) -> Iterator[tuple[str, Result]]:
    """Every method's result."""
    if with_onnxruntime and case.onnx is not None:
        from benchmarks import onnxruntime_static

        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            case.onnx(path)
            for method in onnxruntime_static.METHODS:
                sqnr, top1, agreement, seconds = onnxruntime_static.measure(
                    path, case.calibration, case.test, case.labels, method
                )
                yield f"onnxruntime {method}", Result(sqnr, top1, agreement, seconds)
    for title, options in ROWS:
        yield title, measure(case, options)


def wide_rows_of(case: Case) -> Iterator[tuple[str, Result]]:
    """The result of every width."""
    for title, options in WIDE_ROWS:
        yield title, measure(case, options, count=True)


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    known, wide = cases(), "--wide" in arguments
    names = [name for name in arguments if not name.startswith("--")] or list(known)
    columns: dict[str, dict[str, Result]] = {}
    for name in names:
        case = known[name]()
        columns[name] = {}
        every = rows_of(case, "--onnxruntime" in arguments)
        for title, result in wide_rows_of(case) if wide else every:
            columns[name][title] = result
            print(f"{name}: {title}: {result}", file=sys.stderr, flush=True)
    print(table("Output SQNR in dB", columns, lambda r: f"{r.sqnr:.1f}"))
    print(table("Top-1 in % (vww: agreement with float)", columns, _percent))
    print(table("Seconds", columns, lambda r: f"{r.seconds:.1f}"))
    if wide:
        print(table("Executed instructions on Cortex-M4", columns, lambda r: f"{r.instructions:,}"))


def _percent(result: Result) -> str:
    share = result.agreement if result.top1 is None else result.top1
    return "" if share is None else f"{100 * share:.1f}"


def table(title: str, columns: dict[str, dict[str, Result]], cell: Callable[[Result], str]) -> str:
    """A Markdown table: methods by networks."""
    titles = max((list(c) for c in columns.values()), key=len)
    lines = [f"| {title} | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    lines += [
        f"| {row} | {' | '.join(cell(c[row]) if row in c else '' for c in columns.values())} |"
        for row in titles
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
