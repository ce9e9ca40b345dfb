"""Models that people published, as they are: a table of what becomes of each.

    python -m benchmarks.public_models [FOLDER | FILE ...] [--shape NAME=1,3,48,96 ...] [--host]

By default the folder ``../shared/public``, which is no part of the project. Every ``.onnx`` and
``.tflite`` file is imported, compared with its source, compiled with seeded inputs, and checked bit
for bit on the host and on four emulated cores (``--host``: on the host alone, ``--M4``: and on that
core). *import*: the float graph against onnx's evaluator on the file as it is, or on its nodes
without their rounding where the file is quantized; *SQNR*: the integers against the float graph, on
made-up inputs, which says little of real ones.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import mcuq
from mcuq import capacity, importers
from mcuq.errors import ManyErrors, McuqError
from mcuq.importers import onnx_run
from mcuq.importers.imported import Imported
from mcuq.importers.sizes import Sizes
from mcuq.ir import Array, Graph, from_memory, to_memory
from mcuq.ops import index_limit, products
from mcuq.reference import outputs_of

FOLDER = Path(__file__).parents[2] / "shared" / "public"
CORES = {"M4": "cortex-m4", "M55": "cortex-m55", "M0": "cortex-m0", "RV32": "rv32imc"}
FASTEST, HOST = "M55", "host"
ROWS, FEW_ROWS, FEWEST, COMPARED, VECTORS = 32, 8, 2, 2, 3
HEAVY, TOO_HEAVY = 20_000_000, 300_000_000
"""Products of one inference: above the first fewer rows and one vector must do, above the second
the host and one core."""
ELEMENTS = 1 << 27
"""One of the models has more in all its tensors than mcuq takes unasked."""
HEADER = ("model", "import dB", "SQNR dB", "exact on", "seconds", "what was said")


@dataclass(frozen=True)
class Outcome:
    """What became of a model; None where it did not come so far. ``exact``: on which cores.

    ``good``: it is exact wherever it was run.
    """

    name: str
    import_db: float | None = None
    sqnr_db: float | None = None
    exact: str = ""
    seconds: float = 0.0
    said: tuple[str, ...] = ()
    good: bool = False

    @property
    def row(self) -> str:
        numbers = ("" if v is None else f"{v:.0f}" for v in (self.import_db, self.sqnr_db))
        said = " / ".join(" ".join(line.split()) for line in self.said).replace("|", "/")
        cells = (self.name, *numbers, self.exact, f"{self.seconds:.0f}", said)
        return f"| {' | '.join(cells)} |"


def outcome(path: Path, shapes: Mapping[str, tuple[int, ...]], cores: Mapping[str, str]) -> Outcome:
    """What becomes of the model in ``path``; a fault of mcuq's own is told with its last line."""
    start, found = time.perf_counter(), Outcome(path.name)
    try:
        imported = importers.read(path, Sizes(shapes))
        found = replace(found, import_db=_compared(path, imported))
        work = products(imported.graph)
        count = ROWS if work < HEAVY else FEW_ROWS if work < TOO_HEAVY else FEWEST
        rows = rows_of(imported.graph, count)
        cores = cores if work < TOO_HEAVY else {n: b for n, b in cores.items() if n == FASTEST}
        board = ",".join(cores.values()) or None  # each has its own kernels
        model = mcuq.compile(path, None, rows, board=board, effort="fast", shapes=shapes)
        verdicts = model.check(list(cores.values()), vectors=VECTORS if work < HEAVY else 1)
        wrong = [str(v.first) for v in verdicts if not v.exact]
        names = zip((HOST, *cores), verdicts, strict=True)
        exact = ", ".join(name for name, verdict in names if verdict.exact) or "none"
        judged = model.report.judged
        sqnr = judged.sqnr_db if judged else None
        said = (*wrong, *model.advice)
        found = replace(found, sqnr_db=sqnr, exact=exact, said=said, good=not wrong)
    except ManyErrors as errors:
        found = replace(found, exact="refused", said=tuple(map(str, errors.errors)))
    except McuqError as error:
        found = replace(found, exact="refused", said=(str(error),))
    except Exception as error:  # a fault of mcuq: the table goes on
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        found = replace(found, exact="CRASH", said=(f"{type(error).__name__}: {error} ({place})",))
    return replace(found, seconds=time.perf_counter() - start)


def rows_of(graph: Graph, count: int = ROWS) -> dict[str, Array]:
    """Seeded normal inputs in the user's layout; within its limits where the model states them."""
    chance, made = np.random.default_rng(0), {}
    for port in graph.inputs:
        shape, hint = (count, *port.shape[1:]), graph.hints.get(port.tensor)
        values = chance.normal(size=shape)
        limit = index_limit(graph, port.tensor)
        if limit is not None:
            values = chance.integers(0, limit, shape)
        elif hint is not None:
            top, scale = 1 << (hint.bits - 1), hint.scale[0]
            limits = (1 - top - hint.zero) * scale, (top - 2 - hint.zero) * scale
            values = chance.uniform(*limits, shape)
        made[port.name] = values.astype(np.float32)
    return made


