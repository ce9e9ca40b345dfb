"""The kernels of s16 data for the DSP extension equal ``run_int``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Node
from mcuq.kernels.dsp import conv2d_int16
from mcuq.kernels.variant import Cpu
from mcuq.ops import spec
from mcuq.qir import QTensor

M4 = Cpu("cortex-m4", frozenset({"thumb2", "dsp"}))
FULL, RELU, NARROW = (-32768, 32767), (0, 32767), (-5000, 6000)
RELU6, POINT = (0, 6000), (5, 5)
(CONV,) = conv2d_int16.VARIANTS


def conv(
    random: np.random.Generator,
    image: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    limits: tuple[int, int] = FULL,
    extremes: bool = False,
) -> Case:
    """A conv2d of ``image`` (height, width, channels), of which no sum exceeds 32 bits."""
    depth = kernel[0] * kernel[1] * image[2]
    top = min(127, 60000 // depth) if extremes else 127
    least = -min(128, 60000 // depth)
    choices = [least, top] if extremes else np.arange(least, top + 1)
    weights = random.choice(np.array(choices, np.int8), (out_c, *kernel, image[2]))
    values = [-32768, 32767] if extremes else np.arange(-32768, 32768)
    x = random.choice(np.array(values, np.int16), (1, *image))
    usual = int(np.log2(depth) / 2) + 7
    attrs = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "groups": 1,
        "pad_value": int(random.choice([0, -300])),
        "shift": tuple(random.integers(max(0, usual - 4), usual + 5, out_c).tolist()),
        "out_min": limits[0],
        "out_max": limits[1],
    }
    bias = random.integers(-60000, 60000, out_c).astype(np.int32)
    shape = spec("conv2d").infer(Node("conv2d", "", (), (), attrs), [x.shape, weights.shape])
    node, qgraph = one_node("conv2d", attrs, {"x": x}, {"w": weights, "b": bias}, shape)
    tensors = {**qgraph.tensors, "y": QTensor("y", shape, "s16", 0)}
    label = f"{image}-{out_c} {attrs}"
    return Case(CONV, node, replace(qgraph, tensors=tensors), {"x": x}, label=label)


def shapes(seed: int, count: int) -> Iterator[Case]:
    """Small shapes with strides, pads, dilations and limits mixed; every third at the extremes."""
    random = np.random.default_rng(seed)
    found = 0
    while found < count:
        image = tuple(random.integers(1, (8, 8, 19)).tolist())
        kernel = tuple(random.integers(1, 5, 2).tolist())
        dilations = tuple(random.integers(1, 3, 2).tolist())
        pads = tuple(random.integers(0, 3, 4).tolist())
        spans = [dilations[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
        if any(image[i] + pads[i] + pads[i + 2] < spans[i] for i in (0, 1)):
            continue
        limits = [FULL, RELU, RELU6, NARROW, POINT][found % 5]
        strides = tuple(random.integers(1, 4, 2).tolist())
        out_c = 2 * int(random.integers(1, 9))
        yield conv(random, image, out_c, kernel, strides, pads, dilations, limits, found % 3 == 0)
        found += 1


def test_equal_on_the_host_with_sanitizers(tmp_path: Path) -> None:
    check(list(shapes(0, 150)), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["m4", "m4-clang", "m33"])
def test_equal_in_emulation(core: str, tmp_path: Path) -> None:
    check(list(shapes(1, 200)), TARGETS[core], tmp_path)


@pytest.mark.emulated
def test_small_code_for_cortex_m55_writes_nothing_behind_scratch(tmp_path: Path) -> None:
    """gcc 12 -Os drops a condition on what a low-overhead loop has counted down."""
    check(list(shapes(2, 60)), TARGETS["m55"].at("-Os"), tmp_path)


LAYERS = {
    "first layer of ic": ((32, 32, 3), 16, (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3 of ic": ((32, 32, 16), 16, (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3 of ic, stride 2": ((32, 32, 16), 32, (3, 3), (2, 2), (0, 0, 1, 1)),
    "1x1 of ic, stride 2": ((32, 32, 16), 32, (1, 1), (2, 2), (0, 0, 0, 0)),
    "3x3 of ic, 64 channels": ((8, 8, 64), 64, (3, 3), (1, 1), (1, 1, 1, 1)),
    "1x1 of kws": ((25, 5, 64), 64, (1, 1), (1, 1), (0, 0, 0, 0)),
    "first layer of kws": ((49, 10, 1), 64, (10, 4), (2, 2), (4, 1, 5, 1)),
}


@pytest.mark.emulated
def test_cost_is_what_is_measured(tmp_path: Path) -> None:
    """Within 15 %, on layers of ic and kws."""
    random = np.random.default_rng(2)
    cases = [conv(random, *shape, limits=RELU) for shape in LAYERS.values()]
    measured = check(cases, TARGETS["m4"], tmp_path)
    for case, outcome in zip(cases, measured, strict=True):
        cost = CONV.cost(case.node, case.qgraph, M4)
        assert cost == pytest.approx(outcome.instructions, rel=0.15), case.label


def test_what_is_left_to_other_kernels() -> None:
    case = conv(np.random.default_rng(0), (4, 4, 4), 4, (3, 3))
    assert CONV.accepts(case.node, case.qgraph)
    assert not CONV.accepts(case.node.with_attrs(groups=2), case.qgraph)
