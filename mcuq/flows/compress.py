"""From a model to a smaller float network: what ``mcuq compress`` and the API share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcuq import exporters, importers
from mcuq.compress.pipeline import compress_graph
from mcuq.compress.request import Request
from mcuq.compress.weigh import Small, plain_program, requested, squeeze
from mcuq.config import Config
from mcuq.data.batches import Given, gathered
from mcuq.errors import McuqError
from mcuq.importers.source import import_model, sizes_of
from mcuq.ir import Array, Graph, Shape
from mcuq.passes import pipeline
from mcuq.passes.pair_states import pair_states
from mcuq.progress import Progress, usual
from mcuq.quantize.calibration import calibration_feeds
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import GENERIC

if TYPE_CHECKING:
    import torch

PREFER = "balanced"


def compress_model(
    model: str | Path | torch.nn.Module,
    example_input: Any = None,
    calibration: Given | None = None,
    *,
    compress: str | Request | None = None,
    config: Config | None = None,
    recover: int | None = None,
    labels: Array | None = None,
    checkpoint: str | Path | None = None,
    board: str | Path | Board | None = None,
    shapes: Mapping[str, Shape] | None = None,
    progress: Progress = usual,
) -> Small:
    """A smaller network; the arguments are those of ``compile_model``.

    Of ``config`` the compression and the shapes count. ``calibration`` may be missing: then
    weights go by their size, nothing is tuned, and no kernels are weighed.
    """
    settings = config or Config()
    core = boards.cpu(boards.load(board)) if board else GENERIC
    request = requested(compress, settings.compress, recover)
    if request is None:
        raise McuqError("compress", "no method is given", "Pass --compress structured:0.5")
    whole, feeds = read(model, example_input, calibration, shapes, settings, progress)
    if feeds is None:
        return Small(whole, compress_graph(whole, request, report=progress))
    squeezed = squeeze(
        whole,
        request,
        feeds,
        core,
        PREFER,
        labels=labels,
        checkpoint=checkpoint,
        progress=progress,
    )
    progress("weighing kernels", 0.95)
    return squeezed.weighed(plain_program(squeezed.done.graph, feeds, core, PREFER))


def read(
    model: str | Path | torch.nn.Module,
    example_input: Any,
    calibration: Given | None,
    shapes: Mapping[str, Shape] | None,
    settings: Config,
    progress: Progress,
) -> tuple[Graph, dict[str, Array] | None]:
    """The network after all passes, which can be written, and its calibration rows, if any."""
    importers.check_kind(model)
    calibration = None if calibration is None else gathered(calibration)
    progress("reading the model", 0.0)
    sizes = sizes_of(shapes, settings.shapes, calibration)
    source = import_model(model, example_input, sizes)
    whole = pipeline.run(pair_states(source.graph, settings.states))
    exporters.check(whole)
    feeds = None if calibration is None else calibration_feeds(calibration, whole)
    importers.check(source.imported, whole, feeds)
    return whole, feeds
