"""Every kernel in one program: the cases of ``op_cases``, once for each kernel a core has."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from op_cases import CASES, network

from mcuq.emit import emit
from mcuq.emit.facts import model_facts
from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, Graph, Node
from mcuq.kernels import VARIANTS, variants
from mcuq.kernels.variant import Cpu, Variant
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled
from mcuq.program.lower import Program, Step
from mcuq.program.plan import plan
from mcuq.qir import QTensor

ROWS = 6
EVERY_FEATURE = Cpu("any", frozenset[str]().union(*(v.needs for v in VARIANTS)))


@functools.cache
def feeds() -> dict[str, Array]:
    """For every input the lowest value, the highest, and random ones over the whole range."""
    chance = np.random.default_rng(0)
    made = {}
    for name, act in (item for case in CASES for item in case.acts.items()):
        low, high = RANGES[act.kind]
        values = chance.integers(low, high + 1, (ROWS, *act.shape[1:]))
        values[0], values[1] = low, high
        made[name] = values.astype(DTYPES[act.kind])
    return made


class Every:
    """All cases, each node once for every kernel that ``cpu`` has for it, named after the kernel.

    Steps are made by hand: the point is to run the kernels that ``lower`` would not choose, too.
    Each reads a copy of its own of the inputs, so that where it can, it runs in place.
    """

    def __init__(self, cpu: Cpu) -> None:
        self.cpu, self.graph = cpu, network()
        self.tensors: dict[str, QTensor] = dict(self.graph.tensors)
        self.nodes: list[tuple[Node, Variant | None]] = []
        for node in self.graph.nodes:
            if node.op == "reshape":
                self._copy(self._add(node, None, "view"), "viewed")
            for variant in variants(node.op):
                if variant.needs <= cpu.features:
                    self._add(node, variant, variant.symbol)

    def _add(self, node: Node, variant: Variant | None, by: str) -> str:
        name = f"{node.name} by {by}"
        inputs = tuple(self._copy(n, f"for {name}") for n in node.inputs)
        self.tensors[name] = replace(self.tensors[node.output], name=name)
        self.nodes.append((replace(node, name=name, inputs=inputs, outputs=(name,)), variant))
        return name

    def _copy(self, source: str, about: str) -> str:
        tensor = self.tensors[source]
        if tensor.data is not None or tensor.kind not in ("s8", "s16"):
            return source
        name = f"{source} {about}"
        self.tensors[name] = replace(tensor, name=name)
        node = Node("concat", name, (source,), (name,), {"axis": len(tensor.shape) - 1})
        self.nodes.append((node, variants("concat")[0]))
        return name

    def compiled(self) -> Compiled:
        graph = replace(self.graph, tensors=self.tensors)
        kept = [(n, v) for n, v in self.nodes if v is None or v.suits(n, graph)]
        outputs = (replace(self.graph.outputs[-1], tensor=kept[-1][0].output),)
        graph = replace(graph, outputs=outputs, nodes=tuple(node for node, _ in kept))
        steps = tuple(Step(n, v, v.lower(n, graph), 0, ()) for n, v in kept if v is not None)
        views = {n.output: n.inputs[0] for n, v in kept if v is None}
        program = Program(graph, self.cpu, "balanced", steps, views)
        made = Bundle(
            "operators", "", "", None, "balanced", Graph("", (), (), (), {}), graph, feeds()
        )
        placed = plan(program)
        files = emit(model_facts(program, placed, made.id, made.source, made.digest), "{}")
        return Compiled(made, program, placed, {}, files)
