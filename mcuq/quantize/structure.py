"""What the network's structure says about numbers: signs, and tensors that share one scale."""

from __future__ import annotations

from mcuq.ir import Graph, Node
from mcuq.ops import has_weights, spec
from mcuq.ops.spec import Values
from mcuq.qir import QGraph


def activations(graph: Graph) -> tuple[str, ...]:
    """The names of inputs and of all nodes' outputs, in order."""
    inputs = dict.fromkeys(port.tensor for port in graph.inputs)
    return (*inputs, *(node.output for node in graph.nodes))


def never_negative(graph: Graph) -> frozenset[str]:
    """The tensors that cannot hold a negative value, whatever the input."""
    found = {port.tensor for port in graph.inputs if port.kind == "u8"}
    found |= {
        n for n, t in graph.tensors.items() if t.data is not None and bool((t.data >= 0).all())
    }
    for node in graph.nodes:
        if _node_never_negative(node, found):
            found.add(node.output)
    return frozenset(n for n in found if not graph.is_constant(n))


def _node_never_negative(node: Node, found: set[str]) -> bool:
    op = spec(node.op)
    low, high = op.bounds(node)
    if low >= 0 or high < 0:
        return low >= 0
    keeps = op.values >= Values.BETWEEN or op.keeps_sign(node)
    return keeps and all(name in found for name in node.inputs)


def groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The activations, those that must share one frac and zero together, in order."""
    root = {name: name for name in activations(graph)}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for node in graph.nodes:
        if spec(node.op).keeps_scale:
            for name in node.inputs:
                if name in root:
                    root[find(node.output)] = find(name)
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    return tuple(tuple(names) for names in members.values())


def group_of(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The group of each activation."""
    return {name: group for group in groups(graph) for name in group}


def narrow(graph: Graph) -> frozenset[str]:
    """The tensors that cannot have 16 bits: what writes or feeds them has only 8."""
    found = {node.output for node in graph.nodes if not spec(node.op).runs_s16}
    return frozenset(found | {p.tensor for p in graph.inputs if p.kind != "s8" or p.scale})


def weighted(graph: Graph) -> tuple[Node, ...]:
    """The nodes with constant weights and bias."""
    return tuple(node for node in graph.nodes if has_weights(node))


def logits_of(network: Graph | QGraph, name: str) -> str:
    """Where the error of output ``name`` is measured: what a final softmax or argmax reads.

    If that was narrowed to 8 bits for it, the wide tensor.
    """
    producers = {node.output: node for node in network.nodes}
    node, found = producers.get(name), name
    while node is not None and (_is_head(node) or spec(node.op).values >= Values.SAME):
        if _is_head(node) or (node.op == "requant" and found != name):
            found = node.inputs[0]
        node = producers.get(node.inputs[0])
    return found


def _is_head(node: Node) -> bool:
    return spec(node.op).classifies


def are_logits(graph: Graph, name: str) -> bool:
    """Whether classes, or their shares, are made of ``name``."""
    return any(_is_head(node) for node in graph.consumers(name))
