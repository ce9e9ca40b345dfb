"""From a float Graph to files that other tools read."""

from __future__ import annotations

from pathlib import Path

from mcuq.files import write_file
from mcuq.ir import Graph

__all__ = ["check", "save"]


def check(graph: Graph) -> None:
    """ModelError for a graph with an operator that cannot be written: known before any work."""
    from mcuq.exporters import operators

    for node in graph.nodes:
        operators.check(graph, node)


def save(graph: Graph, path: str | Path) -> Path:
    """Write ``graph`` as an ONNX file: float32, channels first, the user's own inputs and outputs.

    Read back by ``importers.load`` it computes the same. ModelError for a graph whose inputs were
    described as bytes, or whose data lies in an order that no transposition gives.
    """
    from mcuq.exporters import onnx_file

    target = Path(path)
    write_file(target, onnx_file.to_bytes(graph))
    return target
