"""What attention takes between its dense layers: products of computed matrices and softmax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array
from mcuq.kernels import VARIANTS
from mcuq.kernels.variant import Cpu

CORES = {
    "m4": ("dsp", Cpu("cortex-m4", frozenset({"thumb2", "dsp", "div"}))),
    "m55": ("mve", Cpu("cortex-m55", frozenset({"thumb2", "dsp", "div", "mve"}))),
}


def values(random: np.random.Generator, *shape: int) -> Array:
    return random.integers(-128, 128, shape).astype(np.int8)


def product(
    kind: str, sizes: tuple[int, int, int], by_rows: bool, zero_a: int, zero_b: int = 0
) -> Case:
    """(rows, k) times (columns, k), or (k, columns), for a batch of two."""
    random = np.random.default_rng(sum(sizes))
    rows, columns, depth = sizes
    b_steps = (depth, 1) if by_rows else (1, columns)
    attrs = {
        "sizes": (1, 2, rows, columns, depth),
        "start_a": 0,
        "start_b": 0,
        "steps_a": (0, rows * depth, depth, 1),
        "steps_b": (0, columns * depth, *b_steps),
        "steps_out": (0, rows * columns, columns, 1),
        "zero_a": zero_a,
        "zero_b": zero_b,
        "bias": 1 << 8,
        "shift": 9,
        "out_min": -128,
        "out_max": 100,
        "shape": (1, 2, rows, columns),
    }
    inputs = {"a": values(random, 1, 2, rows, depth), "b": values(random, 1, 2, columns, depth)}
    node, qgraph = one_node("matmul", attrs, inputs, {}, (1, 2, rows, columns))
    symbol = f"mcuq_matmul_s8_{kind}"
    variant = next(v for v in VARIANTS if v.symbol == symbol)
    assert variant.accepts(node, qgraph)
    return Case(variant, node, qgraph, inputs, label=f"{symbol} {sizes} {by_rows}")


def softmax(rows: int, length: int, spread: int) -> Case:
    """Values that lie ``spread`` apart at most."""
    random = np.random.default_rng(length)
    inputs = {"x": random.integers(127 - spread, 128, (1, rows, length)).astype(np.int8)}
    table = np.round(32767 * np.exp(-np.arange(256) / 16)).astype(np.int32)
    node, qgraph = one_node("softmax", {}, inputs, {"table": table}, (1, rows, length), -128)
    variant = next(v for v in VARIANTS if v.symbol == "mcuq_softmax_s8_mve")
    return Case(variant, node, qgraph, inputs, overlap=0, label=f"softmax {rows}, {length}")


def cases(kind: str) -> list[Case]:
    made = [
        product(kind, (64, 64, 32), by_rows=True, zero_a=0),
        product(kind, (64, 32, 64), by_rows=False, zero_a=-128),
        product(kind, (7, 5, 20), by_rows=True, zero_a=3),
        product(kind, (1, 70, 7), by_rows=False, zero_a=-128),
        product(kind, (5, 9, 20), by_rows=True, zero_a=3, zero_b=-7),
        product(kind, (6, 33, 18), by_rows=False, zero_a=-128, zero_b=100),
        product(kind, (4, 20, 35), by_rows=True, zero_a=0, zero_b=-128),
    ]
    rows = [(64, 64, 255), (3, 300, 255), (5, 7, 40), (4, 1, 255), (2, 33, 0)]
    return made + ([softmax(*row) for row in rows] if kind == "mve" else [])


@pytest.mark.parametrize("kind", ["dsp", "mve"])
def test_equal_on_the_host_with_sanitizers(kind: str, tmp_path: Path) -> None:
    check(cases(kind), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["m4", "m55"])
def test_equal_in_emulation_at_the_stated_cost(core: str, tmp_path: Path) -> None:
    """Costs of the large ones are within 15 %."""
    kind, cpu = CORES[core]
    made = cases(kind)
    for case, outcome in zip(made, check(made, TARGETS[core], tmp_path), strict=True):
        if outcome.instructions > 24000:
            cost = case.variant.cost(case.node, case.qgraph, cpu)
            assert cost == pytest.approx(outcome.instructions, rel=0.15), case.label


def test_what_is_left_to_other_kernels() -> None:
    case = product("mve", (4, 4, 4), by_rows=True, zero_a=0)
    for attrs in ({"steps_b": (0, 16, 4, -1)}, {"steps_out": (0, 16, 1, 4)}):
        assert not case.variant.accepts(case.node.with_attrs(**attrs), case.qgraph)
