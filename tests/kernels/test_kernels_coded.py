"""The kernels for weights of few distinct values equal ``run_int``: on the host under ASan and
UBSan, on M0, M3, M4, M55 and riscv32. Their tables pay only in larger layers; here all sizes run.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coded_layers import FULL, LEVELS, network
from kernel_harness import TARGETS, Case, check, check_riscv32

from mcuq.ir import Array, Node
from mcuq.kernels import coded, variants
from mcuq.kernels.block.conv2d_coded import group_codes
from mcuq.kernels.formats import codes
from mcuq.kernels.variant import Cpu, Variant
from mcuq.qir import QGraph

BATCH = 90
NARROW = (-77, 90)
CORES = {
    "m0": Cpu("cortex-m0", frozenset()),
    "m3": Cpu("cortex-m3", frozenset({"thumb2"})),
    "m4": Cpu("cortex-m4", frozenset({"thumb2", "dsp"})),
    "m55": Cpu("cortex-m55", frozenset({"thumb2", "dsp", "mve"})),
}
KERNELS = {"m0": "", "m3": "", "riscv32": "", "m4": "dsp", "m55": "mve"}  # what is run on a core


@pytest.fixture(name="random")
def _random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(name="any_size")
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "LEAST", 1)


def window(
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, ...] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    pad_value: int = -128,
) -> dict[str, Any]:
    found = {"strides": strides, "pads": pads, "dilations": dilations, "pad_value": pad_value}
    return {**found, "groups": 1}


Layers = Iterator[tuple[Node, QGraph, Array]]


def conv_layers(random: np.random.Generator) -> Layers:
    """Kernels 1-5 x 1-5, strides 1-2 x 1-2, channels 1-17; then 3 wide in fours, and rare ones."""
    kinds, channels = itertools.cycle(LEVELS), itertools.cycle(range(1, 18))
    sizes = itertools.product(range(1, 6), range(1, 6), (1, 2), (1, 2))
    for index, (kernel_h, kernel_w, stride_h, stride_w) in enumerate(sizes):
        pads = tuple(int(p) for p in random.integers(0, (kernel_h, kernel_w) * 2))
        least = np.maximum(1, np.array([kernel_h, kernel_w]) - pads[:2])
        height, width = (int(n) for n in least + random.integers(0, 7, 2))
        in_c, out_c = next(channels), int(random.integers(1, 18))
        attrs = window((stride_h, stride_w), pads, pad_value=(0, -128, 77)[index % 3])
        limits = NARROW if index % 5 == 0 else FULL
        weights = (out_c, kernel_h, kernel_w, in_c)
        yield network(
            random, "conv2d", (1, height, width, in_c), weights, next(kinds), limits, **attrs
        )
    for in_c, out_c, kernel_h in itertools.product((4, 8, 12, 52), (1, 2, 5, 8), (1, 3)):
        attrs = window(pads=(1, 1, 1, 1))
        image, weights = (1, 6, 2 * (out_c % 4) + 2, in_c), (out_c, kernel_h, 3, in_c)
        yield network(random, "conv2d", image, weights, next(kinds), **attrs)
    yield network(random, "conv2d", (1, 9, 11, 3), (4, 3, 3, 3), "powers",
                  **window((1, 2), (2, 3, 2, 3), (2, 3), 7))  # fmt: skip
    yield network(random, "conv2d", (1, 1, 1, 300), (3, 1, 1, 300), "sixteen", **window())
    yield network(random, "conv2d", (1, 2, 3, 4), (70, 2, 3, 4), "int4", **window())
    yield network(random, "conv2d", (1, 3, 5, 80), (67, 3, 3, 80), "four",
                  **window(pads=(1, 1, 1, 1)))  # fmt: skip


def dense_layers(random: np.random.Generator) -> Layers:
    kinds = itertools.cycle(LEVELS)
    for index, (in_len, out_len) in enumerate(itertools.product(range(1, 18), range(1, 18))):
        limits = NARROW if index % 5 == 0 else FULL
        yield network(random, "dense", (1, in_len), (out_len, in_len), next(kinds), limits)
    for kind in ("sixteen", "four"):
        yield network(random, "dense", (1, 641), (24, 641), kind)


def cases(layers: Layers, kernels: str | None) -> list[Case]:
    """Every layer by the kernels of a kind of core, or by all; overlaps and alignments in turn."""
    found: list[Case] = []
    for node, qgraph, x in layers:
        for variant in coded.VARIANTS:
            if variant.op != node.op or not variant.accepts(node, qgraph):
                continue
            if kernels is not None and "".join(variant.needs) != kernels:
                continue
            index = len(found)
            overlaps = index % 2 == 1 and variant.gap(node, qgraph, 0) is not None
            label = f"{variant.symbol} {node.attrs} {x.shape} {qgraph.data('w').shape}"
            found.append(
                Case(variant, node, qgraph, {"x": x}, None, 0 if overlaps else None,
                     0 if overlaps else index // 2 % 4, label)
            )  # fmt: skip
    return found


MAKERS = (conv_layers, dense_layers)
Maker = Callable[[np.random.Generator], Layers]


@pytest.mark.slow
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_the_host(make: Maker, random: np.random.Generator, tmp_path: Path) -> None:
    made = cases(make(random), None)
    for first in range(0, len(made), 3 * BATCH):
        check(made[first : first + 3 * BATCH], TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("target", sorted(KERNELS))
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_the_core(
    make: Maker, target: str, random: np.random.Generator, tmp_path: Path
) -> None:
    made = cases(make(random), KERNELS[target])
    assert made
    for first in range(0, len(made), BATCH):
        batch, place = made[first : first + BATCH], tmp_path / str(first)
        if target == "riscv32":
            check_riscv32(batch, place)
        else:
            check(batch, TARGETS[target], place)


SAME = window(pads=(1, 1, 1, 1))
REAL: tuple[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ("conv2d", (1, 16, 16, 16), (16, 3, 3, 16), SAME),
    ("conv2d", (1, 16, 16, 16), (32, 3, 3, 16), window((2, 2), (0, 0, 1, 1))),
    ("conv2d", (1, 8, 8, 64), (64, 3, 3, 64), SAME),
    ("conv2d", (1, 6, 6, 128), (128, 1, 1, 128), window()),
    ("dense", (1, 640), (128, 640), {}),
    ("dense", (1, 128), (128, 128), {}),
)


@pytest.mark.emulated
@pytest.mark.parametrize("core", sorted(CORES))
def test_cost_is_what_is_measured(core: str, random: np.random.Generator, tmp_path: Path) -> None:
    """Within 15 %, on layers of the size of real ones."""
    layers = [
        network(random, op, image, weights, kind, **attrs)
        for op, image, weights, attrs in REAL
        for kind in ("powers", "four", "int4")
    ]
    made = cases(iter(layers), KERNELS[core])
    for case, outcome in zip(made, check(made, TARGETS[core], tmp_path), strict=True):
        cost = case.variant.cost(case.node, case.qgraph, CORES[core])
        assert cost == pytest.approx(outcome.instructions, rel=0.15), case.label


def accepted(node: Node, qgraph: QGraph) -> set[str]:
    return {v.symbol for v in coded.VARIANTS if v.op == node.op and v.accepts(node, qgraph)}


def with_weights(qgraph: QGraph, weights: Array) -> QGraph:
    tensors = {**qgraph.tensors, "w": dataclasses.replace(qgraph.tensors["w"], data=weights)}
    return dataclasses.replace(qgraph, tensors=tensors)


LINEAR = "mcuq_dense_s8_coded4_dsp_linear"


def dense_kernels(bits: int) -> set[str]:
    kernels = ("sums", "dsp", "mve", "pairs") if bits == 4 else ("sums", "dsp", "mve")
    return {f"mcuq_dense_s8_coded{bits}_{kernel}" for kernel in kernels}


@pytest.mark.parametrize(
    ("count", "kernels"),
    [(1, dense_kernels(2)), (4, dense_kernels(2)), (5, dense_kernels(4)), (16, dense_kernels(4)),
     (17, set())],
)  # fmt: skip
def test_the_number_of_values_decides(
    count: int, kernels: set[str], random: np.random.Generator
) -> None:
    node, qgraph, _ = network(random, "dense", (1, 34), (8, 34), "int4")
    squares = np.arange(count, dtype=np.int8) ** 2 // 3 + np.arange(count, dtype=np.int8)
    assert accepted(node, with_weights(qgraph, np.resize(squares, (8, 34)))) - {LINEAR} == kernels


@pytest.mark.parametrize(
    ("values", "linear"),
    [((0,), True), ((-128, 127), True), (range(-8, 8), True), ((-120, -64, 0), True),
     ((0, 1, 16), False), (range(-8, 9), False), (range(0, 96, 6), True),
     (range(0, 102, 6), False)],
)  # fmt: skip
def test_a_linear_scale_has_16_steps(
    values: tuple[int, ...], linear: bool, random: np.random.Generator
) -> None:
    node, qgraph, _ = network(random, "dense", (1, 34), (8, 34), "int4")
    weights = np.resize(np.array(values, np.int8), (8, 34))
    assert (LINEAR in accepted(node, with_weights(qgraph, weights))) == linear


def test_small_layers_keep_whole_bytes(random: np.random.Generator) -> None:
    node, qgraph, _ = network(random, "dense", (1, 7), (9, 7), "four")
    assert accepted(node, qgraph) == set()


def test_sums_of_16_bits_do_not_take_the_least_weight(random: np.random.Generator) -> None:
    node, qgraph, _ = network(random, "dense", (1, 34), (8, 34), "extremes")
    left = {f"mcuq_dense_s8_coded4_{kernel}" for kernel in ("dsp", "mve")}
    assert accepted(node, qgraph) == left


@pytest.mark.parametrize("kind", sorted(LEVELS))
def test_groups_keep_to_the_values(kind: str, random: np.random.Generator) -> None:
    rows = random.choice(np.array(LEVELS[kind], np.int8), (7, 43))
    found = group_codes(rows)
    assert found is not None
    kept, extra = found
    assert set(np.unique(kept)) <= set(np.unique(rows))
    assert np.abs(kept[:, :40].astype(np.int32)).reshape(-1, 4).sum(1).max() <= 255
    whole = kept.astype(np.int32)
    for row, pairs in enumerate(extra):
        for tap, weight in pairs:
            assert abs(weight) <= 127
            whole[row, tap] += weight
    np.testing.assert_array_equal(whole[:, :43], rows)


def test_groups_without_a_small_value_are_refused() -> None:
    assert group_codes(np.array([[100, -100, 90, 100]], np.int8)) is None


def flash(variant: Variant, node: Node, qgraph: QGraph) -> int:
    return sum(array.data.nbytes for call in variant.lower(node, qgraph) for array in call.arrays)


@pytest.mark.parametrize(("kind", "share"), [("powers", 0.55), ("four", 0.30)])
@pytest.mark.parametrize("layer", range(2, len(REAL)))
def test_flash_of_a_real_layer(
    kind: str, share: float, layer: int, random: np.random.Generator
) -> None:
    """Biases, shifts and the table included, of the least that whole bytes take."""
    op, image, weights, attrs = REAL[layer]
    node, qgraph, _ = network(random, op, image, weights, kind, **attrs)
    dense = {v.symbol: v for v in variants(op) if v not in coded.VARIANTS}
    plain = flash(dense[f"mcuq_{op}_s8"], node, qgraph)
    for variant in coded.VARIANTS:
        if variant.op == op and variant.accepts(node, qgraph) and "_block" not in variant.symbol:
            assert flash(variant, node, qgraph) <= share * plain, variant.symbol
