"""The depthwise kernels for the DSP extension equal ``run_int``, also in place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import depthwise_conv2d, depthwise_planes
from mcuq.kernels.variant import Cpu, Variant
from mcuq.ops import spec

BATCH = 200
FULL, NARROW = (-128, 127), (-77, 90)
KINDS = ("any", "extremes", "least")
KERNEL_3X3, ANY_KERNEL, NO_PADDING, _ = depthwise_conv2d.VARIANTS
(PLANES,) = depthwise_planes.VARIANTS
Pads = tuple[int, int, int, int]
Maker = Callable[[np.random.Generator], Iterator[Case]]


def values(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    if kind == "least":
        return np.full(shape, -128, np.int8)
    choices = [-128, 127] if kind == "extremes" else np.arange(-128, 128)
    return random.choice(np.array(choices, np.int8), shape)


def case(
    variant: Variant,
    random: np.random.Generator,
    image: tuple[int, int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    index: int = 0,
    shifts: tuple[int, int] = (7, 11),
    in_place: bool = False,
    steps: bool = False,
) -> Case:
    """Random values, kinds and limits by ``index``; in place if that is wanted and allowed.

    ``steps``: biases near to where the output takes its steps, whatever the shift.
    """
    channels = image[2]
    x = values(random, (1, *image), KINDS[index % 3])
    w = values(random, (*kernel, channels), KINDS[index % 3])
    b = random.integers(-20000, 20000, channels, dtype=np.int32)
    shift = random.integers(*shifts, channels)
    if steps:
        step = random.integers(-131, 131, channels) * 2.0**shift
        b = np.clip(step + random.integers(-150000, 150000, channels), -(2**30), 2**30)
    low, high = NARROW if index % 5 == 0 else FULL
    attrs = {
        "strides": strides, "pads": pads, "dilations": (1, 1), "pad_value": index % 256 - 128,
        "shift": tuple(shift.tolist()),
        "out_min": low, "out_max": high,
    }  # fmt: skip
    probe = Node(variant.op, variant.op, ("x", "w", "b"), ("y",), attrs)
    shape = spec(variant.op).infer(probe, [x.shape, w.shape, b.shape])
    node, qgraph = one_node(variant.op, attrs, {"x": x}, {"w": w, "b": b.astype(np.int32)}, shape)
    assert variant.accepts(node, qgraph), attrs
    over = in_place and variant.gap(node, qgraph, 0) is not None
    return Case(
        variant, node, qgraph, {"x": x}, overlap=0 if over else None,
        misalign=0 if over else index % 4, label=f"{image} {kernel} {attrs} {over}",
    )  # fmt: skip


def fits(image: tuple[int, int], kernel: tuple[int, int], pads: Pads) -> bool:
    return image[0] + pads[0] + pads[2] >= kernel[0] and image[1] + pads[1] + pads[3] >= kernel[1]


def cases_3x3(
    random: np.random.Generator, variant: Variant = KERNEL_3X3, least: int = 1
) -> Iterator[Case]:
    """Sizes 1-7 x 1-7, all strides, pads 0-2, channels ``least``-17 in turn; half in place."""
    channels = itertools.cycle(range(least, 18))
    sizes = itertools.product(range(1, 8), range(1, 8), (1, 2, 3), (1, 2))
    for index, (height, width, stride_h, stride_w) in enumerate(sizes):
        pads = tuple(random.integers(0, 3, 4).tolist())
        if fits((height, width), (3, 3), pads):
            image, strides = (height, width, next(channels)), (stride_h, stride_w)
            yield case(variant, random, image, (3, 3), strides, pads, index, in_place=index % 2 > 0)
    for index, width in enumerate((11, 12, 13, 14, 25, 26, 27)):
        yield case(variant, random, (3, width, 5), (3, 3), (1, 1), (1, 1, 1, 1), index)
        yield case(variant, random, (width, 3, 5), (3, 3), (1, 1), (1, 1, 1, 1), index + 1)
        yield case(variant, random, (3, width, 6), (3, 3), (2, 2), (0, 0, 1, 1), index)
    for index, shifts in enumerate(((0, 9), (8, 17), (0, 17), (12, 25), (17, 20), (17, 32)) * 3):
        image, pads = (4 + index, 7, 13), (1, 1, 1, 1)
        yield case(variant, random, image, (3, 3), (1, 1), pads, index, shifts, True, index > 5)


def cases_planes(random: np.random.Generator) -> Iterator[Case]:
    """The same, and images whose lines are made in several parts."""
    yield from cases_3x3(random, PLANES, 4)
    for index, (height, width, channels) in enumerate(((48, 8, 6), (8, 52, 4), (40, 50, 5)) * 2):
        strides, pads = ((1, 1), (1, 1, 1, 1)) if index < 3 else ((2, 2), (0, 0, 1, 1))
        image = (height, width, channels)
        yield case(PLANES, random, image, (3, 3), strides, pads, index, in_place=True)


def cases_any(random: np.random.Generator) -> Iterator[Case]:
    """Kernels 1-5 x 1-5, all strides, pads below the kernel; and long ones."""
    channels = itertools.cycle(range(1, 18))
    shapes = itertools.product(range(1, 6), range(1, 6), (1, 2), (1, 2))
    for index, (kernel_h, kernel_w, stride_h, stride_w) in enumerate(shapes):
        kernel, strides = (kernel_h, kernel_w), (stride_h, stride_w)
        pads = tuple(random.integers(0, kernel * 2).tolist())
        least = np.maximum(np.array(kernel) - pads[:2], 1)
        image = (*(least + random.integers(0, 7, 2)).tolist(), next(channels))
        yield case(ANY_KERNEL, random, image, kernel, strides, pads, index, in_place=index % 2 > 0)
    for index, length in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 10, 15)):
        for size, strides in ((length, (1, 1)), (length + 9, (1, 1)), (length + 6, (3, 2))):
            image = (size, 1 + index % 3, next(channels))
            yield case(ANY_KERNEL, random, image, (length, 1), strides, index=index, in_place=True)
    for side in (5, 7):
        image, pads = (8, 9, 6), (side // 2,) * 4
        yield case(ANY_KERNEL, random, image, (side, side), (1, 1), pads, side, in_place=True)


def cases_valid(random: np.random.Generator) -> Iterator[Case]:
    channels = itertools.cycle(range(1, 18))
    shapes = itertools.product(range(1, 6), range(1, 6), (1, 2), (1, 3))
    for index, (kernel_h, kernel_w, stride_h, stride_w) in enumerate(shapes):
        size = (np.array((kernel_h, kernel_w)) + random.integers(0, 6, 2)).tolist()
        kernel, strides = (kernel_h, kernel_w), (stride_h, stride_w)
        yield case(
            NO_PADDING, random, (*size, next(channels)), kernel, strides, index=index,
            in_place=index % 2 > 0,
        )  # fmt: skip
    for index, length in enumerate((10, 15)):
        yield case(NO_PADDING, random, (15, 2, 8), (length, 1), index=index, in_place=True)
        yield case(NO_PADDING, random, (2, 15, 8), (1, length), index=index)


def test_images_that_may_lie_in_place() -> None:
    random = np.random.default_rng(0)
    rows = (
        ((25, 5, 64), (1, 1), (1, 1, 1, 1), 0),
        ((96, 96, 8), (2, 2), (0, 0, 1, 1), 0),
        ((6, 6, 8), (1, 1), (2, 2, 2, 2), None),  # more pixels than before
        ((5, 9, 8), (1, 1), (0, 0, 0, 0), 0),
        ((9, 5, 8), (1, 1), (0, 0, 0, 0), 0),
    )
    for image, strides, pads, gap in rows:
        made = case(KERNEL_3X3, random, image, (3, 3), strides, pads)
        assert KERNEL_3X3.gap(made.node, made.qgraph, 0) == gap


@pytest.mark.emulated
@pytest.mark.parametrize("target", ["host", "host-clang", "m4", "m4-clang", "m33"])
@pytest.mark.parametrize("make", [cases_3x3, cases_planes, cases_any, cases_valid])
def test_exact(make: Maker, target: str, tmp_path: Path) -> None:
    made = list(make(np.random.default_rng(5)))
    for first in range(0, len(made), BATCH):
        check(made[first : first + BATCH], TARGETS[target], tmp_path / str(first))


LAYERS = (
    ((48, 48, 8), (1, 1), (1, 1, 1, 1)),
    ((48, 48, 16), (2, 2), (0, 0, 1, 1)),
    ((12, 12, 64), (1, 1), (1, 1, 1, 1)),
    ((6, 6, 128), (1, 1), (1, 1, 1, 1)),
    ((3, 3, 256), (1, 1), (1, 1, 1, 1)),
    ((25, 5, 64), (1, 1), (1, 1, 1, 1)),
)


@pytest.mark.emulated
def test_cost_of_planes_is_what_is_measured(tmp_path: Path) -> None:
    """Within 15 %, on layers of vww and kws."""
    random = np.random.default_rng(2)
    cases = [case(PLANES, random, i, (3, 3), s, p, index=1) for i, s, p in LAYERS]
    core = Cpu("cortex-m4", frozenset({"thumb2", "dsp"}))
    for made, outcome in zip(cases, check(cases, TARGETS["m4"], tmp_path), strict=True):
        cost = PLANES.cost(made.node, made.qgraph, core)
        assert cost == pytest.approx(outcome.instructions, rel=0.15), made.label


def test_long_lines_are_left_to_other_kernels() -> None:
    made = case(PLANES, np.random.default_rng(0), (4, 54, 4), (3, 3), pads=(1, 1, 1, 1))
    wide = case(KERNEL_3X3, np.random.default_rng(0), (60, 60, 4), (3, 3), pads=(1, 1, 1, 1))
    few = case(KERNEL_3X3, np.random.default_rng(0), (6, 6, 3), (3, 3), pads=(1, 1, 1, 1))
    assert PLANES.accepts(made.node, made.qgraph)
    assert not PLANES.accepts(wide.node, wide.qgraph)
    assert not PLANES.accepts(few.node, few.qgraph)
