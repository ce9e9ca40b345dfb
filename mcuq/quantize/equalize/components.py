"""The sets of tensors that a change of scale must treat alike.

ReLU, LeakyReLU, pooling and adds let positive factors of channels pass, so the tensors they join
share theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mcuq.ir import Graph, Node, state_ports
from mcuq.ops import has_weights, layout_of, spec
from mcuq.ops.parts import coded
from mcuq.ops.spec import Scaling
from mcuq.quantize import given
from mcuq.quantize.structure import activations


@dataclass(frozen=True)
class Component:
    """Tensors that share factors, with ``channels`` (1: only one factor for all)."""

    tensors: tuple[str, ...]
    channels: int


def components(graph: Graph, fixed_outputs: bool = False) -> tuple[Component, ...]:
    """The sets of tensors that may be rescaled; those that may not are left out."""
    root = {name: name for name in activations(graph)}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    fixed, whole = _restricted(graph)
    for node in graph.nodes:
        if spec(node.op).scaling in (Scaling.CHANNELS, Scaling.TENSOR):
            for name in node.inputs:
                if name in root:
                    root[find(name)] = find(node.output)
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    found = []
    for names in members.values():
        if fixed.intersection(names):
            continue
        depths = {graph.shape(n)[-1] for n in names}
        single = bool(whole.intersection(names)) or len(depths) > 1
        found.append(Component(tuple(names), 1 if single else depths.pop()))
    return tuple(found)


def _restricted(graph: Graph) -> tuple[set[str], set[str]]:
    """Tensors that keep their scale, and those whose channels must share one factor.

    Among the latter are those around weights that share a table: they go on sharing it.
    """
    fixed = {port.tensor for port in graph.inputs} | given.kept_activations(graph).keys()
    fixed |= {written.tensor for _, _, written in state_ports(graph)}
    kept = given.kept_weights(graph)
    whole = {port.tensor for port in graph.outputs}
    for node in graph.nodes:
        names = [n for n in (*node.inputs, node.output) if not graph.is_constant(n)]
        low, high = spec(node.op).bounds(node)
        if low not in (0.0, -math.inf) or (high != math.inf and low != 0.0):
            whole.add(node.output)
        scaling = spec(node.op).scaling
        if has_weights(node):
            if node.inputs[1] in kept or _shares(graph, node):
                fixed.update(names)
            elif coded.exponents_of(graph.data(node.inputs[1]), layout_of(node).outputs):
                whole.update(names)
        elif scaling is Scaling.ABSORBED:
            whole.add(node.inputs[0])
            fixed.update(node.outputs)
        elif scaling is Scaling.NONE:
            fixed.update(names)
        elif scaling is Scaling.TENSOR or _mixes_channels(graph, node):
            whole.update(names)
    return fixed, whole


def _shares(graph: Graph, node: Node) -> bool:
    """Whether other layers read the weights or the bias of this one too."""
    return any(len(graph.consumers(name)) > 1 for name in node.inputs[1:])


def _mixes_channels(graph: Graph, node: Node) -> bool:
    return len({graph.shape(n)[-1] for n in (*node.inputs, node.output)}) > 1


def bound_of(graph: Graph, part: Component) -> float:
    """The least upper bound that an operator sets to a tensor."""
    bounds = [math.inf]
    for node in graph.nodes:
        if node.output in part.tensors:
            bounds.append(spec(node.op).bounds(node)[1])
    return min(bounds)
