"""Makes one function of several in a row that compute one value from one other.

``x * sigmoid(x)`` or ``exp(-x * x / 2)`` are one table, whatever lies between: it takes one step
instead of several, and nothing is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mcuq.ir import Graph, Node
from mcuq.ops import chain, spec
from mcuq.ops.spec import Flow
from mcuq.passes.rewrite import is_clipped, swap_last


def join_functions(graph: Graph) -> Graph:
    """``graph`` with every chain of functions of one value as one."""
    taken: set[str] = set()
    for last in reversed(graph.nodes):
        if last.output not in taken:
            found = _chain(graph, last)
            if found:
                taken.update(node.output for node in found)
                graph = _joined(graph, found)
    return graph


def _chain(graph: Graph, last: Node) -> tuple[Node, ...]:
    """The nodes, in order, that ``last`` ends; none if they are no chain worth joining.

    In 16 bits lines between places of a table come near what is smooth, not an edge: a chain is
    smooth, or some of it has 8 bits anyway.
    """
    found = _grown(graph, last, edges=True)
    if all(spec(node.op).runs_s16 for node in found):
        found = _grown(graph, last, edges=False)
    worth = len(found) > 1 and any(_bends(graph, node) for node in found)
    return found if worth and len(found) <= chain.MOST else ()


def _grown(graph: Graph, last: Node, edges: bool) -> tuple[Node, ...]:
    """The most nodes up to ``last`` that read one value only; ``edges``: limits may be among them.

    A producer joins if nobody else reads what it makes. Where paths from one value meet again there
    are two in between, so growth goes on for a while behind the last good place.
    """
    if not _may_join(graph, last, last, edges):
        return ()
    place = {id(node): index for index, node in enumerate(graph.nodes)}
    nodes = [last]
    best: tuple[Node, ...] = (last,) if len(_sources(graph, nodes)) == 1 else ()
    while len(nodes) <= chain.MOST:
        makers = [graph.producer(name) for name in _sources(graph, nodes)]
        ready = [m for m in makers if m is not None and _joins(graph, m, nodes, edges)]
        if not ready:
            break
        nodes.append(max(ready, key=lambda node: place[id(node)]))
        if len(_sources(graph, nodes)) == 1:
            best = tuple(nodes)
    source = _sources(graph, best)
    same = [graph.shape(name) == graph.shape(last.output) for name in source]
    return tuple(sorted(best, key=lambda node: place[id(node)])) if all(same) else ()


def _joins(graph: Graph, maker: Node, nodes: Sequence[Node], edges: bool) -> bool:
    readers = {id(reader) for reader in graph.consumers(maker.output)}
    inside = readers <= {id(node) for node in nodes} and not graph.is_output(maker.output)
    return inside and maker.output not in graph.hints and _may_join(graph, maker, nodes[0], edges)


def _may_join(graph: Graph, node: Node, last: Node, edges: bool) -> bool:
    """Whether the node treats every value alike, and takes them all."""
    op = spec(node.op)
    if op.flow is not Flow.POINTWISE or op.run_float is None or not _is_step(node):
        return False
    fixed = [graph.data(name) for name in node.inputs if graph.is_constant(name)]
    alike = all(data.size == 1 for data in fixed)
    smooth = edges or not (is_clipped(node) or node.op == "clip")
    takes_all = not op.refuses(node, (-1.0, 1.0))
    return alike and smooth and takes_all and graph.shape(node.output) == graph.shape(last.output)


def _is_step(node: Node) -> bool:
    """Whether it may be a step of a chain: a chain itself is none."""
    return "steps" not in node.attrs


def _bends(graph: Graph, node: Node) -> bool:
    """Whether the node is more than a factor, a summand or a limit."""
    return node.op != "clip" and not any(graph.is_constant(name) for name in node.inputs)


def _sources(graph: Graph, nodes: Collection[Node]) -> list[str]:
    """What the nodes read and do not make, constants apart."""
    made = {node.output for node in nodes}
    read = dict.fromkeys(name for node in nodes for name in node.inputs)
    return [name for name in read if name not in made and not graph.is_constant(name)]


def _joined(graph: Graph, nodes: Sequence[Node]) -> Graph:
    (source,) = _sources(graph, nodes)
    places = {source: "0", **{node.output: str(i) for i, node in enumerate(nodes, 1)}}

    def read(name: str) -> str | float:
        return places[name] if name in places else float(graph.data(name).reshape(()))

    steps = [chain.Step(n.op, tuple(map(read, n.inputs)), n.attrs).written for n in nodes]
    smooth = all(spec(node.op).runs_s16 for node in nodes)
    op, last = "smooth_chain" if smooth else "chain", nodes[-1]
    one = Node(op, last.name, (source,), last.outputs, {"steps": tuple(steps)})
    return swap_last(graph, nodes, [one])
