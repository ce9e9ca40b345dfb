"""Names what lies along the last axis of an output in memory: the classes of a classifier.

They reach the generated header as a macro, and nothing else: no number depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcuq.errors import ModelError, closest
from mcuq.ir import Graph


def label(graph: Graph, name: str, labels: Sequence[str]) -> Graph:
    """``graph`` with one label for each element of the last axis of output ``name``."""
    names = [port.name for port in graph.outputs]
    if name not in names:
        remedy = closest(name, names, f"Outputs: {', '.join(names)}")
        raise ModelError(graph.name, f"has no output '{name}'", remedy)
    port = graph.outputs[names.index(name)]
    count = graph.shape(port.tensor)[-1]
    if len(labels) != count:
        reason = f"has {count} values, but {len(labels)} labels"
        raise ModelError(f"{graph.name}: output '{name}'", reason, "Give one for each value")
    outputs = (replace(p, labels=tuple(labels)) if p is port else p for p in graph.outputs)
    return replace(graph, outputs=tuple(outputs))
