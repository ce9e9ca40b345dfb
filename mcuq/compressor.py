"""From a model to a smaller float network: what ``mcuq compress`` and the API share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcuq import boards, compression, exporters
from mcuq.boards import Board
from mcuq.compiler import Calibration, calibration_feeds, import_model
from mcuq.compress.pipeline import Compressed, compress_graph
from mcuq.compress.request import Request
from mcuq.compression import Json, LayerGain
from mcuq.errors import McuqError
from mcuq.ir import Array, Graph
from mcuq.lower import GENERIC
from mcuq.passes import pipeline
from mcuq.progress import Progress, silent

if TYPE_CHECKING:
    import torch

PREFER = "balanced"


@dataclass(frozen=True)
class Small:
    """A compressed float network; ``layers``: what it brings each layer, if there was data."""

    whole: Graph
    done: Compressed
    layers: tuple[LayerGain, ...] = ()

    @property
    def graph(self) -> Graph:
        return self.done.graph

    @property
    def report(self) -> Json:
        """As ``report.json`` has it under ``compression``."""
        return compression.compression_facts(self.done, self.layers)

    @property
    def advice(self) -> tuple[str, ...]:
        """What the user should know, one sentence each."""
        return (*self.done.warnings, *compression.advice(self.layers))

    def write(self, path: str | Path) -> Path:
        """Write an ordinary float ONNX file."""
        return exporters.save(self.graph, path)


def compress_model(
    model: str | Path | torch.nn.Module,
    example_input: Any = None,
    calibration: Calibration | None = None,
    *,
    compress: str | Request | None = None,
    table: Mapping[str, Any] | None = None,
    recover: int | None = None,
    labels: Array | None = None,
    checkpoint: str | Path | None = None,
    board: str | Path | Board | None = None,
    progress: Progress = silent,
) -> Small:
    """A smaller network; the arguments are those of ``compiler.compile_model``.

    ``table``: the ``[compress]`` table of a configuration. ``calibration`` may be missing: then
    weights go by their size, nothing is tuned, and no kernels are weighed.
    """
    core = boards.cpu(_board(board)) if board else GENERIC
    request = compression.requested(compress, table or {}, recover)
    if request is None:
        raise McuqError("compress", "no method is given", "Pass --compress structured:0.5")
    progress("reading the model", 0.0)
    whole = pipeline.run(import_model(model, example_input)[0])
    feeds = None if calibration is None else calibration_feeds(calibration, whole)
    place = None if checkpoint is None else Path(checkpoint)
    if feeds is None:
        return Small(whole, compress_graph(whole, request, report=progress))
    before = compression.plain_program(whole, feeds, core, PREFER)
    request, useless = compression.paying(request, whole, before)
    done = compress_graph(whole, request, feeds, labels, checkpoint=place, report=progress)
    progress("weighing kernels", 0.95)
    after = compression.plain_program(done.graph, feeds, core, PREFER)
    done = replace(done, warnings=(*done.warnings, *useless))
    return Small(whole, done, compression.gains(done, before, after))


def _board(given: str | Path | Board) -> Board:
    return given if isinstance(given, Board) else boards.load(given)
