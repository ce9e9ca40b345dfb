"""QGraph -> Program: which kernel variant runs each node, and with which packed constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mcuq.errors import ModelError, brief
from mcuq.ir import Node, state_ports, unique_name
from mcuq.kernels import variants
from mcuq.kernels.variant import Call, Variant
from mcuq.ops import is_view, spec
from mcuq.program.choose import Candidate, Choice, choose
from mcuq.qir import QGraph, QTensor
from mcuq.targets.cores import GENERIC, Cpu

# "balanced" lets a layer's constants grow to a multiple of what the least or a byte a weight takes,
# or by so many bytes in all.
_GROWTH = 1.6
_SMALL = 1024
_PART_ALIGN = 4
"""Bytes: where every buffer of the arena begins, and no kernel asks more of an activation."""


@dataclass(frozen=True)
class Step:
    """One node and how it is run. ``choices``: the chosen variant, then all others by cycles."""

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


@dataclass(frozen=True, repr=False)
class Program:
    """The steps in order. ``views`` maps a tensor to the tensor whose memory it shares.

    ``offsets``: bytes from the start of that memory to a tensor that is a part of it.
    """

    qgraph: QGraph
    cpu: Cpu
    prefer: str
    steps: tuple[Step, ...]
    views: Mapping[str, str]
    offsets: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return brief("Program", self.qgraph.name, self.cpu.name, f"{len(self.steps)} steps")

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

    @property
    def flash(self) -> int:
        """Bytes of packed constants, those that steps share counted once."""
        arrays = (a for step in self.steps for call in step.calls for a in call.arrays)
        shared = {a.suffix: a.data.nbytes for a in arrays if a.shared}
        own = (
            a.data.nbytes
            for step in self.steps
            for call in step.calls
            for a in call.arrays
            if not a.shared
        )
        return sum(own) + sum(shared.values())

    @property
    def cycles(self) -> float:
        """The estimated cycles of one inference."""
        return sum(step.choices[0].cycles for step in self.steps)

    @property
    def instructions(self) -> float:
        """The estimated instructions that one inference executes."""
        return sum(step.choices[0].cost for step in self.steps)


def lower(qgraph: QGraph, cpu: Cpu = GENERIC, prefer: str = "balanced") -> Program:
    """Pick a variant of every node for ``cpu`` and pack its constants.

    ``prefer``: "speed" takes the fewest estimated cycles, "size" the least flash, code counted
    once, or up to 3 % more where that saves time; "balanced" keeps to about one byte a weight, and
    within that lets a percent of flash cost a percent of cycles, but takes a compressed format only
    where that is no slower.
    """
    qgraph = own_states(own_outputs(qgraph))
    views, offsets = _parts(qgraph)
    nodes = [node for node in qgraph.nodes if node.output not in views]
    found = [_candidates(node, qgraph, cpu) for node in nodes]
    eligible = [
        _eligible(candidates, prefer, _constants(node, qgraph))
        for node, candidates in zip(nodes, found, strict=True)
    ]
    chosen = choose(eligible, prefer)
    steps = tuple(
        _step(node, picked, candidates, qgraph)
        for node, (picked, _), candidates in zip(nodes, chosen, found, strict=True)
    )
    return Program(qgraph, cpu, prefer, steps, views, offsets)


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


def own_states(qgraph: QGraph) -> QGraph:
    """Let every state be written where it is read: at last, from a copy, where it is still needed.

    A step may write it at once if no later one reads what was there, and if its kernels, should
    they read it themselves, allow to write in place.
    """
    for state, read, written in state_ports(qgraph):
        if _overtaken(qgraph, read.tensor, written.tensor):
            node, tensor = _copy(qgraph, qgraph.tensors, written.tensor)
            ports = (
                replace(p, tensor=tensor.name) if p.name == state.written else p
                for p in qgraph.outputs
            )
            qgraph = replace(
                qgraph,
                nodes=(*qgraph.nodes, node),
                tensors={**qgraph.tensors, tensor.name: tensor},
                outputs=tuple(ports),
            )
    return qgraph


def _overtaken(qgraph: QGraph, read: str, written: str) -> bool:
    """Whether ``read`` is needed when ``written`` is made, or after that."""
    views = _views(qgraph)
    root = views.get(written, written)
    made = next(i for i, node in enumerate(qgraph.nodes) if node.output == root)
    readers = [
        i
        for i, node in enumerate(qgraph.nodes)
        if node.output not in views and read in {views.get(n, n) for n in node.inputs}
    ]
    if any(i > made for i in readers):
        return True
    node = qgraph.nodes[made]
    own = [i for i, name in enumerate(node.inputs) if views.get(name, name) == read]
    kernels = [v for v in variants(node.op) if v.suits(node, qgraph)]
    return any(v.gap(node, qgraph, i) != 0 for i in own for v in kernels)


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
    for node in filter(is_view, qgraph.nodes):
        source = node.inputs[0]
        views[node.output] = views.get(source, source)
    return views


def _parts(qgraph: QGraph) -> tuple[dict[str, str], dict[str, int]]:
    """(views, offsets): as ``_views``, and copies that are one run of a tensor in the arena.

    What lies in the caller's memory is copied: kernels ask where it is aligned, and he may move it.
    """
    plain = _views(qgraph)
    outside = {plain.get(p.tensor, p.tensor) for p in (*qgraph.inputs, *qgraph.outputs)}
    views: dict[str, str] = {}
    offsets: dict[str, int] = {}
    for node in qgraph.nodes:
        source = node.inputs[0]
        root, start = views.get(source, source), 0 if is_view(node) else _start(node, qgraph)
        if start is None or (not is_view(node) and outside & {root, node.output}):
            continue
        views[node.output] = root
        offsets[node.output] = offsets.get(source, 0) + start
    return views, {name: offset for name, offset in offsets.items() if offset}


def _start(node: Node, qgraph: QGraph) -> int | None:
    """The byte at which a copy of one run begins, if a kernel may read from there."""
    if node.op != "copy" or len(node.ints("places")) > 1 or node.ints("strides") not in ((), (1,)):
        return None
    start = node.ints("places")[0] * qgraph.tensor(node.output).item_bytes
    return None if start % _PART_ALIGN else start


def _candidates(node: Node, qgraph: QGraph, cpu: Cpu) -> tuple[Candidate, ...]:
    """The accepted variants of ``node``; ModelError if there is none."""
    found = [
        _candidate(v, node, qgraph, cpu)
        for v in variants(node.op)
        if v.needs <= cpu.features and v.suits(node, qgraph)
    ]
    if not found:
        raise ModelError(
            qgraph.name,
            f"node '{node.name}': no kernel runs {node.op} with these shapes",
            "Run 'mcuq ops' for the limits of each operator",
        )
    return tuple(found)


def _candidate(variant: Variant, node: Node, qgraph: QGraph, cpu: Cpu) -> Candidate:
    cost = variant.cost(node, qgraph, cpu)
    made = Candidate(variant, variant.lower(node, qgraph), cost, cpu.name)
    waits, slow = 0.0, cpu.multiply_cycles - 1
    if slow:
        waits += slow * variant.multiplies(node, qgraph, _macs(node, qgraph))
    if (reads := cpu.reads) is not None:
        code = variant.fetches(node, qgraph, reads.code_lines * reads.line)
        readings = variant.readings(node, qgraph, reads.data_lines * reads.line)
        waits += reads.waits(code, readings * made.flash)
    return replace(made, waits=waits)


def _macs(node: Node, qgraph: QGraph) -> int:
    shapes = [qgraph.tensors[n].shape for n in node.inputs]
    return spec(node.op).macs(node, shapes, qgraph.tensors[node.output].shape)


def _constants(node: Node, qgraph: QGraph) -> int:
    """Bytes of the constants of ``node``, stored one by one."""
    return sum(qgraph.tensors[n].bytes for n in node.inputs if qgraph.is_constant(n))


def _eligible(found: tuple[Candidate, ...], prefer: str, constants: int) -> tuple[Candidate, ...]:
    """The candidates that ``prefer`` may take."""
    if prefer != "balanced":
        return found
    whole = [c for c in found if not c.variant.compressed]
    least = max(constants, min(c.flash for c in whole))
    whole = [c for c in whole if c.flash <= max(least * _GROWTH, least + _SMALL)]
    fastest = min(c.cycles for c in whole)
    return tuple(c for c in found if c in whole or (c.variant.compressed and c.cycles <= fastest))


def _step(node: Node, chosen: Candidate, candidates: tuple[Candidate, ...], qgraph: QGraph) -> Step:
    others = sorted((c.choice for c in candidates if c is not chosen), key=lambda c: c.cycles)
    return Step(node, chosen.variant, chosen.calls, _macs(node, qgraph), (chosen.choice, *others))
