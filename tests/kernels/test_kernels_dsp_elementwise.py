"""The elementwise kernels and pools for the DSP extension equal ``run_int``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import elementwise, pool2d
from mcuq.kernels.variant import Variant
from mcuq.ops import spec

BATCH = 100
ADD, FROM_U8 = elementwise.VARIANTS
MAX_POOL, AVG_POOL = pool2d.VARIANTS[:2]
EVERY_PAIR = [v.astype(np.int8).reshape(1, -1) for v in np.mgrid[-128:128, -128:128]]
HALF_OF_THEM = [v[:, ::2] for v in EVERY_PAIR]


def add_case(
    a: Array, b: Array, numbers: tuple[int, int, int, int], limits: tuple[int, int] = (-128, 127),
    overlap: int | None = None, misalign: int = 0,
) -> Case:  # fmt: skip
    names = ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max")
    attrs = dict(zip(names, (*numbers, *limits), strict=True))
    node, qgraph = one_node("add", attrs, {"a": a, "b": b}, {}, a.shape)
    assert ADD.accepts(node, qgraph)
    return Case(
        ADD, node, qgraph, {"a": a, "b": b}, overlap=overlap, misalign=misalign, label=str(attrs)
    )


def add_cases(random: np.random.Generator) -> Iterator[Case]:
    """The largest and least sums that the lanes hold, and all scales from 4 to 256."""
    for numbers in (
        (1, 1, 0, 0), (1, 1, -127, 1), (1, 1, 1 - 256, 1), (1, 1, 255, 1), (1, 1, -128, 8),
        (1, 2, 1 - 128, 1), (1, 4, 2 + 128, 2), (4, 1, 2, 2), (1, -1, 4, 3), (-1, 1, 2, 2),
        (1, 1, 128, 0), (1, 1, -128, 0), (1, 2, 129, 1), (-2, 2, 5, 1),
        (-1, 32, 16, 5), (1, 64, 32 - 4096, 6), (16, 16, 8, 4), (8, 1, -505, 4),
    ):  # fmt: skip
        yield add_case(EVERY_PAIR[0][:, ::5], EVERY_PAIR[1][:, ::5], numbers)
        yield add_case(HALF_OF_THEM[0][:, :4099], HALF_OF_THEM[1][:, :4099], numbers, (-77, 90))
    for count in range(1, 35):
        a, b = (random.integers(-128, 128, (1, count), dtype=np.int8) for _ in range(2))
        yield add_case(a, b, (1, 1, 1, 1), misalign=count % 4)
        yield add_case(a, b, (2, 1, 1, 1), overlap=count % 2)
        u8 = random.integers(0, 256, (1, count), dtype=np.uint8)
        node, qgraph = one_node("from_u8", {}, {"x": u8}, {}, u8.shape)
        over = {"overlap": 0} if count % 2 else {"misalign": count % 4}
        yield Case(FROM_U8, node, qgraph, {"x": u8}, label=f"from_u8 {count} {over}", **over)


def pool_case(
    variant: Variant, x: Array, kernel: tuple[int, int], overlap: bool, misalign: int,
    **attrs: object,
) -> Case:  # fmt: skip
    numbers = {"kernel": kernel, **attrs}
    node = Node(variant.op, variant.op, ("x",), ("y",), numbers)
    shape = spec(variant.op).infer(node, [x.shape])
    node, qgraph = one_node(variant.op, numbers, {"x": x}, {}, shape)
    assert variant.accepts(node, qgraph)
    return Case(
        variant, node, qgraph, {"x": x}, overlap=0 if overlap else None,
        misalign=0 if overlap else misalign, label=f"{x.shape} {numbers} {overlap}",
    )  # fmt: skip


def pool_cases(random: np.random.Generator) -> Iterator[Case]:
    channels = itertools.cycle(range(1, 18))
    sizes = itertools.product(range(1, 5), range(1, 6), (1, 2), (1, 2))
    for index, (kernel_h, kernel_w, stride_h, stride_w) in enumerate(sizes):
        pads = tuple(random.integers(0, (kernel_h, kernel_w) * 2).tolist())
        size = random.integers(np.array([kernel_h, kernel_w]), 9)
        x = random.integers(-128, 128, (1, *size, next(channels)), dtype=np.int8)
        common = {"strides": (stride_h, stride_w), "pads": pads}
        scale = {"left": index % 3, "right": (index // 3) % 3, "zero_x": -128 * (index % 2)}
        means = {"include_pad": index % 2 == 0, "zero_y": -128 * (index // 2 % 2), **scale}
        limits = {"out_min": -100, "out_max": 100} if index % 5 == 0 else FULL
        how = (index % 3 == 0, index % 4)
        yield pool_case(MAX_POOL, x, (kernel_h, kernel_w), *how, dilations=(1, 1), **common)
        yield pool_case(AVG_POOL, x, (kernel_h, kernel_w), *how, **common, **means, **limits)
    for value, taps in ((-128, (16, 16)), (127, (2, 128)), (-128, (85, 3))):
        x = np.full((1, *taps, 5), value, np.int8)
        yield pool_case(AVG_POOL, x, taps, False, 1, **PLAIN, **FULL)
    x = random.integers(-128, 128, (1, 9, 11, 6), dtype=np.int8)
    yield pool_case(
        MAX_POOL, x, (3, 3), True, 0, strides=(1, 2), pads=(3, 2, 1, 3), dilations=(3, 2)
    )


FULL = {"out_min": -128, "out_max": 127}
PLAIN = {
    "strides": (1, 1), "pads": (0, 0, 0, 0), "include_pad": False, "left": 0, "right": 0,
    "zero_x": 0, "zero_y": 0,
}  # fmt: skip


@pytest.mark.emulated
@pytest.mark.parametrize("target", ["host", "m4", "m4-clang", "m33"])
@pytest.mark.parametrize("make", [add_cases, pool_cases])
def test_exact(
    make: Callable[[np.random.Generator], Iterator[Case]], target: str, tmp_path: Path
) -> None:
    made = list(make(np.random.default_rng(7)))
    for first in range(0, len(made), BATCH):
        check(made[first : first + BATCH], TARGETS[target], tmp_path / str(first))
