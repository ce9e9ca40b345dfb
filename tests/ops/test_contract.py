"""What every operator of the table must keep, over the cases of ``op_cases``: the shape rule gives
the real shape, integers are as near to float as the format allows, and C equals ``run_int``.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from op_cases import CASES, Case, float_graph, integer_form, network

from mcuq.emit import emit
from mcuq.emit.facts import model_facts
from mcuq.emulate import qemu
from mcuq.firmware import image as build
from mcuq.fixed import DTYPES, RANGES, dequantize
from mcuq.flows.compile import Compiled
from mcuq.ir import Array, Graph, Node
from mcuq.kernels import VARIANTS, variants
from mcuq.kernels.variant import Cpu, Variant
from mcuq.measure import check
from mcuq.model import vectors
from mcuq.model.bundle import Bundle
from mcuq.ops import OPS, spec
from mcuq.program.lower import Program, Step
from mcuq.program.plan import plan
from mcuq.qir import QTensor
from mcuq.reference import run_float, run_int
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

ROWS = 6
EVERY_FEATURE = Cpu("any", frozenset[str]().union(*(v.needs for v in VARIANTS)))
WITHOUT_FLOAT = {op.name for op in OPS if op.run_float is None}
TWINS = [case for case in CASES if case.op not in WITHOUT_FLOAT]


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


@functools.cache
def results() -> dict[str, Array]:
    return run_int(network(), feeds())


def float_result(case: Case) -> Array:
    reals = {n: dequantize(feeds()[n], act.frac, act.zero) for n, act in case.acts.items()}
    return run_float(float_graph(case), reals, {case.name})[case.name]


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


def test_every_operator_has_cases() -> None:
    counts = Counter(case.op for case in CASES)
    assert set(counts) == {op.name for op in OPS}
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_shape_rule_gives_the_real_shape(case: Case) -> None:
    node = integer_form(case)[0].node
    shapes = [network().tensors[name].shape for name in node.inputs]
    inferred = (ROWS, *spec(node.op).infer(node, shapes)[1:])
    assert results()[case.name].shape == inferred
    if case.op not in WITHOUT_FLOAT:
        assert float_result(case).shape == inferred


@pytest.mark.parametrize("case", TWINS, ids=[case.name for case in TWINS])
def test_integers_follow_the_float_twin(case: Case) -> None:
    """Within ``case.bound`` LSB of the float result, saturated to what its bits can hold."""
    found, real = results()[case.name], float_result(case).astype(np.float64)
    if case.op != "argmax":
        real = np.clip(real * 2.0**case.frac + case.zero, *RANGES[case.kind])
    assert np.abs(found - real).max() <= case.bound


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_kernel_equals_run_int_on_the_host(compiler: str, tmp_path: Path) -> None:
    """All kernels: the variants for other cores have a portable body. Sanitized."""
    compiled = Every(EVERY_FEATURE).compiled()
    ran = {step.variant.symbol for step in compiled.program.steps}
    assert ran == {variant.symbol for variant in VARIANTS}, "a kernel has no case"
    program = build.compile_host(compiled.files, compiled.entry, tmp_path, True, compiler)
    assert first_difference(compiled, program) is None


@pytest.mark.emulated
@pytest.mark.parametrize("name", CHECKED)
def test_every_kernel_equals_run_int_on_every_core(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    compiled = Every(boards.cpu(board)).compiled()
    image = build.compile_image(compiled.files, compiled.entry, board, tmp_path, "trace")
    assert first_difference(compiled, image) is None


def first_difference(compiled: Compiled, program: build.Image | Path) -> check.Difference | None:
    graph = compiled.program.qgraph
    rows = {port.name: feeds()[port.tensor] for port in graph.inputs}
    traces = qemu.run_trace(program, vectors.to_bytes(compiled.bundle, rows), compiled.entry)
    return check.compare(compiled, "", "", traces, run_int(graph, rows)).first
