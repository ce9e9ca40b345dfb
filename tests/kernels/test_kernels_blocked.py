"""The blocked kernels equal ``run_int``: on the host under ASan and UBSan, on M0 and on M3."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, check_riscv32, one_node

from mcuq.ir import Array, Node
from mcuq.kernels.block import conv2d, dense, depthwise_conv2d
from mcuq.kernels.block.conv2d import extra_pairs, group_weights
from mcuq.kernels.variant import Variant
from mcuq.ops import spec

(CONV2D,) = conv2d.VARIANTS
DEPTHWISE_PAIR, DEPTHWISE_3X3, DEPTHWISE = depthwise_conv2d.VARIANTS
DENSE_4, DENSE_8 = dense.VARIANTS
BATCH = 60
FULL = (-128, 127)
NARROW = (-77, 90)


@pytest.fixture(name="random")
def _random() -> np.random.Generator:
    return np.random.default_rng(11)


def signed(random: np.random.Generator, shape: tuple[int, ...], kind: str = "any") -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    if kind == "least":
        return np.full(shape, -128, np.int8)
    if kind == "largest":
        return random.choice(np.array([-128, -127, 127], np.int8), shape, p=(0.02, 0.49, 0.49))
    if kind == "extremes":
        return random.choice(np.array([-128, 127], np.int8), shape)
    return random.integers(-128, 128, shape, dtype=np.int8)


def case(
    variant: Variant,
    random: np.random.Generator,
    image: tuple[int, ...],
    weights: tuple[int, ...],
    kind: str = "any",
    limits: tuple[int, int] = FULL,
    overlap: int | None = None,
    misalign: int = 0,
    **attrs: object,
) -> Case:
    """One case of random values; shifts fit the accumulators, so that few outputs saturate."""
    op, out_c = variant.op, weights[-1] if variant.op == "depthwise_conv2d" else weights[0]
    taps = int(np.prod(weights)) // out_c
    x, w = signed(random, image, kind), signed(random, weights, kind)
    bias = random.integers(-20000, 20000, out_c, dtype=np.int32)
    middle = 7 + int(np.log2(taps) / 2)
    shift = tuple(int(s) for s in random.integers(middle - 1, middle + 2, out_c))
    numbers = {"shift": shift, "out_min": limits[0], "out_max": limits[1], **attrs}
    probe = Node(op, op, ("x", "w", "b"), ("y",), numbers)
    out_shape = spec(op).infer(probe, [x.shape, w.shape, bias.shape])
    node, qgraph = one_node(op, numbers, {"x": x}, {"w": w, "b": bias}, out_shape)
    label = f"{image} {weights} {kind} {numbers}"
    assert variant.accepts(node, qgraph), label
    return Case(variant, node, qgraph, {"x": x}, overlap=overlap, misalign=misalign, label=label)


def window(
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    pad_value: int = -128,
) -> dict[str, object]:
    return {"strides": strides, "pads": pads, "dilations": dilations, "pad_value": pad_value}


def windows(
    random: np.random.Generator, kernels: tuple[int, ...] = (1, 2, 3, 4, 5)
) -> Iterator[tuple[tuple[int, int], tuple[int, int], dict[str, object]]]:
    """All combinations of kernels and strides: (image size, kernel, attributes)."""
    strides = (1, 2)
    for combination in itertools.product(kernels, kernels, strides, strides):
        kernel_h, kernel_w, stride_h, stride_w = combination
        pads = tuple(int(p) for p in random.integers(0, (kernel_h, kernel_w) * 2))
        least = np.maximum(1, np.array([kernel_h, kernel_w]) - pads[:2])
        size = least + random.integers(0, 7, 2)
        value = int(random.integers(-128, 128))
        attrs = window((stride_h, stride_w), pads, pad_value=value)
        yield (int(size[0]), int(size[1])), (kernel_h, kernel_w), attrs


def conv_cases(random: np.random.Generator) -> Iterator[Case]:
    make = CONV2D
    channels = itertools.cycle(range(1, 18))
    for index, (size, kernel, attrs) in enumerate(windows(random)):
        in_c, out_c = next(channels), int(random.integers(1, 18))
        kind = ("any", "extremes", "least")[index % 3]
        overlap = 0 if index % 2 else None
        yield case(
            make, random, (1, *size, in_c), (out_c, *kernel, in_c), kind,
            NARROW if index % 5 == 0 else FULL, overlap, 0 if overlap == 0 else index % 4,
            groups=1, **attrs,
        )  # fmt: skip
    for in_c, kernel, stride in itertools.product(range(1, 18), range(1, 6), (1, 2)):
        pads = tuple(int(p) for p in random.integers(0, kernel, 4))
        size = tuple(int(n) for n in random.integers(kernel, kernel + 3, 2))
        yield case(
            CONV2D, random, (1, *size, in_c), (int(random.integers(1, 7)), kernel, kernel, in_c),
            overlap=(None, 0)[in_c % 2], groups=1, **window((stride, stride), pads),
        )  # fmt: skip
    dilated = window((1, 2), (2, 3, 2, 3), (2, 3), 7)
    yield case(make, random, (1, 9, 11, 3), (4, 3, 3, 3), groups=1, **dilated)
    yield case(make, random, (1, 9, 11, 3), (4, 3, 1, 3), groups=1, **dilated)
    yield case(make, random, (1, 1, 1, 300), (2, 1, 1, 300), "extremes", groups=1, **window())


def depthwise_cases(random: np.random.Generator) -> Iterator[Case]:
    channels = itertools.cycle(range(1, 18))
    for index, (size, kernel, attrs) in enumerate(windows(random)):
        in_c, multiplier = next(channels), 1 if index % 3 else 2
        overlap = 0 if index % 2 else None
        yield case(
            DEPTHWISE, random, (1, *size, in_c), (*kernel, in_c * multiplier),
            ("any", "extremes", "least")[index % 3], NARROW if index % 5 == 0 else FULL, overlap,
            0 if overlap == 0 else index % 4, **attrs,
        )  # fmt: skip
    yield case(
        DEPTHWISE, random, (1, 40, 1, 130), (15, 1, 130), overlap=0,
        **window((2, 1), (7, 0, 7, 0)),
    )  # fmt: skip
    yield case(DEPTHWISE, random, (1, 9, 11, 3), (3, 3, 6), **window((1, 2), (2, 3, 2, 3), (2, 3)))


def depthwise_3x3_cases(random: np.random.Generator) -> Iterator[Case]:
    channels = itertools.cycle(range(1, 18))
    for height, width, stride_h, stride_w in itertools.product(
        (1, 2, 5, 8), (1, 2, 3, 4, 5, 9), (1, 2, 3), (1, 2)
    ):
        pads = (1, 1, 1, 1) if min(height, width) < 3 else tuple(random.integers(0, 3, 4).tolist())
        index, in_c = height + width + stride_h, next(channels)
        yield case(
            DEPTHWISE_3X3, random, (1, height, width, in_c), (3, 3, in_c),
            ("any", "extremes", "least")[index % 3], NARROW if index % 5 == 0 else FULL,
            0 if index % 2 else None, **window((stride_h, stride_w), pads, pad_value=index),
        )  # fmt: skip
    for overlap in (None, 0):
        yield case(
            DEPTHWISE_3X3, random, (1, 23, 14, 33), (3, 3, 33), overlap=overlap,
            **window((1, 1), (1, 1, 1, 1)),
        )  # fmt: skip
        yield case(
            DEPTHWISE_3X3, random, (1, 23, 14, 33), (3, 3, 33), overlap=overlap,
            **window((2, 2), (2, 1, 2, 1), (2, 1)),
        )  # fmt: skip


def depthwise_pair_cases(random: np.random.Generator) -> Iterator[Case]:
    channels = itertools.cycle(range(1, 18))
    for height, width, stride_h, stride_w in itertools.product(
        (1, 2, 3, 4, 5, 8), (1, 2, 3, 4, 9), (1, 2, 3), (1, 2)
    ):
        pads = (1, 1, 1, 1) if min(height, width) < 3 else tuple(random.integers(0, 3, 4).tolist())
        index, in_c = height + width + stride_h, next(channels)
        attrs = window((stride_h, stride_w), pads, pad_value=-index)
        yield case(
            DEPTHWISE_PAIR, random, (1, height, width, in_c), (3, 3, in_c), "any",
            NARROW if index % 5 == 0 else FULL, 0 if index % 2 else None,
            0 if index % 2 else index % 4, **attrs,
        )  # fmt: skip
    for overlap, kind in itertools.product((None, 0), ("any", "largest")):
        yield case(
            DEPTHWISE_PAIR, random, (1, 23, 14, 33), (3, 3, 33), kind, overlap=overlap,
            **window((1, 1), (1, 1, 1, 1)),
        )  # fmt: skip
        yield case(
            DEPTHWISE_PAIR, random, (1, 23, 14, 33), (3, 3, 33), kind, overlap=overlap,
            **window((2, 2), (2, 1, 2, 1), (2, 1)),
        )  # fmt: skip


def dense_cases(random: np.random.Generator) -> Iterator[Case]:
    for index, (in_len, out_len) in enumerate(itertools.product(range(1, 18), range(1, 18))):
        variant = (DENSE_4, DENSE_8)[index % 2]
        kind = ("any", "extremes", "least")[index % 3]
        limits = NARROW if index % 5 == 0 else FULL
        yield case(variant, random, (1, in_len), (out_len, in_len), kind, limits, None, index % 4)
    yield case(DENSE_8, random, (1, 641), (24, 641), "extremes")


@pytest.mark.parametrize("kind", ["any", "extremes", "least"])
def test_groups_and_extras_add_up_to_the_weights(kind: str, random: np.random.Generator) -> None:
    rows = signed(random, (5, 1003), kind)
    kept, extra = group_weights(rows)
    assert kept.shape == (5, 1004)
    assert np.abs(kept.astype(np.int32)).reshape(-1, 4).sum(1).max() <= 255
    whole = kept.astype(np.int32)
    for row, pairs in enumerate(map(extra_pairs, extra)):
        tap = 0
        for on, weight in pairs:
            tap += on
            whole[row, tap] += np.array(weight).astype(np.uint8).view(np.int8)
    np.testing.assert_array_equal(whole[:, :1003], rows)
    assert not whole[:, 1003:].any()


def test_extras_far_apart_are_reached_by_steps_of_a_byte() -> None:
    assert extra_pairs([(3, -1), (600, 9)]) == [(3, 255), (255, 0), (255, 0), (87, 9)]


MAKERS = [conv_cases, depthwise_cases, depthwise_3x3_cases, depthwise_pair_cases, dense_cases]
Maker = Callable[[np.random.Generator], Iterator[Case]]


def run(make: Maker, random: np.random.Generator, target: str, folder: Path) -> None:
    cases = list(make(random))
    for first in range(0, len(cases), BATCH):
        batch, place = cases[first : first + BATCH], folder / str(first)
        if target == "riscv32":
            check_riscv32(batch, place)
        else:
            check(batch, TARGETS[target], place)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_the_host(make: Maker, random: np.random.Generator, tmp_path: Path) -> None:
    run(make, random, "host", tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("target", ["m0", "m3", "riscv32"])
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_the_core(
    make: Maker, target: str, random: np.random.Generator, tmp_path: Path
) -> None:
    run(make, random, target, tmp_path)
