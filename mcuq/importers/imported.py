"""An imported network together with what it was made from, so that both can be run and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcuq.importers.nodes.builder import Value
from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.standard.resolve import Flat
from mcuq.ir import Array, Graph, Shape

Values = dict[str, Array]
Source = Callable[[Mapping[str, Array]], Values]
"""From rows by input name, in the user's order, to values by the model's own names."""


@dataclass(frozen=True, eq=False)
class Imported:
    """``graph`` as the importer made it of ``model``, before any pass.

    ``whole``: the model's nodes, resolved for inputs of ``shapes``, before one row was cut from a
    batch of ``rows`` (1: the model has none, or leaves it open).
    ``values``: by the model's own name, which tensor holds a value (of reals), and where its
    elements lie in memory. ``fused``: activations were recognised by their shape, to 1e-4.
    ``torch``: runs what ``model`` was exported from, a module or a program; the outputs have the
    names of ``model``.
    """

    graph: Graph
    model: OnnxModel
    whole: Flat
    shapes: Mapping[str, Shape]
    rows: int
    values: Mapping[str, Value]
    fused: bool = False
    torch: Source | None = None
