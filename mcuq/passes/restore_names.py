"""Gives the limited tensors of a quantized model the names that the user knows them by."""

from __future__ import annotations

import re
from dataclasses import replace

from mcuq.ir import Graph, Node

SUFFIX = ".quantized"
"""What the importer adds to the name of a tensor behind a QuantizeLinear."""

_QUANTIZED = rf".+{re.escape(SUFFIX)}(_\d+)?"


def restore_names(graph: Graph) -> Graph:
    """``graph`` with ``x.quantized`` called ``x`` where its clip fused and left that name free."""
    free: dict[str, str] = {}
    taken = set(graph.tensors)
    for name in graph.tensors:
        own = name.partition(SUFFIX)[0]
        if re.fullmatch(_QUANTIZED, name) and own not in taken:
            free[name] = own
            taken.add(own)
    if not free:
        return graph

    def named(name: str) -> str:
        return free.get(name, name)

    def renamed(node: Node) -> Node:
        inputs, outputs = (tuple(map(named, names)) for names in (node.inputs, node.outputs))
        return replace(node, inputs=inputs, outputs=outputs)

    return replace(
        graph,
        outputs=tuple(replace(p, tensor=named(p.tensor)) for p in graph.outputs),
        nodes=tuple(renamed(node) for node in graph.nodes),
        tensors={named(n): replace(t, name=named(n)) for n, t in graph.tensors.items()},
        hints={named(n): hint for n, hint in graph.hints.items()},
    )