def _compared(path: Path, imported: Imported) -> float | None:
    """Decibels of the imported graph against its source, the worst of the outputs."""
    graph = imported.graph
    rows = rows_of(graph, imported.rows if imported.rows > 1 else COMPARED)
    wanted = _source(path, imported, rows)
    if wanted is None:
        return None
    shapes = {p.name: graph.shape(p.tensor) for p in graph.inputs}
    inside = {p.name: to_memory(p, shapes[p.name], rows[p.name]) for p in graph.inputs}
    found = outputs_of(graph, inside)
    return min(
        _decibels(wanted[port.name].reshape(-1), from_memory(port, found[port.name]).reshape(-1))
        for port in graph.outputs
    )


def _source(path: Path, imported: Imported, rows: Mapping[str, Array]) -> dict[str, Array] | None:
    """What the source gives for ``rows``, one inference after the other; None: it cannot be run."""
    size = max(1, imported.rows)
    count = len(next(iter(rows.values())))
    parts = [
        {n: v[at : at + size].reshape(imported.shapes[n]) for n, v in rows.items()}
        for at in range(0, count, size)
    ]
    try:
        found = [_evaluated(path, imported, part) for part in parts]
    except Exception:  # whatever the evaluator raises
        return None
    return {n: np.concatenate([f[n].reshape(-1) for f in found]) for n in found[0]}


def _evaluated(path: Path, imported: Imported, part: Mapping[str, Array]) -> dict[str, Array]:
    names = [port.name for port in imported.graph.outputs]
    if path.suffix == ".onnx" and not imported.graph.hints:
        try:
            evaluator = ReferenceEvaluator(onnx.load(path), new_ops=[BatchNormalization])
            found = evaluator.run(names, dict(part))
            return {n: np.asarray(v, np.float64) for n, v in zip(names, found, strict=True)}
        except Exception:  # it cannot run all of an old file: node by node, then
            pass
    values: dict[str, Array] = {}
    for _, made in onnx_run.run(imported.whole, part):
        values.update((n, v) for n, v in made.items() if n in names)
    return values


class BatchNormalization(OpRun):  # type: ignore[misc]
    """At inference: before opset 14, where momentum is no training, the evaluator mixes it in."""

    def _run(self, x: Any, *numbers: Any, epsilon: float | None = None, **_: object) -> Any:
        spread = (-1, *(1,) * (x.ndim - 2))
        scale, bias, mean, variance = (number.reshape(spread) for number in numbers)
        root = np.sqrt(variance + (1e-5 if epsilon is None else epsilon))
        return (((x - mean) / root * scale + bias).astype(x.dtype),)


def _decibels(wanted: Array, found: Array) -> float:
    if wanted.size != found.size:
        return float("-inf")
    noise = float(np.mean((wanted - found) ** 2))
    signal = float(np.mean(wanted.astype(np.float64) ** 2))
    return min(200.0, 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-50))))


def outcomes(
    places: Sequence[Path], shapes: Mapping[str, tuple[int, ...]], cores: Mapping[str, str]
) -> Iterator[Outcome]:
    """An outcome of every model in ``places``, files and folders; sizes go where they fit."""
    for place in places:
        several = sorted(place.iterdir()) if place.is_dir() else [place]
        for path in several:
            if path.suffix in (".onnx", ".tflite"):
                with capacity.allowing(ELEMENTS):
                    yield outcome(path, _fitting(path, shapes), cores)


def _fitting(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """``FILE:NAME`` is for one file, ``NAME`` for all that are named on the command line."""
    own = {}
    for key, shape in shapes.items():
        file, _, name = key.rpartition(":")
        if file in ("", path.stem):
            own[name] = shape
    return own


def main(arguments: Sequence[str]) -> None:
    """Print the table as it comes, and the totals."""
    given = [arg for arg in arguments if not arg.startswith("--")]
    shapes = {}
    for arg in (arg for arg in given if "=" in arg):
        name, _, sizes = arg.partition("=")
        shapes[name] = tuple(int(size) for size in sizes.split(","))
    places = [Path(arg) for arg in given if "=" not in arg] or [FOLDER]
    named = {core: board for core, board in CORES.items() if f"--{core}" in arguments}
    cores = {} if "--host" in arguments else named or CORES
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    rows = []
    for found in outcomes(places, shapes, cores):
        rows.append(found)
        print(found.row, flush=True)
    print(f"\n{sum(row.good for row in rows)} of {len(rows)} are exact.")


if __name__ == "__main__":
    main(sys.argv[1:])
