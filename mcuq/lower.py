"""QGraph -> Program: which kernel variant runs each node, and with which packed constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mcuq.errors import ModelError
from mcuq.ir import Node, unique_name
from mcuq.kernels import variants
from mcuq.kernels.sizes import kernel_flash
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.ops import spec
from mcuq.qir import QGraph, QTensor

GENERIC = Cpu("generic", frozenset())


PREFERENCES = ("balanced", "speed", "size")
# "balanced" lets a layer's constants grow to a multiple of the least, or by this many bytes in all.
_GROWTH = 1.25
_SMALL = 1024


@dataclass(frozen=True)
class Choice:
    """A variant that could run a step.

    ``cost``: estimated instructions; ``cycles``: estimated cycles on Cortex-M4, by which variants
    are chosen; ``flash``: bytes of constants.
    """

    symbol: str
    cost: float
    cycles: float
    flash: int


@dataclass(frozen=True)
class Step:
    """One node and how it is run. ``choices``: the chosen variant, then the others by cost."""

    node: Node
    variant: Variant
    calls: tuple[Call, ...]
    macs: int
    choices: tuple[Choice, ...]

    @property
    def scratch(self) -> int:
        """Bytes of scratch, the largest of its calls (they run one after the other)."""
        return max((call.scratch for call in self.calls), default=0)

    @property
    def flash(self) -> int:
        """Bytes of packed constants."""
        return sum(a.data.nbytes for call in self.calls for a in call.arrays)


@dataclass(frozen=True)
class Program:
    """The steps in order. ``views`` maps a tensor to the tensor whose memory it shares."""

    qgraph: QGraph
    cpu: Cpu
    prefer: str
    steps: tuple[Step, ...]
    views: Mapping[str, str]

    def root(self, name: str) -> str:
        """The tensor that owns the memory of ``name``."""
        return self.views.get(name, name)

    def reads(self, step: Step) -> tuple[str, ...]:
        """The owners of the activations that ``step`` reads."""
        names = (n for call in step.calls for n in call.inputs)
        roots = (self.root(n) for n in names if not self.qgraph.is_constant(n))
        return tuple(dict.fromkeys(roots))

    @property
    def macs(self) -> int:
        return sum(step.macs for step in self.steps)


def lower(qgraph: QGraph, cpu: Cpu = GENERIC, prefer: str = "balanced") -> Program:
    """Pick a variant of every node for ``cpu`` and pack its constants.

    ``prefer``: "speed" takes the fewest estimated cycles, "size" the least flash (code that another
    step needs anyway is free), "balanced" the fewest cycles among the variants that take about one
    byte a weight.
    """
    qgraph = own_outputs(qgraph)
    steps: list[Step] = []
    for node in qgraph.nodes:
        if node.op != "reshape":
            used = {step.variant.symbol for step in steps}
            steps.append(_step(node, qgraph, cpu, prefer, used))
    return Program(qgraph, cpu, prefer, tuple(steps), _views(qgraph))


def own_outputs(qgraph: QGraph) -> QGraph:
    """Give every output its own memory: one that is an input, or another output too, is copied."""
    views = _views(qgraph)
    taken = {port.tensor for port in qgraph.inputs}
    nodes, tensors, ports = list(qgraph.nodes), dict(qgraph.tensors), []
    for port in qgraph.outputs:
        root = views.get(port.tensor, port.tensor)
        if root in taken:
            node, tensor = _copy(qgraph, tensors, port.tensor)
            nodes.append(node)
            tensors[tensor.name] = tensor
            port = replace(port, tensor=tensor.name)
            root = tensor.name
        taken.add(root)
        ports.append(port)
    return replace(qgraph, nodes=tuple(nodes), tensors=tensors, outputs=tuple(ports))


def _copy(qgraph: QGraph, tensors: Mapping[str, QTensor], source: str) -> tuple[Node, QTensor]:
    """A node that makes ``source`` anew: a concat of one, or the producer again for s32."""
    name = unique_name(tensors, f"{source}_copy")
    tensor = replace(tensors[source], name=name)
    producer = next((n for n in qgraph.nodes if source in n.outputs), None)
    if tensor.kind == "s32" and producer is not None:
        return replace(producer, name=name, outputs=(name,)), tensor
    return Node("concat", name, (source,), (name,), {"axis": len(tensor.shape) - 1}), tensor


def _views(qgraph: QGraph) -> dict[str, str]:
    views: dict[str, str] = {}
    for node in qgraph.nodes:
        if node.op == "reshape":
            source = node.inputs[0]
            views[node.output] = views.get(source, source)
    return views


@dataclass(frozen=True)
class _Candidate:
    """An accepted variant of a node, packed."""

    variant: Variant
    calls: tuple[Call, ...]
    cost: float

    @property
    def flash(self) -> int:
        return sum(array.data.nbytes for call in self.calls for array in call.arrays)

    @property
    def choice(self) -> Choice:
        return Choice(self.variant.symbol, self.cost, self.cycles, self.flash)

    @property
    def cycles(self) -> float:
        return self.cost * self.variant.cycles


def _step(node: Node, qgraph: QGraph, cpu: Cpu, prefer: str, used: set[str]) -> Step:
    candidates = [
        _Candidate(v, v.lower(node, qgraph), v.cost(node, qgraph, cpu))
        for v in variants(node.op)
        if v.needs <= cpu.features and v.accepts(node, qgraph)
    ]
    if not candidates:
        raise ModelError(
            qgraph.name,
            f"node '{node.name}': no kernel runs {node.op} with these shapes",
            "Run 'mcuq ops' for the limits of each operator",
        )
    chosen = _choose(candidates, cpu, prefer, used)
    shapes = [qgraph.tensors[n].shape for n in node.inputs]
    macs = spec(node.op).macs(node, shapes, qgraph.tensors[node.output].shape)
    others = sorted((c.choice for c in candidates if c is not chosen), key=lambda c: c.cycles)
    return Step(node, chosen.variant, chosen.calls, macs, (chosen.choice, *others))


def _choose(candidates: Sequence[_Candidate], cpu: Cpu, prefer: str, used: set[str]) -> _Candidate:
    if prefer == "size":
        return min(candidates, key=lambda c: (c.flash + _code(c, cpu, used), c.cycles))
    if prefer == "balanced":
        least = min(c.flash for c in candidates)
        limit = max(least * _GROWTH, least + _SMALL)
        candidates = [c for c in candidates if c.flash <= limit]
    return min(candidates, key=lambda c: c.cycles)


def _code(candidate: _Candidate, cpu: Cpu, used: set[str]) -> int:
    symbol = candidate.variant.symbol
    return 0 if symbol in used else kernel_flash(symbol, cpu.name)


def parameters(qgraph: QGraph) -> int:
    """The number of weights and biases, tables not counted."""
    read = {n for node in qgraph.nodes if node.op != "lut" for n in node.inputs}
    constants = (t for n, t in qgraph.tensors.items() if n in read and t.data is not None)
    return sum(t.size for t in constants if t.kind in ("s8", "s32"))
