"""Where a network comes from: a file or a module, its sizes, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq import importers
from mcuq.config import Config
from mcuq.data import feeds as data
from mcuq.data.batches import Plain
from mcuq.errors import DataError
from mcuq.importers.sizes import Sizes
from mcuq.ir import Graph, Shape

if TYPE_CHECKING:
    import torch

    from mcuq.importers.imported import Imported


def sizes_of(
    shapes: Mapping[str, Shape] | None, settings: Config, calibration: Plain | None
) -> Sizes:
    """What is known of sizes that a model leaves open: given ones first, then those of the data."""
    given = {n: tuple(shape) for n, shape in {**settings.shapes, **(shapes or {})}.items()}
    if calibration is None:
        return Sizes(given)
    return Sizes(given, lambda: data.shapes_of(calibration))


def import_model(
    model: str | Path | torch.nn.Module, example: Any, sizes: Sizes | None = None
) -> tuple[Imported, str, str]:
    """What was imported, the SHA-256 of what it was made from, and the name of its source."""
    if isinstance(model, (str, Path)):
        imported = importers.read(model, sizes)
        content = hashlib.sha256()
        for file in importers.files_of(model):
            content.update(file.read_bytes())
        return imported, content.hexdigest(), str(model)
    if example is None and not hasattr(model, "graph_module"):  # of an exported program
        raise DataError("compile", "no example input", "Pass example_input with the module")
    imported = importers.read_torch(model, example)
    return imported, _digest(imported.graph), type(model).__name__


def _digest(graph: Graph) -> str:
    """The SHA-256 of a graph's nodes and constants: the same for the same network."""
    state = hashlib.sha256(repr([(n.op, n.inputs, n.outputs) for n in graph.nodes]).encode())
    for _, tensor in sorted(graph.tensors.items()):
        if tensor.data is not None:
            state.update(np.ascontiguousarray(tensor.data).tobytes())
    return state.hexdigest()
