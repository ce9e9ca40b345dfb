"""The Python API: everything that the command line does.

import mcuq
model = mcuq.compile(module, example_input, calibration, board="nucleo_f446re")
model.write("out")
assert all(verdict.exact for verdict in model.check())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq.compress.request import Request
from mcuq.config import Config
from mcuq.data import feeds as data
from mcuq.data.batches import Given
from mcuq.emit.packages import About
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.flows.compress import compress_model
from mcuq.flows.estimate import Estimate, estimate_model
from mcuq.flows.export import Exported
from mcuq.flows.export import export as write_package
from mcuq.flows.fit import fit_model
from mcuq.flows.report import Evidence, gather
from mcuq.flows.retarget import retarget as make_for
from mcuq.flows.verify import Verified
from mcuq.flows.verify import verify as hold
from mcuq.ir import Array, Graph, Shape, shown
from mcuq.measure import bench as benchmark
from mcuq.measure import check as checking
from mcuq.measure import desk, evaluate, explain, selftest
from mcuq.measure import inspect as preflight
from mcuq.measure import run as emulate
from mcuq.measure.diff import diff
from mcuq.measure.explain import Explanation
from mcuq.measure.limits import from_table as limits_from
from mcuq.model.compiled import Compiled, blob_name, load_compiled
from mcuq.model.report import Report
from mcuq.model.sbom import sbom as bill
from mcuq.progress import Progress, usual
from mcuq.reference import port_to_real
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import CHECKED

if TYPE_CHECKING:
    import torch

__all__ = [
    "Model", "compile", "compress_model", "diff", "estimate", "fit_model", "inspect", "load",
    "report", "retarget", "verify",
]  # fmt: skip

AnyBoard = str | Path | Board
Inputs = Given


@dataclass(frozen=True, repr=False)
class Model:
    """A compiled model and what can be done with it; a board is a name, a file or a ``Board``."""

    compiled: Compiled

    def __repr__(self) -> str:
        """One line: the name, the board, flash and arena."""
        return self.report.brief("Model")

    def _repr_html_(self) -> str:
        """The same as a table, and the network, which notebooks show."""
        return self.compiled._repr_html_()

    @property
    def report(self) -> Report:
        """What ``report.json`` holds."""
        return self.compiled.report

    @property
    def files(self) -> Mapping[str, str]:
        """The generated files by path."""
        return self.compiled.files

    @property
    def advice(self) -> tuple[str, ...]:
        """What the user should know of the data or the network, one sentence each."""
        return self.compiled.advice

    def write(self, folder: str | Path) -> Path:
        """Write the C files, the report and the bundle: all of them, or nothing."""
        return self.compiled.write(folder)

    def export(
        self,
        to: str,
        out: str | Path,
        *,
        version: str = About.version,
        author: str = About.author,
        url: str = About.url,
    ) -> Exported:
        """Write a package for ``to``: arduino, platformio, esp-idf, zephyr, cmsis-pack, cmake, ...

        ``out``: a folder, or a .zip (of a CMSIS-Pack .pack); all of it, or nothing. McuqError if
        it holds what mcuq did not write.
        """
        return write_package(self.compiled, to, out, About(version, author, url))

    def check(
        self,
        on: AnyBoard | Sequence[AnyBoard] = CHECKED,
        vectors: int = 20,
        seed: int = 0,
        progress: Progress = usual,
        clang: bool = False,
    ) -> list[checking.Verdict]:
        """Compare every tensor with the reference: a verdict for the host, one for each board.

        ``clang``: the stack is proven for its code, too.
        """
        several = (on,) if isinstance(on, (str, Path, Board)) else on
        chosen = [boards.load(name) for name in several]
        return checking.check(self.compiled, chosen, vectors, seed, progress, clang)

    def bench(self, board: AnyBoard, progress: Progress = usual) -> benchmark.Bench:
        """Executed instructions of one inference on an emulated board."""
        return benchmark.bench(self.compiled, boards.load(board), progress)

    def check_on(
        self,
        board: AnyBoard,
        place: str,
        vectors: int = 20,
        seed: int = 0,
        port: str | None = None,
        progress: Progress = usual,
    ) -> checking.Verdict:
        """Compare every tensor on a real board: ``place`` is gdb:HOST:PORT or serial:/dev/TTY."""
        target = boards.load(board)
        return desk.check_desk(self.compiled, target, place, vectors, seed, port, progress)

    def bench_on(
        self, board: AnyBoard, place: str, port: str | None = None, progress: Progress = usual
    ) -> benchmark.Bench:
        """What ``bench`` finds, with the cycles that a real board took beside it."""
        spent = desk.measure_desk(self.compiled, boards.load(board), place, port, progress)
        return self.bench(board, progress).measured(place, spent)

    def evaluate(
        self,
        inputs: Inputs,
        labels: Array | Sequence[float] | None = None,
        anomaly: bool = False,
    ) -> evaluate.Evaluation:
        """The integer network against the float one: SQNR, and what ``labels`` allow to say.

        They are classes (whole numbers), targets of a regression, or with ``anomaly`` 0 and 1; by
        default what the file ``inputs`` holds as y.
        """
        made = self.compiled.bundle
        if labels is None and isinstance(inputs, (str, Path)):
            return evaluate.evaluate_file(made, inputs, anomaly).result
        feeds = data.from_arrays(inputs, made.graph, "inputs")
        given = None if labels is None else np.asarray(labels)
        return evaluate.evaluate_model(made, feeds, given, anomaly)

    def explain(self, inputs: Inputs | None = None, progress: Progress = usual) -> Explanation:
        """Where accuracy is lost, by layer and cause; on the calibration rows by default."""
        made = self.compiled.bundle
        feeds = None if inputs is None else data.from_arrays(inputs, made.graph, "inputs")
        return explain.explain(made, feeds, progress)

    def run(self, board: AnyBoard, inputs: Inputs, progress: Progress = usual) -> dict[str, Array]:
        """The outputs by name, as reals in the model's own layout, that an emulated board gives."""
        feeds = data.from_arrays(inputs, self.compiled.bundle.graph, "inputs")
        found = emulate.run_arrays(self.compiled, boards.load(board), feeds, progress)
        ports = shown(self.compiled.bundle.qgraph)
        return {port.name: port_to_real(port, found[port.name]) for port in ports}

    def run_file(
        self,
        board: AnyBoard,
        source: str | Path,
        out: str | Path,
        raw: bool = False,
        progress: Progress = usual,
    ) -> int:
        """As ``run``, from a file to a .npy or .npz file; ``raw``: integers. The number of rows."""
        target = boards.load(board)
        return emulate.run_file(self.compiled, target, str(source), Path(out), raw, progress)

    def build(
        self,
        board: AnyBoard,
        folder: str | Path,
        progress: Progress = usual,
        port: str | None = None,
    ) -> list[Path]:
        """Write a self-test image: ``.elf``, ``.hex``, ``.bin`` and ``.map``.

        With ``port``, the C of the board's serial line, the image that ``check_on`` talks to.
        """
        target, place = boards.with_memory(boards.load(board)), Path(folder)
        if port is None:
            return selftest.build_selftest(self.compiled, target, place, progress)
        return desk.build_serial(self.compiled, target, port, place, progress)

    def sbom(self) -> bytes:
        """A bill of materials, CycloneDX JSON: hashes of all that went into the model."""
        made = self.compiled
        apart = {} if made.blob is None else {blob_name(made.bundle): made.blob}
        return bill(made.bundle, made.files, made.report, apart)


