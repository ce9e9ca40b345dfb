"""The rows of recurrent layers by four, in turns of all kinds: exact, and at the stated cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, check_riscv32

from benchmarks.recurrent import network
from mcuq.kernels import VARIANTS
from mcuq.kernels.variant import Cpu

M0, M4 = Cpu("cortex-m0", frozenset()), Cpu("cortex-m4", frozenset({"thumb2", "dsp"}))
STEPS = 2
# Inputs and units: turns of 8 by fours, the rest of them, and what is left over.
SIZES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "lstm": ((3, 5), (40, 33), (64, 20)),
    "gru": ((17, 8), (31, 64)),
    "rnn": ((100, 30), (1, 41)),
}


def cases(symbol: str, sizes: Mapping[str, tuple[tuple[int, int], ...]] = SIZES) -> list[Case]:
    """Random weights; inputs at random, and all of them the least."""
    random = np.random.default_rng(0)
    made = []
    for op, pairs in sizes.items():
        kernel = next(v for v in VARIANTS if v.symbol == f"mcuq_{op}_s8_{symbol}")
        for inputs, units in pairs:
            graph = network(op, inputs, units, STEPS)
            node = next(n for n in graph.nodes if n.op == op)
            shape = graph.tensor(node.inputs[0]).shape
            for low in (127, -128):
                x = random.integers(-128, low + 1, shape).astype(np.int8)
                label = f"{op} {inputs}, {units}"
                made.append(Case(kernel, node, graph, {node.inputs[0]: x}, label=label))
    return made


def with_extremes(case: Case) -> Case:
    """The state's weights at random, many of them -128 and 127."""
    name, graph = case.node.inputs[2], case.qgraph
    random = np.random.default_rng(1)
    weights = random.integers(-160, 160, graph.tensor(name).shape).clip(-128, 127)
    tensor = replace(graph.tensor(name), data=weights.astype(np.int8))
    made = replace(case, qgraph=replace(graph, tensors={**graph.tensors, name: tensor}))
    assert made.variant.accepts(made.node, made.qgraph)
    return made


def test_weights_in_bytes_equal_on_the_host_with_sanitizers(tmp_path: Path) -> None:
    check([with_extremes(case) for case in cases("dsp")], TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["m4", "m4-clang"])
def test_weights_in_bytes_equal_in_emulation(core: str, tmp_path: Path) -> None:
    check([with_extremes(case) for case in cases("dsp")], TARGETS[core], tmp_path)


@pytest.mark.parametrize(("units", "weight", "fits"), [(257, 127, True), (258, 127, False)])
def test_sums_of_bytes_fit_their_words(units: int, weight: int, fits: bool) -> None:
    """65,535 times 2^15 is the most, of weights that are 128 more."""
    case = cases("dsp", {"rnn": ((3, units),)})[0]
    name, graph = case.node.inputs[2], case.qgraph
    data = np.full((units, units), weight, np.int8)
    tensors = {**graph.tensors, name: replace(graph.tensor(name), data=data)}
    assert case.variant.accepts(case.node, replace(graph, tensors=tensors)) == fits


@pytest.mark.emulated
def test_cost_on_cortex_m4_is_what_is_measured(tmp_path: Path) -> None:
    """Within 10 %."""
    made = cases("dsp", {"lstm": ((128, 128),), "gru": ((64, 64),)})
    for case, outcome in zip(made, check(made, TARGETS["m4"], tmp_path), strict=True):
        cost = case.variant.cost(case.node, case.qgraph, M4)
        assert cost == pytest.approx(outcome.instructions, rel=0.1), case.label


def test_block_equals_on_the_host_with_sanitizers(tmp_path: Path) -> None:
    check(cases("block"), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["v6m", "m3"])
def test_block_equals_in_emulation(core: str, tmp_path: Path) -> None:
    check(cases("block"), TARGETS[core], tmp_path)


@pytest.mark.emulated
def test_block_equals_on_riscv32(tmp_path: Path) -> None:
    check_riscv32(cases("block"), tmp_path)


@pytest.mark.emulated
def test_cost_on_cortex_m0_is_what_is_measured(tmp_path: Path) -> None:
    """Within 10 %: 3 instructions a product and less."""
    made = cases("block", {"lstm": ((64, 64),), "gru": ((64, 64),)})
    for case, outcome in zip(made, check(made, TARGETS["m0"], tmp_path), strict=True):
        cost = case.variant.cost(case.node, case.qgraph, M0)
        assert cost == pytest.approx(outcome.instructions, rel=0.1), case.label
        products = 2 * 64 * 64 * {"lstm": 4, "gru": 3}[case.node.op]
        assert outcome.instructions / STEPS < 3.7 * products
