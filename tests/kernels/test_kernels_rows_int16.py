"""matmul, softmax, normalize and tables of s16 data, with the DSP extension and with Helium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check
from test_kernels_int16 import CORES, case, data

from mcuq.ops.normalize import frac_of_rows, scaled_epsilon
from mcuq.ops.softmax import distance_factor, exp_points

FULL, NARROW = (-32768, 32767), (-5000, 6000)


def product(
    kind: str, sizes: tuple[int, int, int], by_rows: bool, limits: tuple[int, int] = FULL,
    extremes: bool = False, step_out: int = 1,
) -> Case:  # fmt: skip
    """(rows, k) times (columns, k), or (k, columns), for a batch of two."""
    rows, columns, depth = sizes
    random = np.random.default_rng(sum(sizes))
    shift = max(1, int(depth * 2**30).bit_length() - (31 if extremes else 22))
    out = (columns, 1) if step_out == 1 else (1, rows)
    attrs = {
        "sizes": (1, 2, rows, columns, depth),
        "start_a": 0,
        "start_b": 0,
        "steps_a": (0, rows * depth, depth, 1),
        "steps_b": (0, columns * depth, *((depth, 1) if by_rows else (1, columns))),
        "steps_out": (0, rows * columns, *out),
        "zero_a": 0,
        "zero_b": 0,
        "bias": (1 << shift) >> 1,
        "shift": shift,
        "out_min": limits[0],
        "out_max": limits[1],
        "shape": (1, 2, rows, columns),
    }
    acts = {
        "a": data(random, extremes, 1, 2, rows, depth),
        "b": data(random, extremes, 1, 2, columns, depth),
    }
    made = case(kind, "matmul", attrs, acts, {})
    assert made.variant.accepts(made.node, made.qgraph)
    return made


def softmax(kind: str, rows: int, length: int, frac: int, out: int, overlap: int | None) -> Case:
    random = np.random.default_rng(length)
    mul, shift = distance_factor(frac, 1.0)
    attrs = {"mul": mul, "shift": shift, "frac": out, "scale": 1.0}
    x = data(random, False, 1, rows, length)
    made = case(kind, "softmax", attrs, {"x": x}, {"t": exp_points().astype(np.int16)}, overlap)
    assert made.variant.accepts(made.node, made.qgraph)
    return made


def normalize(
    kind: str, rows: int, width: int, spread: int, centered: bool, limits: tuple[int, int] = FULL,
    epsilon: float = 1e-5, extremes: bool = False,
) -> Case:  # fmt: skip
    """Values that lie ``spread`` apart at most."""
    random = np.random.default_rng(width)
    x = random.integers(-spread // 2, spread // 2 + 1, (1, rows, width)).astype(np.int16)
    x = data(random, True, 1, rows, width) if extremes else x
    scaled = scaled_epsilon(epsilon, width, 12)
    attrs = {
        "sizes": (rows, width, 1, 1),
        "centered": int(centered),
        "zero": 32768,
        "epsilon": scaled[0],
        "epsilon_shift": scaled[1],
        "frac": frac_of_rows(width),
        "shift": 14,
        "out_min": limits[0],
        "out_max": limits[1],
    }
    gamma = random.integers(-20000, 20000, width).astype(np.int16)
    beta = random.integers(-(2**25), 2**25, width).astype(np.int32)
    made = case(kind, "normalize", attrs, {"x": x}, {"g": gamma, "b": beta}, 0)
    assert made.variant.accepts(made.node, made.qgraph)
    return made


def table(kind: str, count: int) -> Case:
    random = np.random.default_rng(count)
    points = data(random, count % 2 == 1, 513)
    return case(
        kind,
        "lut16",
        {},
        {"x": data(random, False, 1, count)},
        {"t": points},
        0 if count % 2 else None,
    )


def cases(kind: str) -> Iterator[Case]:
    for index, sizes in enumerate(
        ((1, 4, 1), (2, 5, 2), (3, 6, 3), (4, 7, 4), (5, 8, 5), (6, 9, 7), (7, 11, 8), (3, 4, 9),
         (2, 12, 15), (2, 13, 16), (2, 4, 17), (3, 17, 33), (2, 6, 64))
    ):  # fmt: skip
        limits = NARROW if index % 3 == 0 else FULL
        apart = 2 if kind == "dsp" and index % 4 == 0 else 1
        yield product(kind, sizes, index % 2 == 0, limits, step_out=apart)
        yield product(kind, sizes, index % 2 == 1, FULL, extremes=True)
    for rows, length in ((1, 1), (3, 2), (2, 3), (4, 7), (3, 8), (2, 9), (5, 33), (1, 300)):
        for frac, out in ((12, 15), (9, 13), (15, 10)):
            yield softmax(kind, rows, length, frac, out, 0 if frac > 9 else None)
    for width in (1, 2, 3, 4, 5, 7, 8, 9, 31, 64):
        for spread in (0, 3, 60, 2000, 65534):
            yield normalize(kind, 3, width, spread, spread % 4 < 3, NARROW if width % 2 else FULL)
        yield normalize(kind, 2, width, 9, True, epsilon=50.0)
        yield normalize(kind, 2, width, 9, width % 2 == 0, extremes=True)
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40):
        yield table(kind, count)


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
    """Of a small vision transformer."""
    yield product(kind, (65, 65, 16), by_rows=True)
    yield product(kind, (65, 16, 65), by_rows=False)
    yield product(kind, (49, 48, 48), by_rows=True)
    yield softmax(kind, 40, 65, 12, 15, 0)
    yield softmax(kind, 3, 300, 12, 15, 0)
    yield normalize(kind, 65, 48, 20000, True)
    yield normalize(kind, 8, 300, 20000, True)
    yield table(kind, 6240)


@pytest.mark.emulated
@pytest.mark.parametrize(("kind", "core"), [("dsp", "m4"), ("mve", "m55")])
def test_cost_is_what_is_measured(kind: str, core: str, tmp_path: Path) -> None:
    """Within 15 %."""
    cases = list(layers(kind))
    for made, outcome in zip(cases, check(cases, TARGETS[core], tmp_path), strict=True):
        cost = made.variant.cost(made.node, made.qgraph, CORES[kind])
        assert cost == pytest.approx(outcome.instructions, rel=0.15), made.label


def test_what_is_left_to_other_kernels() -> None:
    """Few columns, steps in a, sums that 32 bits do not hold, masks, rows that are not whole."""
    for kind in ("dsp", "mve"):
        made = product(kind, (4, 4, 16), by_rows=True)
        for attrs in (
            {"sizes": (1, 2, 4, 3, 16)}, {"steps_a": (0, 64, 1, 4)}, {"shift": 2}, {"shift": 0}
        ):  # fmt: skip
            assert not made.variant.accepts(made.node.with_attrs(**attrs), made.qgraph), attrs
    made = product("mve", (4, 4, 16), by_rows=True)
    assert not made.variant.accepts(made.node.with_attrs(steps_out=(0, 16, 1, 4)), made.qgraph)
    masked = softmax("mve", 2, 3, 12, 15, None)
    named = masked.node.inputs
    assert not masked.variant.accepts(
        type(masked.node)("softmax", "y", (*named, "mask"), ("y",), masked.node.attrs),
        masked.qgraph,
    )
    fine = softmax("dsp", 2, 3, 12, 15, None)
    assert not fine.variant.accepts(fine.node.with_attrs(shift=0), fine.qgraph)
    groups = normalize("dsp", 2, 4, 100, True)
    assert not groups.variant.accepts(groups.node.with_attrs(sizes=(1, 2, 2, 2)), groups.qgraph)
