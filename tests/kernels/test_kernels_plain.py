"""The plain C of convolutions, dense and pools equals ``run_int``, under ASan and UBSan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Node
from mcuq.kernels.plain import avg_pool2d, conv2d, dense, depthwise_conv2d, max_pool2d
from mcuq.kernels.variant import Cpu
from mcuq.ops import spec

CORES = ("m0", "m4")

# name, height, width, in_c, out_c, kernel, strides, dilations, pads, groups
CONVOLUTIONS = [
    ("same", 8, 8, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ("odd", 7, 9, 5, 6, (3, 2), (2, 3), (1, 1), (0, 1, 2, 1), 1),
    ("1x1 image", 1, 1, 1, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ("mostly padding", 1, 1, 2, 3, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ("dilation, groups 2", 9, 9, 4, 4, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 2),
    ("groups 3", 6, 5, 6, 9, (2, 2), (1, 1), (1, 1), (0, 0, 0, 0), 3),
    ("one-dimensional", 1, 20, 2, 3, (1, 5), (1, 2), (1, 3), (0, 4, 0, 4), 1),
    ("1x1 kernel", 5, 5, 16, 8, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1),
]
# name, height, width, in_c, out_c, kernel, strides, dilations, pads
DEPTHWISE = [
    ("same", 8, 8, 4, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    ("multiplier 2", 7, 6, 3, 6, (3, 3), (2, 2), (1, 1), (1, 0, 1, 2)),
    ("1x1 image", 1, 1, 1, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    ("dilation", 9, 9, 2, 2, (3, 3), (1, 1), (2, 3), (1, 2, 3, 4)),
]
# op, height, width, channels, kernel, strides, pads, further attributes
AVG = {"include_pad": False, "left": 0, "right": 0, "zero_x": 0, "zero_y": 0,
       "out_min": -128, "out_max": 127}  # fmt: skip
POOLS: list[tuple[Any, ...]] = [
    ("max_pool2d", 8, 8, 3, (2, 2), (2, 2), (0, 0, 0, 0), {}),
    ("max_pool2d", 7, 9, 5, (3, 3), (2, 2), (1, 1, 1, 1), {}),
    ("max_pool2d", 6, 6, 8, (3, 3), (1, 1), (1, 1, 1, 1), {}),
    ("max_pool2d", 9, 8, 1, (2, 3), (1, 2), (0, 2, 1, 3), {"dilations": (3, 2)}),
    ("max_pool2d", 5, 5, 6, (5, 5), (1, 1), (4, 4, 4, 4), {}),
    ("max_pool2d", 1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), {}),
    ("avg_pool2d", 8, 8, 7, (8, 8), (1, 1), (0, 0, 0, 0), {}),
    ("avg_pool2d", 7, 7, 4, (3, 3), (2, 2), (1, 1, 1, 1), {"zero_x": -128, "zero_y": -128}),
    ("avg_pool2d", 6, 6, 3, (3, 3), (1, 1), (1, 1, 1, 1), {"include_pad": True, "left": 2}),
    ("avg_pool2d", 6, 5, 9, (2, 3), (1, 1), (0, 1, 1, 2), {"right": 1, "zero_y": -128}),
    ("avg_pool2d", 6, 5, 3, (2, 3), (1, 2), (0, 0, 0, 0), {"right": 9, "zero_x": -128}),
    ("avg_pool2d", 1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), {"left": 22}),
    ("avg_pool2d", 4, 4, 5, (4, 4), (1, 1), (3, 3, 3, 3), {"out_min": -20, "out_max": 20}),
]


def random_s8(random: np.random.Generator, *shape: int) -> Any:
    return random.integers(-128, 128, shape).astype(np.int8)


def weighted_case(
    op: str, x: Any, w: Any, out_c: int, label: str, random: np.random.Generator, **attrs: Any
) -> Case:
    """The plain variant of ``op`` with random biases and shifts."""
    shift = tuple(int(v) for v in random.integers(0, 14, out_c))
    attrs |= {"shift": shift, "out_min": -120, "out_max": 125}
    b = random.integers(-(2**14), 2**14, out_c).astype(np.int32)
    node = Node(op, op, ("x", "w", "b"), ("y",), attrs)
    shape = spec(op).infer(node, [x.shape, w.shape, b.shape])
    node, qgraph = one_node(op, attrs, {"x": x}, {"w": w, "b": b}, shape)
    modules = {"conv2d": conv2d, "depthwise_conv2d": depthwise_conv2d, "dense": dense}
    return Case(modules[op].VARIANTS[0], node, qgraph, {"x": x}, label=f"{op} {label}")


def convolution_cases(random: np.random.Generator) -> list[Case]:
    found = []
    for label, h, w, in_c, out_c, kernel, strides, dilations, pads, groups in CONVOLUTIONS:
        attrs = {"strides": strides, "dilations": dilations, "pads": pads, "groups": groups}
        weights = random_s8(random, out_c, *kernel, in_c // groups)
        image = random_s8(random, 1, h, w, in_c)
        found.append(weighted_case("conv2d", image, weights, out_c, label, random,
                                   pad_value=-128, **attrs))  # fmt: skip
    return found


def depthwise_cases(random: np.random.Generator) -> list[Case]:
    found = []
    for label, h, w, in_c, out_c, kernel, strides, dilations, pads in DEPTHWISE:
        attrs = {"strides": strides, "dilations": dilations, "pads": pads}
        weights, image = random_s8(random, *kernel, out_c), random_s8(random, 1, h, w, in_c)
        found.append(weighted_case("depthwise_conv2d", image, weights, out_c, label, random,
                                   pad_value=5, **attrs))  # fmt: skip
    return found


def smallest_cases(random: np.random.Generator) -> list[Case]:
    """-128 * -128 everywhere."""
    same = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1), "pad_value": -128}
    image = np.full((1, 6, 6, 16), -128, np.int8)
    full, single = np.full((4, 3, 3, 16), -128, np.int8), np.full((3, 3, 16), -128, np.int8)
    return [
        weighted_case("conv2d", image, full, 4, "extreme", random, groups=1, **same),
        weighted_case("depthwise_conv2d", image, single, 16, "extreme", random, **same),
        weighted_case("dense", image.reshape(1, -1), full.reshape(1, -1), 1, "extreme", random),
    ]


def dense_cases(random: np.random.Generator) -> list[Case]:
    return [
        weighted_case("dense", random_s8(random, 1, depth), random_s8(random, out_len, depth),
                      out_len, f"{depth} to {out_len}", random)
        for depth, out_len in ((1, 1), (7, 3), (64, 10), (130, 5))
    ]  # fmt: skip


def pool_cases(random: np.random.Generator) -> list[Case]:
    """Every pool apart from its input, and overlapping it as far as it may."""
    found = []
    for op, h, w, channels, kernel, strides, pads, more in POOLS:
        common = {"dilations": (1, 1)} if op == "max_pool2d" else AVG
        attrs = {"kernel": kernel, "strides": strides, "pads": pads, **common, **more}
        x = random_s8(random, 1, h, w, channels)
        shape = spec(op).infer(Node(op, op, ("x",), ("y",), attrs), [x.shape])
        node, qgraph = one_node(op, attrs, {"x": x}, {}, shape)
        variant = (max_pool2d if op == "max_pool2d" else avg_pool2d).VARIANTS[0]
        label = f"{op} {h}x{w}x{channels} {kernel}"
        found += [
            Case(variant, node, qgraph, {"x": x}, overlap=overlap, label=label)
            for overlap in (None, 0)
        ]
    return found


MAKERS = [convolution_cases, depthwise_cases, smallest_cases, dense_cases, pool_cases]


@pytest.mark.parametrize("make", MAKERS)
def test_c_is_run_int_on_the_host(make: Any, tmp_path: Path) -> None:
    check(make(np.random.default_rng(3)), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("core", CORES)
def test_c_is_run_int_on_cores(core: str, tmp_path: Path) -> None:
    check([c for make in MAKERS for c in make(np.random.default_rng(3))], TARGETS[core], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("core", "cpu"),
    [("m0", Cpu("cortex-m0", frozenset())), ("m4", Cpu("cortex-m4", frozenset({"thumb2", "dsp"})))],
)
def test_cost_is_near_the_executed_instructions(core: str, cpu: Cpu, tmp_path: Path) -> None:
    """Within 30 % where a kernel executes a thousand instructions or more."""
    found = [c for make in MAKERS for c in make(np.random.default_rng(3))]
    for case, outcome in zip(found, check(found, TARGETS[core], tmp_path), strict=True):
        if outcome.instructions > 1000:
            estimate = case.variant.cost(case.node, case.qgraph, cpu)
            assert estimate == pytest.approx(outcome.instructions, rel=0.3), case.label
