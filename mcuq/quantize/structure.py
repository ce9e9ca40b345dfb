"""What the network's structure says about numbers: signs, and tensors that share one scale."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Graph, Node, state_ports
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
    return _united(graph, [node for node in graph.nodes if spec(node.op).keeps_scale])


def _united(graph: Graph, nodes: Sequence[Node]) -> tuple[tuple[str, ...], ...]:
    """The activations, those that ``nodes`` or a state connect together, in order."""
    root = {name: name for name in activations(graph)}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for node in nodes:
        for name in node.inputs:
            if name in root:
                root[find(node.output)] = find(name)
    for _, read, written in state_ports(graph):
        root[find(written.tensor)] = find(read.tensor)
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    return tuple(tuple(names) for names in members.values())


def moved_together(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By activation: it, and all that are values of it, or it of them, only moved."""
    moves = [n for n in graph.nodes if spec(n.op).keeps_scale and not spec(n.op).joins]
    return {name: names for names in _united(graph, moves) for name in names}


def group_of(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The group of each activation."""
    return {name: group for group in groups(graph) for name in group}


def narrow(graph: Graph) -> frozenset[str]:
    """The tensors that do not have 16 bits: what writes or feeds them has only 8, or they are the
    shares of classes that the network ends with.
    """
    found = {node.output for node in graph.nodes if not spec(node.op).runs_s16}
    found |= {name for port in graph.outputs if (name := _shares(graph, port.tensor))}
    return frozenset(found | {p.tensor for p in graph.inputs if p.kind != "s8" or p.scale})


def _shares(graph: Graph, name: str) -> str:
    """The shares of classes that are the values of ``name``, "" if these are no such."""
    node = graph.producer(name)
    while node is not None and not _is_head(node) and spec(node.op).values >= Values.SAME:
        node = graph.producer(node.inputs[0])
    return node.output if node is not None and _is_head(node) else ""


def fed_back(graph: Graph) -> frozenset[str]:
    """The states that are computed from themselves, not only moved on: errors in them add up.

    With what lies on the way there, back to layers and what these write.
    """
    found: set[str] = set()
    for _, read, written in state_ports(graph):
        moved, computed = _followers(graph, read.tensor)
        if written.tensor in computed:
            found.update((read.tensor, *_way(graph, written.tensor, moved | computed)))
    return frozenset(found)


def _followers(graph: Graph, name: str) -> tuple[set[str], set[str]]:
    """What is only made of values of ``name`` and others, moved, and what is computed from it."""
    moved, computed = {name}, set[str]()
    for node in graph.nodes:
        moves = spec(node.op).values >= Values.PICKED or spec(node.op).joins
        if computed.intersection(node.inputs) or (moved.intersection(node.inputs) and not moves):
            computed.add(node.output)
        elif moved.intersection(node.inputs):
            moved.add(node.output)
    return moved, computed


def _way(graph: Graph, name: str, within: set[str]) -> set[str]:
    """The tensors of ``within`` from which ``name`` is made without a layer in between."""
    found, waiting = set[str](), [name]
    while waiting:
        tensor = waiting.pop()
        node = graph.producer(tensor)
        if tensor in found or tensor not in within:
            continue
        found.add(tensor)
        if node is not None and not has_weights(node):
            reads = [n for n in node.inputs if not graph.is_constant(n)]
            waiting += reads
            found.update(n for n in reads if _is_layer(graph, n))
    return found


def _is_layer(graph: Graph, name: str) -> bool:
    """Whether a layer writes ``name``: its sums can be wide as they are."""
    node = graph.producer(name)
    return node is not None and has_weights(node)


def weighted(graph: Graph) -> tuple[Node, ...]:
    """The nodes with constant weights and bias."""
    return tuple(node for node in graph.nodes if has_weights(node))


def recurrent(graph: Graph) -> tuple[Node, ...]:
    """The nodes with matrices of rows that meet vectors inside of them."""
    return tuple(node for node in graph.nodes if spec(node.op).sections is not None)


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
