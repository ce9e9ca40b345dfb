"""The kernels that ``prefer="speed"`` may take equal ``run_int``, whatever they spend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import conv2d_strassen, conv2d_wide, conv2d_winograd_2x2, dense
from mcuq.kernels.variant import Cpu, Variant
from mcuq.ops import spec

FULL, NARROW = (-128, 127), (-77, 90)
KINDS = ("any", "extremes", "least")
DENSE = [v for v in dense.VARIANTS if v.op == "dense"]
WIDE = conv2d_wide.VARIANTS[0]
ROWS = conv2d_wide.VARIANTS[1]
STRASSEN = conv2d_strassen.VARIANTS[0]
WINOGRAD = conv2d_winograd_2x2.VARIANTS[0]
Pads = tuple[int, int, int, int]
Maker = Callable[[], Iterator[Case]]
SAME = (1, 1, 1, 1)


def values(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    if kind == "least":
        return np.full(shape, -128, np.int8)
    choices = [-128, 127] if kind == "extremes" else np.arange(-128, 128)
    return random.choice(np.array(choices, np.int8), shape)


def convolution(
    variant: Variant,
    index: int,
    image: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int] = (3, 3),
    pads: Pads = SAME,
    strides: tuple[int, int] = (1, 1),
    dilations: tuple[int, int] = (1, 1),
) -> Case:
    """Random numbers; their kinds, the limits and the overlap by ``index``."""
    random = np.random.default_rng(index)
    x = values(random, (1, *image), KINDS[index % 3])
    w = values(random, (out_c, *kernel, image[2]), KINDS[index % 3])
    b = random.integers(-20000, 20000, out_c, dtype=np.int32)
    low, high = NARROW if index % 5 == 0 else FULL
    attrs = {
        "strides": strides, "pads": pads, "dilations": dilations, "groups": 1,
        "pad_value": index % 256 - 128, "shift": tuple(random.integers(5, 16, out_c).tolist()),
        "out_min": low, "out_max": high,
    }  # fmt: skip
    probe = Node("conv2d", "conv2d", ("x", "w", "b"), ("y",), attrs)
    shape = spec("conv2d").infer(probe, [x.shape, w.shape, b.shape])
    node, qgraph = one_node("conv2d", attrs, {"x": x}, {"w": w, "b": b}, shape)
    assert variant.accepts(node, qgraph), attrs
    over = 0 if index % 2 else None
    return Case(variant, node, qgraph, {"x": x}, overlap=over,
                misalign=0 if over is not None else index % 4,
                label=f"{image} {out_c} {attrs}")  # fmt: skip


def winograd_cases() -> Iterator[Case]:
    """Sizes 1-9 x 1-9, pads 0-2, with 16 to 80 input channels and 4 to 12 outputs."""
    random = np.random.default_rng(1)
    index = 0
    for height in range(1, 10):
        for width in range(1, 10):
            pads = tuple(random.integers(0, 3, 4).tolist())
            if height + pads[0] + pads[2] < 3 or width + pads[1] + pads[3] < 3:
                pads = SAME
            channels = 16 * (1 + index % 5)
            if pads[1] < width + pads[1] + pads[3] - 2:
                yield convolution(WINOGRAD, index, (height, width, channels), 4 * (1 + index % 3),
                                  pads=pads)  # fmt: skip
            index += 1


def wide_cases() -> Iterator[Case]:
    """Kernels 1-4 x 1-3, channels 1-17, strides and dilations 1-2, pads 0-2; long sums."""
    random = np.random.default_rng(2)
    index = 0
    for kernel_h in range(1, 5):
        for kernel_w in range(1, 4):
            for channels in range(1, 18):
                index += 1
                pads = tuple(random.integers(0, 3, 4).tolist())
                strides = (1 + index % 2, 1 + index // 2 % 2)
                dilations = (1 + index // 3 % 2, 1 + index // 5 % 2)
                size = tuple(
                    (1 + d * (k - 1) + random.integers(0, 4))
                    for k, d in zip((kernel_h, kernel_w), dilations, strict=True)
                )
                yield convolution(
                    WIDE,
                    index,
                    (*map(int, size), channels),
                    4 * (1 + index % 3),
                    (kernel_h, kernel_w),
                    pads,
                    strides,
                    dilations,
                )
    for index, channels in enumerate((31, 63, 64, 65, 128, 129, 192, 260)):
        yield convolution(WIDE, index, (3, 3, channels), 4, (1, 1), (0, 0, 0, 0))


def rows_cases() -> Iterator[Case]:
    """Kernels 1-5 x 1-4, strides 1-3, channels 1-8, pads 0-2; widths odd and even."""
    random = np.random.default_rng(3)
    index = 0
    for kernel_h in range(1, 6):
        for kernel_w in range(1, 5):
            for channels in range(1, 9):
                index += 1
                top, left, bottom, right = random.integers(0, 3, 4).tolist()
                pads = (top, min(left, kernel_w), bottom, right)
                strides = (1 + index % 3, 1 + index // 2 % 3)
                size = (kernel_h + int(random.integers(0, 6)), kernel_w + index % 7)
                yield convolution(ROWS, index, (*size, channels), 4 * (1 + index % 3),
                                  (kernel_h, kernel_w), pads, strides)  # fmt: skip


def strassen_cases() -> Iterator[Case]:
    """1-9 pixels, 64-256 input and 8-24 output channels."""
    index = 0
    for pixels in range(1, 10):
        for channels in (64, 128, 192, 256):
            index += 1
            yield convolution(STRASSEN, index, (1, pixels, channels), 8 * (1 + index % 3), (1, 1),
                              (0, 0, 0, 0))  # fmt: skip


def dense_cases() -> Iterator[Case]:
    """1-20 outputs of 1-40 inputs, and sums of 64 to 200 inputs, of all kinds."""
    sizes = [(i, 1 + (7 * i) % 20) for i in range(1, 41)] + [(i, 9) for i in range(60, 201, 4)]
    for index, (inputs, outputs) in enumerate(sizes):
        random = np.random.default_rng(index)
        x = values(random, (1, inputs), KINDS[index % 3])
        w = values(random, (outputs, inputs), KINDS[index % 3])
        b = random.integers(-20000, 20000, outputs, dtype=np.int32)
        low, high = NARROW if index % 5 == 0 else FULL
        shift = tuple(random.integers(5, 16, outputs).tolist())
        attrs = {"shift": shift, "out_min": low, "out_max": high}
        node, qgraph = one_node("dense", attrs, {"x": x}, {"w": w, "b": b}, (1, outputs))
        for variant in DENSE:
            assert variant.accepts(node, qgraph)
            over = 0 if index % 2 else None
            yield Case(variant, node, qgraph, {"x": x}, overlap=over,
                       misalign=0 if over is not None else index % 4,
                       label=f"{variant.symbol} {inputs} {outputs} {attrs}")  # fmt: skip


MAKERS = (winograd_cases, wide_cases, rows_cases, strassen_cases, dense_cases)


@pytest.mark.emulated
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(("target", "every"), [("host", 1), ("m4", 1), ("m4-clang", 4), ("m33", 4)])
def test_exact(maker: Maker, target: str, every: int, tmp_path: Path) -> None:
    check(list(maker())[::every], TARGETS[target], tmp_path)


@pytest.mark.parametrize("maker", MAKERS)
def test_exact_with_clang(maker: Maker, tmp_path: Path) -> None:
    check(list(maker())[::4], TARGETS["host-clang"], tmp_path)


def costly_cases() -> Iterator[Case]:
    """Shapes of the networks that these kernels were made for, with fewer pixels."""
    yield convolution(WINOGRAD, 2, (8, 8, 16), 16)
    yield convolution(WINOGRAD, 4, (4, 8, 64), 32)
    yield convolution(WIDE, 2, (5, 5, 64), 32, (1, 1), (0, 0, 0, 0))
    yield convolution(WIDE, 4, (8, 8, 32), 32, (3, 3), (0, 0, 1, 1), (2, 2))
    yield convolution(ROWS, 2, (16, 16, 3), 16)
    yield convolution(ROWS, 4, (16, 32, 3), 8, (3, 3), (0, 0, 1, 1), (2, 2))
    yield convolution(STRASSEN, 2, (5, 5, 64), 32, (1, 1), (0, 0, 0, 0))
    yield convolution(STRASSEN, 4, (3, 4, 128), 64, (1, 1), (0, 0, 0, 0))
    yield from list(dense_cases())[-6:]


@pytest.mark.emulated
def test_cost_is_near_the_executed_instructions(tmp_path: Path) -> None:
    made, cpu = list(costly_cases()), Cpu("cortex-m4", frozenset({"thumb2", "dsp"}))
    for case, outcome in zip(made, check(made, TARGETS["m4"], tmp_path), strict=True):
        estimate = case.variant.cost(case.node, case.qgraph, cpu)
        assert estimate == pytest.approx(outcome.instructions, rel=0.15), case.label
