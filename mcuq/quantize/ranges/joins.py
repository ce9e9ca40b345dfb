"""Which operands of a concat have a scale of their own, and are requantized into its scale.

A concat has one scale for all that it joins, and movements keep the scale of what they move. An
operand that others read too, as it is or moved, would give them the scale of the concat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mcuq.ir import Graph, Node, Tensor, unique_name
from mcuq.ops import spec
from mcuq.quantize import given
from mcuq.quantize.ranges.scales import dictated, minmax_frac, span_of
from mcuq.quantize.state import State
from mcuq.quantize.structure import group_of, moved_together, never_negative

Known = TypeVar("Known")

FAR = 2
"""Bits that others may not lose to a concat which they do not meet at its operand itself: there a
requantization is a movement more, and one bit is what any scale is off by.
"""


def split_concats(state: State) -> State:
    """Give concat inputs that need a scale of their own for other readers a requantization."""
    rules = _Rules.of(state)
    nodes: list[Node] = []
    copies: dict[str, str] = {}
    tensors = dict(state.graph.tensors)
    for node in state.graph.nodes:
        inputs = list(node.inputs)
        for index, name in enumerate(node.inputs):
            if spec(node.op).joins and rules.requantizes(node, name):
                copy = unique_name(tensors, f"{name}.requant")
                attrs = {"low": -math.inf, "high": math.inf}
                nodes.append(Node("clip", copy, (name,), (copy,), attrs))
                tensors[copy] = Tensor(copy, state.graph.shape(name))
                copies[copy], inputs[index] = name, copy
        nodes.append(replace(node, inputs=tuple(inputs)))
    graph = replace(state.graph, nodes=tuple(nodes), tensors=tensors)
    return state.with_(
        graph=graph,
        ranges=_with(state.ranges, copies),
        seen=_with(state.seen, copies),
        sensitivity=_with(state.sensitivity, copies),
    )


def _with(known: Mapping[str, Known], copies: Mapping[str, str]) -> dict[str, Known]:
    """``known``, and of each copy what is known of its original."""
    return {**known, **{copy: known[name] for copy, name in copies.items() if name in known}}


@dataclass(frozen=True)
class _Rules:
    """``together``: by tensor, all that have its scale because they are moved from one another.
    ``fixed``: the tensors whose whole group has numbers that an operator dictates.
    """

    state: State
    never: frozenset[str]
    fixed: frozenset[str]
    together: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, state: State) -> _Rules:
        graph = state.graph
        imposed, group = set(dictated(graph)), group_of(graph)
        fixed = frozenset(n for n, members in group.items() if imposed.intersection(members))
        return cls(state, never_negative(graph), fixed, moved_together(graph))

    def requantizes(self, node: Node, name: str) -> bool:
        """Whether ``node``, a concat, reads a requantized copy of ``name``."""
        graph = self.state.graph
        if graph.is_constant(name):
            return False
        differs = given.differ(graph, name, node.output)
        if differs is not None or name in self.fixed:
            return bool(differs) or name in self.fixed
        if _is_read_by_others(graph, node, (name,)):
            return self._numbers((name,)) != self._numbers((node.output,))
        moved = self.together[name]
        bits = self._numbers(moved)[0] - self._numbers((node.output,))[0]
        return abs(bits) >= FAR and _is_read_by_others(graph, node, moved)

    def _numbers(self, names: Sequence[str]) -> tuple[int, int]:
        """The frac at which the smallest and the largest value of ``names`` just fit; the zero."""
        zero = -128 if all(name in self.never for name in names) else 0
        return minmax_frac(*span_of(self.state, names), zero), zero


def _is_read_by_others(graph: Graph, node: Node, names: Sequence[str]) -> bool:
    """Whether ``names`` are outputs, or read by others than ``node`` and what only moves them."""
    reads = [other for name in names for other in graph.consumers(name)]
    others = any(other is not node and other.output not in names for other in reads)
    return others or any(graph.is_output(name) for name in names)