def compile(
    model: str | Path | torch.nn.Module | Graph,
    example_input: Any = None,
    calibration: Given | None = None,
    *,
    board: AnyBoard | None = None,
    name: str | None = None,
    prefer: str = "balanced",
    effort: str | None = None,
    bits: int | str | None = None,
    config: Config | None = None,
    compress: str | Request | None = None,
    recover: int | None = None,
    labels: Array | Sequence[int] | None = None,
    checkpoint: str | Path | None = None,
    shapes: Mapping[str, Shape] | None = None,
    weights: int | None = None,
    stream: str | None = None,
    progress: Progress = usual,
) -> Model:
    """Compile a network to C; the arguments are those of ``flows.compile.compile_model``.

    ``effort`` (fast, normal or best) and ``bits`` (8, 16 or "mixed", of activations) take the place
    of what ``config`` says.
    """
    return Model(
        compile_model(
            model,
            example_input,
            calibration,
            board=board,
            name=name,
            prefer=prefer,
            config=_settings(config, effort, bits),
            compress=compress,
            recover=recover,
            labels=None if labels is None else np.asarray(labels),
            checkpoint=checkpoint,
            shapes=shapes,
            weights=weights,
            stream=stream,
            progress=progress,
        )
    )


def load(folder: str | Path) -> Model:
    """A model that was compiled before and written to ``folder``."""
    return Model(load_compiled(folder))


def retarget(folder: str | Path, board: AnyBoard, prefer: str | None = None) -> Model:
    """The model in ``folder`` with the kernels of another board; nothing is quantized."""
    return Model(make_for(folder, board, prefer))


def inspect(model: str | Path, shapes: Mapping[str, Shape] | None = None) -> preflight.Facts:
    """Nodes, shapes, MACs and memory of a model file; needs no data. ``shapes``: as in compile."""
    return preflight.inspect_model(Path(model), shapes)


def estimate(
    model: str | Path | torch.nn.Module | Graph,
    example_input: Any = None,
    *,
    on: AnyBoard | Sequence[AnyBoard] | None = None,
    prefer: str = "balanced",
    bits: int | None = None,
    config: Config | None = None,
    shapes: Mapping[str, Shape] | None = None,
    progress: Progress = usual,
) -> Estimate:
    """Flash, RAM and instructions on boards, without any data; ``on``: by default on all."""
    several = boards.all_boards() if on is None else on
    return estimate_model(
        model,
        example_input,
        on=(several,) if isinstance(several, (str, Path, Board)) else several,
        prefer=prefer,
        config=_settings(config, None, bits),
        shapes=shapes,
        progress=progress,
    )


def report(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    measure: bool = False,
    progress: Progress = usual,
) -> Evidence:
    """A compiled folder on a page: ``.html``, and its ``.pictures``.

    ``data``: a file with rows x and, if known, classes y. ``measure``: check and count in
    emulation, on the folder's own board.
    """
    return gather(folder, data=data, measure=measure, progress=progress)


def verify(
    folder: str | Path,
    *,
    board: AnyBoard | None = None,
    data: str | Path | None = None,
    baseline: str | Path | None = None,
    progress: Progress = usual,
    **limits: int | float | str,
) -> Verified:
    """A compiled folder against ``limits``, such as ``max_flash="64K"`` or ``min_sqnr=20``."""
    wanted = limits_from(limits, "verify")
    return hold(folder, wanted, board=board, data=data, baseline=baseline, progress=progress)


def _settings(config: object, effort: str | None, bits: int | str | None) -> Config:
    """``config``, and in its place what is given beside it."""
    if config is not None and not isinstance(config, Config):
        reason = f"is a {type(config).__name__}, not a mcuq.Config"
        remedy = 'Pass effort= or bits=, or mcuq.Config(quantize={"effort": "best"})'
        raise McuqError("config", reason, remedy)
    return (config or Config()).with_quantize("compile", {"effort": effort, "bits": bits})
