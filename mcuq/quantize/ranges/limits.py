"""The fracs that the integer operators can join: shifts must fit their 32-bit sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mcuq.ir import Graph, Node
from mcuq.ops import has_weights, layout_of, spec
from mcuq.ops.parts import coded
from mcuq.ops.parts.weights import weight_fracs
from mcuq.qir import QTensor, frac_of
from mcuq.quantize import wide
from mcuq.quantize.structure import group_of


def limit_fracs(graph: Graph, acts: Mapping[str, QTensor]) -> dict[str, QTensor]:
    """``acts`` with fracs lowered, group by group, until every operator can join them."""
    acts = dict(acts)
    group = group_of(graph)
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            for name, ceiling in _ceilings(graph, node, acts):
                if frac_of(acts[name]) > ceiling:
                    acts.update((n, replace(acts[n], frac=ceiling)) for n in group[name])
                    changed = True
    return acts


def weight_floor(graph: Graph, node: Node) -> int:
    """The finest frac at which none of the node's weights saturates."""
    weights, axis = graph.data(node.inputs[1]), layout_of(node).outputs
    table = coded.joined(weights, axis)
    if table is None:
        return min(weight_fracs(weights, axis))
    return weight_fracs(table[0], 0)[0] - max(table[1])


def _ceilings(graph: Graph, node: Node, acts: Mapping[str, QTensor]) -> Iterator[tuple[str, int]]:
    """Tensors at ``node`` and the finest frac each may have, given those of the others."""
    kind = wide.node_kind(node, acts)
    fracs = {n: wide.frac_at(node, n, acts) for n in (*node.inputs, node.output) if n in acts}
    for name, ceiling in _joined(graph, node, fracs, kind):
        yield name, ceiling - (fracs[name] - frac_of(acts[name]))


def _joined(
    graph: Graph, node: Node, fracs: Mapping[str, int], kind: str
) -> Iterator[tuple[str, int]]:
    """As ``_ceilings``, in the fracs that ``node`` sees at its width ``kind``."""
    if has_weights(node):
        yield node.output, weight_floor(graph, node) + fracs[node.inputs[0]]
    yield from spec(node.op).frac_limits(node, fracs, kind)
