"""depthwise_conv2d, dense, add and (with Helium) conv2d on s16 data equal ``run_int``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node
from test_kernels_dsp_int16 import FULL, NARROW, POINT, RELU, RELU6
from test_kernels_dsp_int16 import conv as dsp_conv
from test_kernels_dsp_int16 import shapes as dsp_convs

from mcuq.ir import Array, Node
from mcuq.kernels import VARIANTS
from mcuq.kernels.variant import Cpu, Variant
from mcuq.ops import spec
from mcuq.qir import QTensor

LIMITS = (FULL, RELU, RELU6, NARROW, POINT)
CORES = {
    "dsp": Cpu("cortex-m4", frozenset({"thumb2", "dsp"})),
    "mve": Cpu("cortex-m55", frozenset({"thumb2", "dsp", "mve"})),
}
IMAGE = 12  # cases of a program: 512 KB hold code and constants on Cortex-M55


def variant(op: str, kind: str) -> Variant:
    """``op``: with ``_broadcast``, if the kernel is for operands that repeat."""
    name, what = op.removesuffix("16"), op.removesuffix("_broadcast")
    more = "_broadcast" if what != op else ""
    symbol = f"mcuq_{name.removesuffix('_broadcast')}_s16{more}_{kind}"
    return next(v for v in VARIANTS if v.symbol == symbol and v.op == what)


def case(
    kind: str,
    op: str,
    attrs: Mapping[str, object],
    acts: Mapping[str, Array],
    constants: Mapping[str, Array],
    overlap: int | None = None,
) -> Case:
    """One node of s16 data, by the kernel for ``kind`` of core."""
    operands = [v.shape for v in (*acts.values(), *constants.values())]
    made = variant(op, kind)
    shape = spec(made.op).infer(Node(made.op, "", (), (), attrs), operands)
    node, qgraph = one_node(made.op, attrs, acts, constants, shape)
    tensors = {**qgraph.tensors, "y": QTensor("y", shape, "s16", 0)}
    graph = replace(qgraph, tensors=tensors)
    label = f"{op} {operands} {attrs}"
    return Case(made, node, graph, acts, overlap=overlap, label=label)


def data(random: np.random.Generator, extremes: bool, *shape: int) -> Array:
    values = [-32768, 32767] if extremes else np.arange(-32768, 32768)
    return random.choice(np.array(values, np.int16), shape)


def weighted(
    random: np.random.Generator, depth: int, channels: int, limits: tuple[int, int]
) -> dict[str, object]:
    usual = int(np.log2(depth) / 2) + 7
    shift = random.integers(max(0, usual - 4), usual + 5, channels)
    return {"shift": tuple(shift.tolist()), "out_min": limits[0], "out_max": limits[1]}


def biases(random: np.random.Generator, count: int) -> Array:
    return random.integers(-60000, 60000, count).astype(np.int32)


def depthwise(
    random: np.random.Generator,
    kind: str,
    image: tuple[int, int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    limits: tuple[int, int] = FULL,
    extremes: bool = False,
) -> Case:
    choices = [-128, 127] if extremes else np.arange(-128, 128)
    weights = random.choice(np.array(choices, np.int8), (*kernel, image[2]))
    attrs = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "pad_value": int(random.choice([0, -300])),
        **weighted(random, kernel[0] * kernel[1], image[2], limits),
    }
    acts = {"x": data(random, extremes, 1, *image)}
    constants = {"w": weights, "b": biases(random, image[2])}
    return case(kind, "depthwise_conv2d", attrs, acts, constants)


def dense(
    random: np.random.Generator,
    kind: str,
    in_len: int,
    out_len: int,
    limits: tuple[int, int] = FULL,
    extremes: bool = False,
) -> Case:
    top = min(127, 60000 // in_len)
    choices = [-top, top] if extremes else np.arange(-top, top + 1)
    weights = random.choice(np.array(choices, np.int8), (out_len, in_len))
    attrs = weighted(random, in_len, out_len, limits)
    acts = {"x": data(random, extremes, 1, in_len)}
    return case(kind, "dense", attrs, acts, {"w": weights, "b": biases(random, out_len)})


def add(random: np.random.Generator, kind: str, count: int, limits: tuple[int, int] = FULL) -> Case:
    shift = int(random.integers(0, 13))
    attrs = {
        "mul_a": int(2 ** random.integers(0, 13)),
        "mul_b": int(random.choice([-1, 1]) * 2 ** random.integers(0, 13)),
        "bias": (1 << shift) >> 1,
        "shift": shift,
        "out_min": limits[0],
        "out_max": limits[1],
    }
    acts = {name: data(random, False, 1, count) for name in "ab"}
    overlap = int(random.integers(2)) if count % 2 else None
    return case(kind, "add", attrs, acts, {}, overlap)


def convolutions(kind: str, seed: int, count: int) -> Iterator[Case]:
    """With Helium: those of the DSP extension, an output channel left out at times."""
    if kind == "dsp":  # has tests of its own
        return
    conv = variant("conv2d", kind)
    for index, made in enumerate(dsp_convs(seed, count)):
        node = made.node.with_attrs(pad_value=0)
        overlap = 0 if index % 2 and conv.gap(node, made.qgraph, 0) is not None else None
        if conv.accepts(node, made.qgraph):
            yield replace(made, variant=conv, node=node, overlap=overlap)


def mixed(kind: str, seed: int, count: int) -> Iterator[Case]:
    """Small shapes with strides, pads, dilations and limits mixed; every third at the extremes."""
    random = np.random.default_rng(seed)
    least = {"dsp": 4, "mve": 8}[kind]
    found = 0
    while found < count:
        image = tuple(random.integers((1, 1, least), (8, 8, least + 24)).tolist())
        kernel = tuple(random.integers(1, 5, 2).tolist())
        dilations = tuple(random.integers(1, 3, 2).tolist())
        pads = tuple(random.integers(0, 3, 4).tolist())
        spans = [dilations[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
        if any(image[i] + pads[i] + pads[i + 2] < spans[i] for i in (0, 1)):
            continue
        found += 1
        limits, strides = LIMITS[found % 5], tuple(random.integers(1, 4, 2).tolist())
        yield depthwise(
            random, kind, image, kernel, strides, pads, dilations, limits, found % 3 == 0
        )
        in_len, out_len = random.integers(1, (90, 20)).tolist()
        yield dense(random, kind, in_len, out_len, limits, found % 3 == 0)
        yield add(random, kind, int(random.integers(1, 40)), limits)


@pytest.mark.parametrize("kind", ["dsp", "mve"])
def test_equal_on_the_host_with_sanitizers(kind: str, tmp_path: Path) -> None:
    check([*mixed(kind, 0, 40), *convolutions(kind, 5, 40)], TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize(("kind", "core"), [("dsp", "m4"), ("mve", "m55"), ("mve", "m55-clang")])
def test_equal_in_emulation(kind: str, core: str, tmp_path: Path) -> None:
    cases = [*mixed(kind, 1, 20), *convolutions(kind, 6, 12)]
    size = len(cases) if core == "m4" else 4 * IMAGE
    for first in range(0, len(cases), size):
        check(cases[first : first + size], TARGETS[core], tmp_path)


def layers(kind: str) -> Iterator[Case]:
    """Of kws, vww and ad."""
    random = np.random.default_rng(2)
    same = (1, 1, 1, 1)
    yield depthwise(random, kind, (25, 5, 64), (3, 3), pads=same, limits=RELU)
    yield depthwise(random, kind, (24, 24, 8), (3, 3), pads=same, limits=RELU)
    yield depthwise(random, kind, (24, 24, 16), (3, 3), (2, 2), (0, 0, 1, 1), limits=RELU)
    yield depthwise(random, kind, (3, 3, 256), (3, 3), pads=same, limits=RELU6)
    yield depthwise(random, kind, (15, 1, 128), (15, 1))
    yield dense(random, kind, 64, 12)
    yield dense(random, kind, 640, 32, RELU)
    yield dense(random, kind, 256, 2)
    yield add(random, kind, 3000)
    if kind == "mve":
        for image, out_c, kernel, strides, pads in (
            ((25, 5, 64), 64, (1, 1), (1, 1), (0, 0, 0, 0)),
            ((49, 10, 1), 64, (10, 4), (2, 2), (4, 1, 5, 1)),
            ((8, 8, 32), 32, (3, 3), (1, 1), same),
        ):
            made = dsp_conv(random, image, out_c, kernel, strides, pads, limits=RELU)
            node = made.node.with_attrs(pad_value=0)
            yield replace(made, variant=variant("conv2d", kind), node=node)


@pytest.mark.emulated
@pytest.mark.parametrize(("kind", "core"), [("dsp", "m4"), ("mve", "m55")])
def test_cost_is_what_is_measured(kind: str, core: str, tmp_path: Path) -> None:
    """Within 15 %."""
    cases = list(layers(kind))
    for first in range(0, len(cases), IMAGE // 2):
        some = cases[first : first + IMAGE // 2]
        for made, outcome in zip(some, check(some, TARGETS[core], tmp_path), strict=True):
            cost = made.variant.cost(made.node, made.qgraph, CORES[kind])
            assert cost == pytest.approx(outcome.instructions, rel=0.15), made.label


def test_what_is_left_to_other_kernels() -> None:
    random = np.random.default_rng(0)
    few = depthwise(random, "mve", (4, 4, 7), (3, 3))
    many = depthwise(random, "dsp", (9, 9, 8), (8, 8))
    conv = dsp_conv(random, (4, 4, 4), 4, (3, 3), pads=(1, 1, 1, 1))
    padded = conv.node.with_attrs(pad_value=-300)
    assert not few.variant.accepts(few.node, few.qgraph)
    assert not many.variant.accepts(many.node, many.qgraph)
    assert not variant("conv2d", "mve").accepts(padded, conv.qgraph)
    scaled = add(random, "dsp", 8).node.with_attrs(mul_a=2**15)
    assert not variant("add", "dsp").accepts(scaled, add(random, "dsp", 8).qgraph)
