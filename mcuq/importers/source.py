"""Where a network comes from: a file or a module, its sizes, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq import importers
from mcuq.data import array_files
from mcuq.data.batches import Plain
from mcuq.errors import DataError
from mcuq.importers.sizes import Sizes
from mcuq.ir import Graph, Shape

if TYPE_CHECKING:
    import torch

    from mcuq.importers.imported import Imported


def sizes_of(
    shapes: Mapping[str, Shape] | None, told: Mapping[str, Shape], calibration: Plain | None
) -> Sizes:
    """What is known of sizes that a model leaves open: given ones first, then those that the
    configuration told, then those of the data.
    """
    given = {n: tuple(shape) for n, shape in {**told, **(shapes or {})}.items()}
    if calibration is None:
        return Sizes(given)
    return Sizes(given, lambda: array_files.shapes_of(calibration))


@dataclass(frozen=True, eq=False)
class Source:
    """A network as it was read; ``digest``: the SHA-256 of what it was made from.

    ``imported``: what it can be compared with; None for a graph that was compared before.
    """

    graph: Graph
    digest: str
    name: str
    imported: Imported | None


def import_model(
    model: str | Path | torch.nn.Module | Graph, example: Any, sizes: Sizes | None = None
) -> Source:
    """The network in a file, a module or exported program, or what ``train.finish`` returned."""
    if isinstance(model, Graph):
        return Source(model, _digest(model), model.name, None)
    if isinstance(model, (str, Path)):
        imported = importers.read(model, sizes)
        content = hashlib.sha256()
        for file in importers.files_of(model):
            content.update(file.read_bytes())
        return Source(imported.graph, content.hexdigest(), str(model), imported)
    if example is None and not hasattr(model, "graph_module"):  # of an exported program
        raise DataError("compile", "no example input", "Pass example_input with the module")
    imported = importers.read_torch(model, example)
    return Source(imported.graph, _digest(imported.graph), type(model).__name__, imported)


def _digest(graph: Graph) -> str:
    """The SHA-256 of a graph's nodes and constants: the same for the same network."""
    state = hashlib.sha256(repr([(n.op, n.inputs, n.outputs) for n in graph.nodes]).encode())
    for _, tensor in sorted(graph.tensors.items()):
        if tensor.data is not None:
            state.update(np.ascontiguousarray(tensor.data).tobytes())
    return state.hexdigest()
