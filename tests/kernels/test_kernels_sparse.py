"""The sparse kernels equal ``run_int``; a layer gets them where they pay."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, check_riscv32, one_node

from mcuq.ir import Array, Node
from mcuq.kernels import sparse
from mcuq.kernels.dsp import sparse as sparse_dsp
from mcuq.kernels.mve import sparse as sparse_mve
from mcuq.kernels.plain.compressed import dense_2of4, dense_sparse, dense_sparse4
from mcuq.kernels.variant import Cpu, Variant
from mcuq.ops import spec
from mcuq.program.lower import Program, lower

BATCH = 90
BLOCKS, _ = dense_sparse4.VARIANTS
SINGLE, _, NARROW, _ = dense_sparse.VARIANTS
DSP, _, CONV_DSP = sparse_dsp.VARIANTS
MVE, _ = sparse_mve.VARIANTS
TWO_OF_FOUR, _ = dense_2of4.VARIANTS
CORES = {
    "m0": Cpu("cortex-m0", frozenset()),
    "m3": Cpu("cortex-m3", frozenset({"thumb2", "mul_long", "div"})),
    "m4": Cpu("cortex-m4", frozenset({"thumb2", "dsp", "mul_long", "div"})),
    "m55": Cpu("cortex-m55", frozenset({"thumb2", "dsp", "mve", "mul_long", "div"})),
}
KINDS = ("any", "extremes", "least")
LIMITS = ((-128, 127), (-77, 90), (5, 5))


def values(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    choices = {"any": np.arange(-128, 128), "extremes": [-128, 127], "least": [-128]}[kind]
    return random.choice(np.array(choices, np.int8), shape)


def sparse_weights(
    random: np.random.Generator, rows: int, columns: int, pattern: str, zeros: float, kind: str
) -> Array:
    """(rows, columns) s8, about ``zeros`` of which are zero."""
    fours = -(-columns // 4)
    keep = random.random((rows, fours, 4)) >= zeros
    if pattern == "blocks":
        keep[:] = keep[..., :1]
    if pattern == "2 of 4":
        keep &= random.random(keep.shape).argsort(2) < 2
    mask = keep.reshape(rows, -1)[:, :columns]
    return values(random, (rows, columns), kind) * mask


def layer(
    variant: Variant,
    random: np.random.Generator,
    weights: Array,
    pixels: tuple[int, int] = (1, 1),
    stride: int = 1,
    kind: str = "any",
    limits: tuple[int, int] = LIMITS[0],
) -> Case:
    """A dense layer, or a 1x1 convolution of ``pixels``, with ``weights`` (out, in)."""
    out_len, in_len = weights.shape
    middle = 7 + int(np.log2(1 + np.count_nonzero(weights) / out_len) / 2)
    attrs: dict[str, object] = {
        "shift": tuple(random.integers(max(0, middle - 3), middle + 3, out_len).tolist()),
        "out_min": limits[0],
        "out_max": limits[1],
    }
    shape: tuple[int, ...] = (1, in_len)
    if variant.op == "conv2d":
        attrs |= {"strides": (stride, stride), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
        attrs |= {"groups": 1, "pad_value": 9}
        shape, weights = (1, *pixels, in_len), weights.reshape(out_len, 1, 1, in_len)
    x, bias = values(random, shape, kind), random.integers(-9000, 9000, out_len).astype(np.int32)
    out = spec(variant.op).infer(Node(variant.op, "", (), (), attrs), [shape, weights.shape])
    node, qgraph = one_node(variant.op, attrs, {"x": x}, {"w": weights, "b": bias}, out)
    label = f"{variant.symbol} {weights.shape} {pixels} {stride} {kind} {limits}"
    return Case(variant, node, qgraph, {"x": x}, label=label)


PATTERNS = {
    BLOCKS: "blocks",
    DSP: "blocks",
    CONV_DSP: "blocks",
    MVE: "blocks",
    SINGLE: "single",
    NARROW: "single",
    TWO_OF_FOUR: "2 of 4",
}


def small_shapes(variant: Variant) -> Iterator[Case]:
    """All lengths 1 to 17, with all shares of zeros, from none to all."""
    random = np.random.default_rng(3)
    zeros = itertools.cycle((0.0, 0.3, 0.5, 0.8, 0.95, 1.0))
    for index, (in_len, out_len) in enumerate(itertools.product(range(1, 18), range(1, 18))):
        kind = KINDS[index % 3]
        parts = (random, out_len, in_len, PATTERNS[variant], next(zeros), kind)
        yield layer(
            variant, random, sparse_weights(*parts), kind=kind, limits=LIMITS[index % 5 % 3]
        )


def wide_shapes(variant: Variant) -> Iterator[Case]:
    """Rows of many entries, distances that need fillers, single weights at the very end."""
    random = np.random.default_rng(4)
    for in_len, out_len, zeros in itertools.product((97, 251), (3, 300), (0.5, 0.9, 0.99)):
        weights = sparse_weights(random, out_len, in_len, PATTERNS[variant], zeros, "any")
        yield layer(variant, random, weights)
    for row, column in ((0, 0), (0, 255), (299, 0), (299, 255), (150, 3)):
        weights = np.zeros((300, 256), np.int8)
        weights[row, column] = -128
        yield layer(variant, random, weights, kind="extremes")
    weights = sparse_weights(random, 5, 2048, PATTERNS[variant], 0.8, "any")
    if variant is not NARROW:
        yield layer(variant, random, weights)


def convolutions(dense: Variant) -> Iterator[Case]:
    """1x1 over images, also in strides."""
    variant = next(v for v in sparse.VARIANTS if v.symbol == dense.symbol and v.op == "conv2d")
    random = np.random.default_rng(5)
    for index, (in_c, out_c) in enumerate(itertools.product((1, 4, 7, 16, 33), (1, 5, 24))):
        pattern, kind = PATTERNS[dense], KINDS[index % 3]
        weights = sparse_weights(random, out_c, in_c, pattern, 0.7, kind)
        pixels = (int(random.integers(1, 6)), int(random.integers(1, 6)))
        yield layer(variant, random, weights, pixels, 1 + index % 2, kind, LIMITS[index % 3])


def placed(cases: Iterator[Case]) -> list[Case]:
    """Every other case overlaps where it may, the others miss word alignment by 0 to 3 bytes."""
    result = []
    for index, case in enumerate(cases):
        overlaps = index % 2 and case.variant.gap(case.node, case.qgraph, 0) is not None
        changes = {"overlap": 0} if overlaps else {"misalign": index // 2 % 4}
        result.append(dataclasses.replace(case, **changes))
    return [case for case in result if fits(case)]


def fits(case: Case) -> bool:
    """Whether the kernel can run it at all, be it worth while or not."""
    if case.variant.symbol in (DSP.symbol, CONV_DSP.symbol):
        return sparse_dsp.representable(case.node, case.qgraph)
    return True


SETS = {"small": small_shapes, "wide": wide_shapes, "convolutions": convolutions}
KERNELS = {v.symbol.removeprefix("mcuq_").removeprefix("dense_s8_"): v for v in PATTERNS}


def run(kernel: str, target: str, folder: Path) -> None:
    cases = [case for make in SETS.values() for case in placed(make(KERNELS[kernel]))]
    for first in range(0, len(cases), BATCH):
        batch, place = cases[first : first + BATCH], folder / str(first)
        if target == "riscv32":
            check_riscv32(batch, place)
        else:
            check(batch, TARGETS[target], place)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_exact_on_the_host(kernel: str, tmp_path: Path) -> None:
    run(kernel, "host", tmp_path)


ANY = ("sparse4", "sparse", "sparse_narrow", "sparse_2of4")
RUNS = [
    *itertools.product(ANY, ("m0", "m3", "riscv32")),
    *itertools.product(("sparse4_dsp", "conv2d_s8_sparse4_dsp"), ("m4", "m4-clang", "m7", "m33")),
    ("sparse4_mve", "m55"),
]


@pytest.mark.emulated
@pytest.mark.parametrize(("kernel", "target"), RUNS)
def test_exact_on_the_core(kernel: str, target: str, tmp_path: Path) -> None:
    run(kernel, target, tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", sorted(CORES))
def test_cost_is_what_is_measured(core: str, tmp_path: Path) -> None:
    """Within 15 %, on layers of the autoencoder and a 1x1 convolution."""
    random = np.random.default_rng(6)
    cases = []
    for variant, pattern in PATTERNS.items():
        if not variant.needs <= CORES[core].features:
            continue
        for out_len, in_len in ((128, 640), (640, 128), (8, 128)):
            if variant.op == "dense" and (variant is not NARROW or in_len <= 256):
                weights = sparse_weights(random, out_len, in_len, pattern, 0.8, "any")
                cases.append(layer(variant, random, weights))
        conv = next(v for v in sparse.VARIANTS if v.symbol == variant.symbol and v.op == "conv2d")
        weights = sparse_weights(random, 64, 64, pattern, 0.8, "any")
        cases.append(layer(conv, random, weights, (25, 5)))
    for case, outcome in zip(cases, check(cases, TARGETS[core], tmp_path), strict=True):
        cost = case.variant.cost(case.node, case.qgraph, CORES[core])
        assert cost == pytest.approx(outcome.instructions, rel=0.15), case.label


def chosen(weights: Array, core: str, prefer: str) -> Program:
    case = layer(BLOCKS, np.random.default_rng(7), weights)
    return lower(case.qgraph, CORES[core], prefer)


@pytest.mark.parametrize(
    ("pattern", "zeros", "core", "prefer", "kernel"),
    [
        ("blocks", 0.8, "m0", "balanced", "sparse4"),
        ("blocks", 0.8, "m3", "balanced", "sparse4"),
        ("blocks", 0.8, "m4", "balanced", "sparse4_dsp"),
        ("blocks", 0.8, "m4", "speed", "sparse4_dsp"),
        ("single", 0.8, "m0", "balanced", "sparse"),
        # Dense is faster on these cores, sparse smaller.
        ("single", 0.8, "m4", "balanced", "dsp"),
        ("single", 0.8, "m4", "size", "sparse"),
        ("blocks", 0.8, "m55", "speed", "sparse4_mve"),
        ("single", 0.8, "m55", "balanced", "mve"),
        ("2 of 4", 0.0, "m0", "balanced", "block8"),
        ("2 of 4", 0.0, "m0", "size", "sparse_2of4"),
        ("single", 0.0, "m0", "size", "block8"),
    ],
)
def test_choice(pattern: str, zeros: float, core: str, prefer: str, kernel: str) -> None:
    random = np.random.default_rng(8)
    weights = sparse_weights(random, 64, 512, pattern, zeros, "any")
    step = chosen(weights, core, prefer).steps[0]
    assert step.variant.symbol == f"mcuq_dense_s8_{kernel}"


def test_losing_kernels_are_listed() -> None:
    random = np.random.default_rng(8)
    weights = sparse_weights(random, 64, 512, "single", 0.8, "any")
    step = chosen(weights, "m4", "balanced").steps[0]
    listed = {choice.symbol: choice for choice in step.choices}
    loser, winner = listed["mcuq_dense_s8_sparse"], step.choices[0]
    assert winner.symbol == "mcuq_dense_s8_dsp"
    assert loser.flash < 0.4 * winner.flash
    assert loser.cycles > winner.cycles


def test_ordinary_layers_have_no_sparse_candidates() -> None:
    weights = values(np.random.default_rng(9), (16, 64), "any")
    step = chosen(weights, "m0", "size").steps[0]
    assert not [choice for choice in step.choices if "sparse" in choice.symbol]


@pytest.mark.parametrize(
    ("core", "prefer"),
    [*itertools.product(["m0", "m3", "m4"], ["balanced", "speed", "size"]), ("m55", "size")],
)
def test_a_layer_of_zeros_stores_nearly_nothing(core: str, prefer: str) -> None:
    step = chosen(np.zeros((16, 64), np.int8), core, prefer).steps[0]
    assert "sparse" in step.variant.symbol
    assert step.flash <= 16 * 8


@pytest.mark.parametrize(
    ("change", "fit"),
    [({}, True), ({"groups": 2}, False), ({"pads": (1, 0, 0, 0)}, False)],
)
def test_only_plain_1x1_convolutions(change: dict[str, object], fit: bool) -> None:
    random = np.random.default_rng(10)
    weights = sparse_weights(random, 16, 32, "blocks", 0.9, "any")
    conv = dense_sparse4.VARIANTS[1]
    case = layer(conv, random, weights, (3, 3))
    assert conv.accepts(case.node.with_attrs(**change), case.qgraph) is fit


def test_weights_of_128_below_zero_take_a_second_block() -> None:
    """256 * -128 - 1 does not fit a halfword."""
    weights = np.zeros((1, 8), np.int64)
    weights[0, 4:6] = (-1, -128)
    words, kept = sparse_dsp.pack(weights, np.array([0]), np.array([7]))
    index = sparse_dsp.index_in_fours(kept)
    assert index.tolist()[:4] == [2, 0, 0, 8]
    assert words[1:].tolist() == [(256 * -127 - 1) & 0xFFFF, (256 * -1) & 0xFFFF]
