"""The Helium kernels equal ``run_int``: on the host under ASan and UBSan, and on Cortex-M55."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, one_node

from mcuq.ir import Array, Node, Port
from mcuq.kernels import mve
from mcuq.kernels.variant import Variant
from mcuq.ops import spec
from mcuq.qir import QGraph, QTensor

BATCH = 150
CHANNELS = 4  # of 1-17 for each kernel and stride; all 17 take minutes (and passed when written)
KINDS = ("any", "extremes", "least")
VARIANT = {variant.symbol: variant for variant in mve.VARIANTS}
ANY_CONV, CONV_3WIDE, COLUMNS = (
    VARIANT[f"mcuq_conv2d_s8_mve{name}"] for name in ("", "_3wide", "_columns")
)
PLANE, QUAD = (VARIANT[f"mcuq_depthwise_conv2d_s8_mve{name}"] for name in ("", "_quad"))
Attrs = dict[str, object]


def signed(random: np.random.Generator, shape: tuple[int, ...], kind: str = "any") -> Array:
    """s8 values: any, or only the extremes, or -128 alone."""
    if kind == "least":
        return np.full(shape, -128, np.int8)
    if kind == "extremes":
        return random.choice(np.array([-128, 127], np.int8), shape)
    return random.integers(-128, 128, shape, dtype=np.int8)


def weighted(
    variant: Variant,
    random: np.random.Generator,
    image: tuple[int, ...],
    weights: tuple[int, ...],
    index: int = 0,
    attrs: Attrs | None = None,
) -> Iterator[Case]:
    """A case if the variant takes it; ``index`` turns the values, limits, overlap and alignment."""
    op, out_c = variant.op, weights[-1] if variant.op == "depthwise_conv2d" else weights[0]
    kind = KINDS[index % 3]
    x, w = signed(random, image, kind), signed(random, weights, kind)
    bias = random.integers(-20000, 20000, out_c, dtype=np.int32)
    middle = 7 + int(np.log2(w.size // out_c) / 2)
    ends = (0, 32) if index % 7 == 0 else (middle - 1, middle + 2)
    limits = (-77, 90) if index % 5 == 0 else (-128, 127)
    numbers: Attrs = {
        "shift": tuple(int(s) for s in random.integers(*ends, out_c)),
        "out_min": limits[0],
        "out_max": limits[1],
        **(attrs or {}),
    }
    probe = Node(op, op, ("x", "w", "b"), ("y",), numbers)
    out_shape = spec(op).infer(probe, [x.shape, w.shape, bias.shape])
    node, qgraph = one_node(op, numbers, {"x": x}, {"w": w, "b": bias}, out_shape)
    if not variant.accepts(node, qgraph):
        return
    overlaps = index % 2 == 1 and variant.gap(node, qgraph, 0) is not None
    misalign = 0 if overlaps or variant is QUAD else index % 4
    label = f"{variant.symbol} {image} {weights} {kind} {numbers}"
    overlap = 0 if overlaps else None
    yield Case(variant, node, qgraph, {"x": x}, None, overlap, misalign, label)


def window(
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, ...] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    pad_value: int = -128,
) -> Attrs:
    return {"strides": strides, "pads": pads, "dilations": dilations, "pad_value": pad_value}


def windows(
    random: np.random.Generator, channels: int
) -> Iterator[tuple[int, tuple[int, int], tuple[int, int], int, Attrs]]:
    """Kernels 1-5 x 1-5, strides 1-2 x 1-2, and ``channels`` of 1-17 for each; random pads and
    sizes: (index, image, kernel, channels, attributes)."""
    sizes = itertools.product(range(1, 6), range(1, 6), (1, 2), (1, 2), range(channels))
    for index, (kernel_h, kernel_w, stride_h, stride_w, at) in enumerate(sizes):
        pads = tuple(int(p) for p in random.integers(0, (kernel_h, kernel_w) * 2))
        least = np.maximum(1, np.array([kernel_h, kernel_w]) - pads[:2])
        size = least + random.integers(0, 7, 2)
        attrs = window((stride_h, stride_w), pads, pad_value=(0, -128, 77)[index % 3])
        count = (index // channels + at) % 17 + 1
        yield index, (int(size[0]), int(size[1])), (kernel_h, kernel_w), count, attrs


def conv_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    for index, size, kernel, in_c, attrs in windows(random, channels):
        out_c, joined = int(random.integers(1, 18)), {"groups": 1, **attrs}
        image, weights = (1, *size, in_c), (out_c, *kernel, in_c)
        yield from weighted(ANY_CONV, random, image, weights, index, joined)
        yield from weighted(ANY_CONV, random, image, (out_c, 1, 1, in_c), index, joined)
    for index, in_c in enumerate((16, 32, 48)):
        for stride, pad, dilation in itertools.product((1, 2), (0, 1), (1, 2)):
            attrs = window((stride, 1), (pad, 2, 0, pad), (1, dilation)) | {"groups": 1}
            weights = (67 - in_c, 3, 2, in_c)
            yield from weighted(ANY_CONV, random, (1, 5, 6, in_c), weights, index + pad, attrs)
    plain = window() | {"groups": 1}
    for index, (in_c, out_c) in enumerate(itertools.product((1, 8, 15, 33, 80, 144), (2, 63, 70))):
        for width in range(1, 6):
            image, weights = (1, 1, width, in_c), (out_c, 1, 1, in_c)
            yield from weighted(ANY_CONV, random, image, weights, index + width, plain)


def conv_3wide_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    heights, in_channels = (1, 2, 3, 5), (16, 32, 48)[: max(1, channels)]
    shapes = itertools.product(heights, in_channels, range(1, 10), ((0, 0, 0, 0), (1, 1, 1, 1)))
    for index, (kernel_h, in_c, width, pads) in enumerate(shapes):
        out_c = int(random.integers(1, 70))
        strides = ((1, 1), (2, 2), (1, 2), (3, 1))[index // 3 % 4]
        attrs = window(strides, pads, pad_value=index % 50) | {"groups": 1}
        image = (1, 7 - index % 2, strides[1] * width + 2, in_c)
        weights = (out_c, kernel_h, 3, in_c)
        yield from weighted(CONV_3WIDE, random, image, weights, index, attrs)


def columns_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    for index, size, kernel, in_c, attrs in windows(random, channels):
        out_c, joined = int(random.integers(1, 18)), {"groups": 1, **attrs}
        image, weights = (1, *size, in_c), (out_c, *kernel, in_c)
        yield from weighted(COLUMNS, random, image, weights, index, joined)
        yield from weighted(COLUMNS, random, image, (out_c, 1, 1, in_c), index, joined)
    for index, in_c in enumerate((*range(1, 18), 24, 31, 32, 33, 48, 85, 128, 250, 256)):
        for width, plain in itertools.product(range(1, 8), (window(), window((2, 2)))):
            attrs, out_c = plain | {"groups": 1}, (1, 3, 4, 6, 70)[(index + width) % 5]
            image = (1, 1 + index % 3, width, in_c)
            yield from weighted(COLUMNS, random, image, (out_c, 1, 1, in_c), index + width, attrs)
            joined = window((1, 3), (0, 1, 0, 2)) | {"groups": 1}
            weights = (out_c, 1, 1 + width % 3, in_c)
            yield from weighted(COLUMNS, random, image, weights, index + width, joined)
    shapes = (
        ((1, 30, 3, 1), (17, 3), window((3, 1), (9, 1, 8, 1))),
        ((1, 9, 40, 1), (3, 5), window((1, 2), (1, 2, 1, 2))),
        ((1, 9, 4, 5), (2, 2), window((4, 1), (1, 0, 2, 0))),
        ((1, 12, 12, 3), (7, 7), window((2, 2), (3, 3, 3, 3))),
        ((1, 8, 12, 24), (3, 3), window((1, 1), (1, 1, 1, 1))),
        ((1, 8, 12, 28), (3, 3), window((2, 2), (0, 0, 1, 1))),
        ((1, 7, 9, 40), (2, 3), window((1, 2), (1, 1, 1, 1))),
        ((1, 3, 6, 9), (5, 5), window((1, 1), (4, 4, 4, 4))),
        ((1, 6, 9, 8), (1, 3), window((1, 1), (0, 1, 0, 1), (2, 1))),
    )
    for index, (image, kernel, attrs) in enumerate(shapes):
        for out_c in (8, 5):
            weights, joined = (out_c, *kernel, image[3]), {"groups": 1, **attrs}
            yield from weighted(COLUMNS, random, image, weights, index + out_c, joined)


def depthwise_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    for index, size, kernel, in_c, attrs in windows(random, channels):
        image, multiplier = (1, *size, in_c), (1, 1, 3)[index % 3]
        weights = (*kernel, in_c * multiplier)
        yield from weighted(PLANE, random, image, weights, index, attrs)
        image = (1, *size, 4 * (in_c % 4 + 1))
        yield from weighted(QUAD, random, image, (*kernel, image[3]), index, attrs)
    shapes = (
        ((1, 40, 1, 12), (15, 1), window((1, 1), (7, 0, 7, 0))),
        ((1, 1, 40, 12), (1, 10), window((1, 3))),
        ((1, 21, 23, 8), (7, 7), window((1, 1), (3, 3, 3, 3))),
        ((1, 19, 17, 8), (7, 7), window((2, 2), (2, 3, 3, 2))),
        ((1, 13, 14, 8), (3, 3), window((1, 2), (2, 3, 2, 3), (2, 3))),
        ((1, 12, 11, 4), (1, 2), window((1, 1), (2, 2, 2, 1))),
        ((1, 25, 20, 8), (3, 3), window((1, 1), (1, 1, 1, 1))),
        ((1, 48, 48, 4), (3, 3), window((1, 1), (1, 1, 1, 1))),
        ((1, 48, 48, 4), (3, 3), window((2, 2), (0, 0, 1, 1))),
    )
    for index, (image, kernel, attrs) in enumerate(shapes):
        for variant in (PLANE, QUAD):
            yield from weighted(variant, random, image, (*kernel, image[3]), index, attrs)


def dense_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    dense = next(v for v in mve.VARIANTS if (v.op, v.symbol) == ("dense", "mcuq_dense_s8_mve"))
    lengths = (*range(1, 18 if channels > 1 else 4), 64, 69, 200)
    for index, (in_len, out_len) in enumerate(itertools.product(lengths, lengths)):
        yield from weighted(dense, random, (1, in_len), (out_len, in_len), index)
    yield from weighted(dense, random, (1, 640), (128, 640), 1)


def pool_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    largest, mean = VARIANT["mcuq_max_pool2d_s8_mve"], VARIANT["mcuq_avg_pool2d_s8_mve"]
    for index, size, kernel, count, attrs in windows(random, channels):
        x = signed(random, (1, *size, count), KINDS[index % 3])
        geometry = {"kernel": kernel, "strides": attrs["strides"], "pads": attrs["pads"]}
        finer = int(random.integers(-3, 4))
        scales = {"left": max(0, finer), "right": max(0, -finer), "include_pad": index % 2 == 0}
        zeros = {"zero_x": (0, -128)[index % 2], "zero_y": (-128, 0)[index // 2 % 2]}
        ends = {"out_min": -100, "out_max": 127}
        dilated = {**geometry, "dilations": (1 + index % 5 // 4, 1)}
        for variant, numbers in (
            (largest, dilated),
            (mean, {**geometry, **scales, **zeros, **ends}),
        ):
            yield from pool(variant, x, numbers, index)


def pool(variant: Variant, x: Array, attrs: Attrs, index: int) -> Iterator[Case]:
    probe = Node(variant.op, variant.op, ("x",), ("y",), attrs)
    if not all(limit(probe, [x.shape]) for limit in spec(variant.op).limits):
        return
    out_shape = spec(variant.op).infer(probe, [x.shape])
    node, qgraph = one_node(variant.op, attrs, {"x": x}, {}, out_shape)
    overlap, misalign = (0, 0) if index % 2 else (None, index % 4)
    label = f"{variant.symbol} {x.shape} {attrs}"
    yield Case(variant, node, qgraph, {"x": x}, None, overlap, misalign, label)


def elementwise_cases(random: np.random.Generator, channels: int) -> Iterator[Case]:
    add, lut, from_u8 = (VARIANT[f"mcuq_{op}_s8_mve"] for op in ("add", "lut", "from_u8"))
    sums = (
        (1, 1, 1, 1), (1, -1, 0, 0), (2, 4, 3, 4), (-16, 1, 5, 16), (64, 64, 7, 8000),
        (128, 128, 8, 0), (2**20, -(2**20), 22, 2**21), (1, 2**15, 16, -(2**15)),
    )  # fmt: skip
    for count, (mul_a, mul_b, shift, bias) in itertools.product((1, 7, 8, 19, 33), sums):
        a, b = (signed(random, (1, count), KINDS[count % 2]) for _ in "ab")
        attrs: Attrs = {"mul_a": mul_a, "mul_b": mul_b, "shift": shift, "bias": bias}
        attrs |= {"out_min": -128 + count, "out_max": 127 - count}
        node, qgraph = one_node("add", attrs, {"a": a, "b": b}, {}, a.shape)
        overlap, misalign = ((0, 0), (1, 0), (None, 3))[count % 3]
        yield Case(add, node, qgraph, {"a": a, "b": b}, None, overlap, misalign, f"{attrs}")
    for count in range(1, 36):
        overlap, misalign = ((0, 0), (None, count % 4))[count % 2]
        x, table = signed(random, (1, count)), signed(random, (256,))
        node, qgraph = one_node("lut", {}, {"x": x}, {"table": table}, x.shape)
        yield Case(lut, node, qgraph, {"x": x}, None, overlap, misalign, f"lut {count}")
        node, qgraph = one_node("from_u8", {}, {"x": x.view(np.uint8)}, {}, x.shape)
        inputs = {"x": x.view(np.uint8)}
        yield Case(from_u8, node, qgraph, inputs, None, overlap, misalign, f"from_u8 {count}")


Maker = Callable[[np.random.Generator, int], Iterator[Case]]
MAKERS = [
    conv_cases, conv_3wide_cases, columns_cases, depthwise_cases, dense_cases, pool_cases,
    elementwise_cases,
]  # fmt: skip


def run(make: Maker, channels: int, target: str, folder: Path) -> None:
    batch: list[Case] = []
    size = 0
    for case in make(np.random.default_rng(29), channels):
        batch.append(case)
        size += sum(tensor.bytes for tensor in case.qgraph.tensors.values()) + 1000
        if size > 300_000 or len(batch) == BATCH:
            check(batch, TARGETS[target], folder)
            batch, size = [], 0
    if batch:
        check(batch, TARGETS[target], folder)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_the_host(make: Maker, tmp_path: Path) -> None:
    run(make, 1, "host", tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("make", MAKERS)
def test_exact_on_cortex_m55(make: Maker, tmp_path: Path) -> None:
    run(make, CHANNELS, "m55", tmp_path)


def one_depthwise(ports: tuple[str, ...], views: tuple[Node, ...] = ()) -> tuple[Node, QGraph]:
    random = np.random.default_rng(3)
    case = next(weighted(PLANE, random, (1, 4, 4, 8), (3, 3, 8), 0, window()))
    names = {name for node in views for name in node.outputs}
    tensors = {**case.qgraph.tensors, **{n: QTensor(n, (1, 8), "s8", 0) for n in names}}
    inputs = tuple(Port(name, name, (1,)) for name in ports if name == "x")
    outputs = tuple(Port(name, name, (1,)) for name in ports if name != "x")
    return case.node, QGraph("k", inputs, outputs, (case.node, *views), tensors)


@pytest.mark.parametrize(
    ("ports", "views", "accepted"),
    [
        ((), (), True),
        (("x",), (), False),
        (("y",), (), False),
        (("z",), (Node("reshape", "r", ("y",), ("z",)),), False),
    ],
)
def test_words_are_read_only_in_the_arena(
    ports: tuple[str, ...], views: tuple[Node, ...], accepted: bool
) -> None:
    node, qgraph = one_depthwise(ports, views)
    assert QUAD.accepts(node, qgraph) is accepted


def test_sizes_beyond_halfwords_are_refused() -> None:
    random = np.random.default_rng(5)
    wide, plain = (1, 1, 40000, 1), window() | {"groups": 1}
    assert not list(weighted(ANY_CONV, random, wide, (1, 1, 1, 1), 0, plain))
    assert not list(weighted(ANY_CONV, random, wide, (1, 1, 3, 1), 0, plain))
    assert not list(weighted(PLANE, random, wide, (1, 3, 1), 0, window()))
    assert list(weighted(ANY_CONV, random, (1, 200, 200, 1), (1, 1, 1, 1), 0, plain))


@pytest.mark.parametrize(
    ("weights", "attrs"),
    [
        ((4, 3, 3, 29), window()),  # 261 products
        ((4, 18, 1, 1), window()),  # offsets beyond a byte
        ((4, 2, 2, 4), window(dilations=(1, 2))),
    ],
)
def test_columns_that_offsets_do_not_reach_are_refused(
    weights: tuple[int, ...], attrs: Attrs
) -> None:
    random = np.random.default_rng(7)
    image = (1, 20, 9, weights[3])
    assert not list(weighted(COLUMNS, random, image, weights, 0, attrs | {"groups": 1}))
