"""The conv2d and dense kernels for the DSP extension equal ``run_int``, also where they overlap."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import conv2d, conv2d_quad, conv2d_winograd, dense_parts
from mcuq.kernels.dsp import dense as dsp_dense
from mcuq.kernels.variant import Cpu, Variant
from mcuq.ops import spec
from mcuq.qir import QTensor

BATCH = 250
M4 = Cpu("cortex-m4", frozenset({"thumb2", "dsp"}))
FULL, RELU, NARROW, POINT = (-128, 127), (0, 127), (-77, 90), (5, 5)
Pads = tuple[int, int, int, int]
MATRIX, WINOGRAD = conv2d.VARIANTS[0], conv2d_winograd.VARIANTS[0]
QUAD = conv2d_quad.VARIANTS[0]


def values(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    if kind == "least":
        return np.full(shape, -128, np.int8)
    choices = [-128, 127] if kind == "extremes" else np.arange(-128, 128)
    return random.choice(np.array(choices, np.int8), shape)


def shifts(random: np.random.Generator, depth: int, count: int) -> tuple[int, ...]:
    """Shifts from ones that saturate nearly all outputs to ones that leave a few steps."""
    usual = int(np.log2(depth) / 2) + 7
    return tuple(int(v) for v in random.integers(max(0, usual - 4), usual + 5, count))


def conv(
    variant: Variant,
    random: np.random.Generator,
    image: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    kind: str = "any",
    limits: tuple[int, int] = FULL,
    pad_value: int = 0,
) -> Case:
    """A conv2d of ``image`` (height, width, channels)."""
    weights = values(random, (out_c, *kernel, image[2]), kind)
    depth = weights[0].size
    attrs = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "groups": 1,
        "pad_value": pad_value,
        "shift": shifts(random, depth, out_c),
        "out_min": limits[0],
        "out_max": limits[1],
    }
    x = values(random, (1, *image), kind)
    bias = random.integers(-6000, 6000, out_c).astype(np.int32)
    shape = spec("conv2d").infer(Node("conv2d", "", (), (), attrs), [x.shape, weights.shape])
    node, qgraph = one_node("conv2d", attrs, {"x": x}, {"w": weights, "b": bias}, shape)
    return Case(variant, node, qgraph, {"x": x}, label=f"{image}-{out_c} {attrs}")


def dense(
    random: np.random.Generator, in_len: int, out_len: int, kind: str, limits: tuple[int, int]
) -> Case:
    """A fully connected layer; every other one has biases of a zero point at -128."""
    weights = values(random, (out_len, in_len), kind)
    shift = shifts(random, in_len, out_len)
    zero = -128 * (out_len % 2)
    bias = (random.integers(-6000, 6000, out_len) + (zero << np.array(shift))).astype(np.int32)
    attrs = {"shift": shift, "out_min": limits[0], "out_max": limits[1]}
    x = values(random, (1, in_len), kind)
    node, qgraph = one_node("dense", attrs, {"x": x}, {"w": weights, "b": bias}, (1, out_len))
    return Case(dsp_dense.VARIANTS[0], node, qgraph, {"x": x}, label=f"{in_len}-{out_len} {kind}")


def fits(image: tuple[int, int, int], kernel: tuple[int, int], pads: Pads) -> bool:
    return image[0] + pads[0] + pads[2] >= kernel[0] and image[1] + pads[1] + pads[3] >= kernel[1]


def small_shapes(seed: int, count: int, variant: Variant = MATRIX) -> Iterator[Case]:
    """All channels 1 to 17 and kernels 1 to 5, with strides, pads, odd sizes and limits mixed."""
    random = np.random.default_rng(seed)
    shapes = itertools.product(range(1, 18), range(1, 6), range(1, 6))
    order = random.permutation(np.array(list(shapes)))[:count]
    for channels, kernel_h, kernel_w in order.tolist():
        kernel = (kernel_h, kernel_w)
        image = (int(random.integers(1, 10)), int(random.integers(1, 10)), channels)
        pads = tuple(int(random.integers(0, kernel[i % 2])) for i in range(4))
        if not fits(image, kernel, pads):
            continue
        case = conv(
            variant,
            random,
            image,
            int(random.integers(1, 18)),
            kernel,
            tuple(random.integers(1, 3, 2).tolist()),
            pads,
            kind=str(random.choice(["any", "any", "extremes", "least"])),
            limits=[FULL, RELU, NARROW, POINT][int(random.integers(4))],
            pad_value=int(random.choice([0, -128])),
        )
        if variant.accepts(case.node, case.qgraph):
            yield case


def rare_shapes(variant: Variant = MATRIX) -> Iterator[Case]:
    """Dilation, one pixel, one channel, wide strides, large pads, several turns of the loop."""
    random = np.random.default_rng(1)
    yield conv(variant, random, (9, 8, 6), 5, (3, 2), dilations=(2, 3), pads=(2, 1, 0, 3))
    yield conv(variant, random, (1, 1, 1), 1, (1, 1), kind="extremes")
    yield conv(variant, random, (1, 1, 300), 3, (1, 1), kind="extremes")
    yield conv(variant, random, (7, 7, 17), 2, (3, 3), strides=(3, 4), pads=(5, 6, 7, 8))
    yield conv(variant, random, (49, 10, 1), 8, (10, 4), (2, 2), (4, 1, 5, 1), pad_value=-128)
    yield conv(variant, random, (5, 9, 16), 33, (5, 5), pads=(2, 2, 2, 2), kind="extremes")
    yield conv(variant, random, (1, 40, 12), 9, (1, 7), pads=(0, 3, 0, 3))
    yield conv(variant, random, (2, 2, 4), 600, (1, 1))


def quad_shapes() -> Iterator[Case]:
    """Sizes around the turns of the loop, tails of 0 to 3 pixels, several blocks."""
    random = np.random.default_rng(11)
    for depth in (4, 8, 60, 64, 68, 128, 132, 200, 256):
        for width in (1, 3, 4, 9):
            kind = str(random.choice(["any", "extremes"]))
            yield conv(QUAD, random, (1, width, depth), 5, (1, 1), kind=kind)
    yield conv(QUAD, random, (24, 23, 16), 6, (1, 1))
    yield conv(QUAD, random, (31, 30, 3), 8, (3, 3), (2, 2), (0, 0, 1, 1))
    yield conv(QUAD, random, (9, 41, 5), 4, (3, 3), (1, 1), (1, 1, 1, 1), kind="extremes")


def brought_shapes() -> Iterator[Case]:
    """Weights of two channels that are brought to scratch, beside those that are just not."""
    random = np.random.default_rng(17)
    for depth, width in itertools.product((116, 120, 121, 124, 126, 128, 140), (12, 16, 19, 37)):
        kind = str(random.choice(["any", "extremes", "least"]))
        yield in_a_large_network(conv(QUAD, random, (1, width, depth), 5, (1, 1), kind=kind))
    for kind in ("any", "extremes"):
        pads = (1, 1, 1, 1)
        yield in_a_large_network(conv(QUAD, random, (7, 9, 15), 6, (3, 3), pads=pads, kind=kind))


def in_a_large_network(case: Case) -> Case:
    """Beside a step that holds much more memory."""
    shape = (1, 20_000)
    other = Node("softmax", "other", ("before",), ("after",), {})
    large = {n: QTensor(n, shape, "s8", 0) for n in ("before", "after")}
    tensors = {**case.qgraph.tensors, **large}
    return dataclasses.replace(
        case, qgraph=dataclasses.replace(case.qgraph, nodes=(case.node, other), tensors=tensors)
    )


def winograd_shapes(seed: int, count: int) -> Iterator[Case]:
    """Channels in fours, up to several turns of the loop, with any rows and strides down."""
    random = np.random.default_rng(seed)
    found = 0
    while found < count:
        image = (*random.integers(1, 9, 2).tolist(), 4 * int(random.integers(1, 9)))
        kernel = (int(random.integers(1, 6)), 3)
        pads = tuple(int(random.integers(0, 3)) for _ in range(4))
        if not fits(image, kernel, pads):
            continue
        case = conv(
            WINOGRAD,
            random,
            image,
            int(random.integers(1, 8)),
            kernel,
            (int(random.integers(1, 3)), 1),
            pads,
            kind=str(random.choice(["any", "any", "extremes", "least"])),
            limits=[FULL, RELU, NARROW][int(random.integers(3))],
            pad_value=int(random.choice([0, -128])),
        )
        if WINOGRAD.accepts(case.node, case.qgraph):
            found += 1
            yield case


def dense_shapes() -> Iterator[Case]:
    random = np.random.default_rng(5)
    lengths = [*range(1, 18), 31, 64, 101]
    for in_len, out_len in itertools.product(lengths, [1, 2, 3, 4, 5, 8, 9]):
        kind = str(random.choice(["any", "extremes", "least"]))
        case = dense(random, in_len, out_len, kind, [FULL, NARROW][in_len % 2])
        if case.variant.accepts(case.node, case.qgraph):
            yield case


def dense_parts_shapes() -> Iterator[Case]:
    """Up to three parts, whatever the weights are."""
    random = np.random.default_rng(6)
    lengths = [*range(1, 18), 64, 101, 504, 505, 1009]
    for in_len, out_len in itertools.product(lengths, [1, 2, 3, 4, 5, 9]):
        kind = str(random.choice(["any", "extremes", "least"]))
        case = dense(random, in_len, out_len, kind, [FULL, NARROW][in_len % 2])
        yield dataclasses.replace(case, variant=dense_parts.VARIANTS[0])


def placed(cases: Iterator[Case]) -> list[Case]:
    """Every other case overlaps, the others miss word alignment by 0 to 3 bytes."""
    result = []
    for index, case in enumerate(cases):
        overlaps = index % 2 and case.variant.gap(case.node, case.qgraph, 0) is not None
        changes = {"overlap": 0} if overlaps else {"misalign": index // 2 % 4}
        result.append(dataclasses.replace(case, **changes))
    return result


SETS = {
    "small": lambda: small_shapes(0, 425),
    "rare": rare_shapes,
    "small, quad": lambda: small_shapes(3, 425, QUAD),
    "rare, quad": lambda: rare_shapes(QUAD),
    "quad": quad_shapes,
    "brought, quad": brought_shapes,
    "winograd": lambda: winograd_shapes(0, 200),
    "dense": dense_shapes,
    "dense in parts": dense_parts_shapes,
}


@pytest.mark.parametrize("name", sorted(SETS))
def test_equal_on_the_host_with_sanitizers(name: str, tmp_path: Path) -> None:
    check(placed(SETS[name]()), TARGETS["host"], tmp_path)


RUNS = [
    *itertools.product(["m4", "m4-clang"], sorted(SETS)),
    *itertools.product(["m7", "m33"], ["rare", "rare, quad", "winograd", "dense in parts"]),
]


@pytest.mark.emulated
@pytest.mark.parametrize(("core", "name"), RUNS)
def test_equal_in_emulation(core: str, name: str, tmp_path: Path) -> None:
    cases = placed(SETS[name]())
    for first in range(0, len(cases), BATCH):
        check(cases[first : first + BATCH], TARGETS[core], tmp_path)


@pytest.mark.emulated
def test_all_small_shapes_on_cortex_m4(tmp_path: Path) -> None:
    """Every combination of channels and kernel again, with other strides, pads and values."""
    cases = placed(small_shapes(7, 425))
    for first in range(0, len(cases), BATCH):
        check(cases[first : first + BATCH], TARGETS["m4"], tmp_path)


LAYERS = {
    "first layer of kws": (MATRIX, (49, 10, 1), 64, (10, 4), (2, 2), (4, 1, 5, 1)),
    "1x1 of kws": (MATRIX, (25, 5, 64), 64, (1, 1), (1, 1), (0, 0, 0, 0)),
    "first layer of ic": (MATRIX, (32, 32, 3), 16, (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3 of ic": (WINOGRAD, (32, 32, 16), 16, (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3 of ic, stride 2": (MATRIX, (32, 32, 16), 32, (3, 3), (2, 2), (0, 0, 1, 1)),
    "1x1 of ic, stride 2": (MATRIX, (32, 32, 16), 32, (1, 1), (2, 2), (0, 0, 0, 0)),
    "first layer of vww": (MATRIX, (96, 96, 3), 8, (3, 3), (2, 2), (0, 0, 1, 1)),
    "1x1 of vww, 8 channels": (MATRIX, (48, 48, 8), 16, (1, 1), (1, 1), (0, 0, 0, 0)),
    "1x1 of vww, 128 channels": (MATRIX, (6, 6, 128), 128, (1, 1), (1, 1), (0, 0, 0, 0)),
    "first layer of kws, quad": (QUAD, (49, 10, 1), 64, (10, 4), (2, 2), (4, 1, 5, 1)),
    "first layer of vww, quad": (QUAD, (96, 96, 3), 8, (3, 3), (2, 2), (0, 0, 1, 1)),
    "1x1 of vww, 8 channels, quad": (QUAD, (48, 48, 8), 16, (1, 1), (1, 1), (0, 0, 0, 0)),
    "1x1 of vww, 128 channels, quad": (QUAD, (6, 6, 128), 128, (1, 1), (1, 1), (0, 0, 0, 0)),
    "1x1 of vww, 256 channels, quad": (QUAD, (3, 3, 256), 256, (1, 1), (1, 1), (0, 0, 0, 0)),
    "3x3 of ic, stride 2, quad": (QUAD, (32, 32, 16), 32, (3, 3), (2, 2), (0, 0, 1, 1)),
}


@pytest.mark.emulated
def test_cost_is_what_is_measured(tmp_path: Path) -> None:
    """Within 15 %, on layers of the four networks."""
    random = np.random.default_rng(2)
    cases = [conv(v, random, *shape) for v, *shape in LAYERS.values()]
    cases += [dense(random, *size, "any", FULL) for size in ((640, 128), (128, 128), (64, 12))]
    parts = [dense(random, *size, "extremes", FULL) for size in ((2048, 64), (1024, 10))]
    cases += [dataclasses.replace(c, variant=dense_parts.VARIANTS[0]) for c in parts]
    measured = check(cases, TARGETS["m4"], tmp_path)
    for case, outcome in zip(cases, measured, strict=True):
        cost = case.variant.cost(case.node, case.qgraph, M4)
        assert cost == pytest.approx(outcome.instructions, rel=0.15), case.label


@pytest.mark.parametrize(
    ("change", "variant"),
    [
        ({"groups": 2}, MATRIX),
        ({"groups": 2}, QUAD),
        ({"shift": (24,) * 4}, QUAD),
        ({"groups": 2}, WINOGRAD),
        ({"strides": (1, 2)}, WINOGRAD),
        ({"dilations": (1, 2)}, WINOGRAD),
        ({"shift": (31,) * 4}, WINOGRAD),
    ],
)
def test_what_is_left_to_other_kernels(change: dict[str, object], variant: Variant) -> None:
    case = conv(variant, np.random.default_rng(0), (4, 4, 4), 4, (3, 3), pads=(1, 1, 1, 1))
    assert variant.accepts(case.node, case.qgraph)
    assert not variant.accepts(case.node.with_attrs(**change), case.qgraph)


def test_channels_of_one_shift_are_made_together() -> None:
    shift = np.array([7, 9, 7, 8, 9])
    assert conv2d.channel_pairs(shift).tolist() == [[0, 2], [3, 1], [4, 4]]


def test_pairs_stay_close_in_wide_layers() -> None:
    pairs = conv2d.channel_pairs(np.arange(1500) % 2)
    assert np.abs(np.diff(pairs, axis=1)).max() < 1024
    assert np.abs(np.diff(pairs[:, 0])).max() < 1024
    assert sorted(pairs.ravel().tolist()) == list(range(1500))


def test_outputs_that_a_bias_saturates_are_constants(tmp_path: Path) -> None:
    """Their sums do not fit; the other rows keep their weights."""
    case = dense(np.random.default_rng(0), 8, 3, "any", FULL)
    bias = np.array([-(2**24), 0, 2**24], np.int32)
    node = case.node.with_attrs(shift=(12, 6, 14))
    tensors = {**case.qgraph.tensors}
    tensors["b"] = dataclasses.replace(tensors["b"], data=bias)
    qgraph = dataclasses.replace(case.qgraph, nodes=(node,), tensors=tensors)
    assert case.variant.accepts(node, qgraph)
    check([dataclasses.replace(case, node=node, qgraph=qgraph)], TARGETS["host"], tmp_path)


def test_sums_of_256_times_the_weights_have_to_fit() -> None:
    deep = conv(QUAD, np.random.default_rng(0), (1, 1, 600), 2, (1, 1), kind="least")
    assert not QUAD.accepts(deep.node, deep.qgraph)


def test_a_bias_that_saturates_may_be_of_any_size(tmp_path: Path) -> None:
    case = conv(QUAD, np.random.default_rng(0), (1, 5, 8), 3, (1, 1))
    bias = np.array([-(2**30), 0, 2**30], np.int32)
    tensors = {**case.qgraph.tensors}
    tensors["b"] = dataclasses.replace(tensors["b"], data=bias)
    qgraph = dataclasses.replace(case.qgraph, tensors=tensors)
    assert QUAD.accepts(case.node, qgraph)
    check([dataclasses.replace(case, qgraph=qgraph)], TARGETS["host"], tmp_path)


def test_what_two_bytes_do_not_hold_is_made_good() -> None:
    weights = np.array([[-1, -128, 3, 4], [1, -128, -5, 6]], np.int8).reshape(2, 1, 1, 4)
    words = conv2d_quad.pack_weights(weights, np.zeros(2, np.int32), np.array([7, 7]), 4)
    (order,) = conv2d.channel_pairs(np.array([15, 14])).tolist()
    assert order == [1, 0]
    assert words[3:5].view(np.int8).tolist() == [1, -128, -5, 5 + 1 - 1, -1, -128, 3, 4]
    assert words[5:].tolist() == [-32, 0, 0xFF00, 0, 0, 0]
