"""mul, operands that repeat, and pools of s16 data, with the DSP extension and with Helium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check
from test_kernels_int16 import CORES, case, data

from mcuq.ir import Shape

FULL, NARROW = (-32768, 32767), (-5000, 6000)


def pair(
    kind: str, op: str, shapes: tuple[Shape, Shape], limits: tuple[int, int] = FULL,
    extremes: bool = False, overlap: int | None = None,
) -> Case:  # fmt: skip
    """``op``: mul, mul_broadcast or add_broadcast."""
    random = np.random.default_rng(sum(map(sum, shapes)))
    shift = int(random.integers(10, 18)) if op.startswith("mul") else int(random.integers(0, 13))
    attrs: dict[str, object] = {
        "shift": shift, "bias": (1 << shift) >> 1, "out_min": limits[0], "out_max": limits[1]
    }  # fmt: skip
    if op.startswith("add"):
        attrs |= {"mul_a": int(2 ** random.integers(0, 13)), "mul_b": -(2**9)}
    else:
        attrs |= {"zero_a": 0, "zero_b": 0}
    acts = {name: data(random, extremes, *shape) for name, shape in zip("ab", shapes, strict=True)}
    made = case(kind, op, attrs, acts, {}, overlap)
    assert made.variant.accepts(made.node, made.qgraph)
    return made


def pool(
    kind: str, op: str, image: tuple[int, int, int], kernel: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0), strides: tuple[int, int] = (1, 1),
    extremes: bool = False, right: int = 0,
) -> Case:  # fmt: skip
    random = np.random.default_rng(sum(image))
    attrs: dict[str, object] = {"kernel": kernel, "strides": strides, "pads": pads}
    if op == "max_pool2d":
        attrs |= {"dilations": (1 + sum(image) % 2, 1)}
    else:
        limits = NARROW if image[2] % 2 else FULL
        attrs |= {
            "include_pad": image[0] % 2 == 0, "left": 0, "right": right, "zero_x": 0, "zero_y": 0,
            "out_min": limits[0], "out_max": limits[1],
        }  # fmt: skip
    return case(kind, op, attrs, {"x": data(random, extremes, 1, *image)}, {})


def cases(kind: str) -> Iterator[Case]:
    for count in (*range(1, 10), 31, 32, 33):
        shape = (1, count)
        limits = NARROW if count % 2 else FULL
        yield pair(kind, "mul", (shape, shape), limits, count % 3 == 0, count % 2)
    for op in ("mul_broadcast", "add_broadcast"):
        for channels in (1, 2, 3, 4, 5, 8, 17):
            whole = (1, 3, 2, channels)
            for other in ((1, 1, 1, channels), (1, 3, 2, 1), (1, 3, 1, 1)):
                limits = NARROW if channels % 2 else FULL
                yield pair(kind, op, (whole, other), limits, channels % 3 == 0, 0)
                yield pair(kind, op, (other, whole), FULL, False, 1)
    for channels in (1, 3, 4, 5, 7, 8, 9, 12, 16, 19):
        for op in ("max_pool2d", "avg_pool2d"):
            yield pool(kind, op, (5, 6, channels), (2, 2), strides=(2, 2))
            yield pool(kind, op, (7, 5, channels), (3, 3), (1, 1, 1, 1), extremes=True)
            yield pool(kind, op, (9, 3, channels), (5, 1), right=channels % 3)


@pytest.mark.parametrize("kind", ["dsp", "mve"])
def test_equal_on_the_host_with_sanitizers(kind: str, tmp_path: Path) -> None:
    check(list(cases(kind)), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("kind", "core"), [("dsp", "m4"), ("dsp", "m4-clang"), ("mve", "m55"), ("mve", "m55-clang")]
)
def test_equal_in_emulation(kind: str, core: str, tmp_path: Path) -> None:
    check(list(cases(kind)), TARGETS[core], tmp_path)


def layers(kind: str) -> Iterator[Case]:
    """Gates, positions, pools of images."""
    yield pair(kind, "mul", ((1, 3000), (1, 3000)))
    yield pair(kind, "mul_broadcast", ((1, 12, 12, 48), (1, 1, 1, 48)))
    yield pair(kind, "add_broadcast", ((1, 12, 12, 48), (1, 12, 12, 1)))
    for op in ("max_pool2d", "avg_pool2d"):
        yield pool(kind, op, (16, 17, 32), (2, 2), strides=(2, 2))
        yield pool(kind, op, (8, 8, 64), (8, 8))


@pytest.mark.emulated
@pytest.mark.parametrize(("kind", "core"), [("dsp", "m4"), ("mve", "m55")])
def test_cost_is_what_is_measured(kind: str, core: str, tmp_path: Path) -> None:
    """Within 20 %."""
    made = list(layers(kind))
    for one, outcome in zip(made, check(made, TARGETS[core], tmp_path), strict=True):
        cost = one.variant.cost(one.node, one.qgraph, CORES[kind])
        assert cost == pytest.approx(outcome.instructions, rel=0.2), one.label
