"""The float reference of windows: all small shapes against sums of numpy, in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mcuq.ir import Node
from mcuq.ops import float_of
from mcuq.ops.parts import windows
from mcuq.ops.parts.windows import Window

SIZES = ((1, 1), (1, 3), (5, 3), (6, 2), (20, 5))
KERNELS = ((1, 1), (1, 2), (2, 1), (3, 3), (5, 3))
STRIDES = ((1, 1), (1, 2), (1, 3), (2, 1), (3, 2))
PADS = ((0, 0, 0, 0), (2, 0, 2, 0), (0, 1, 1, 0))
DILATIONS = ((1, 1), (2, 1), (1, 2))
ROWS = 3


def shapes() -> list[tuple[tuple[int, int], Window]]:
    """Every image size with every window that has a place in it."""
    found = []
    for size, kernel, strides, dilation, pads in itertools.product(
        SIZES, KERNELS, STRIDES, DILATIONS, PADS
    ):
        win = Window(kernel, strides, dilation, pads)
        if windows.fits(win, (1, *size, 1)):
            found.append((size, win))
    return found


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(op: str, win: Window, *inputs: np.ndarray, **more: object) -> np.ndarray:
    attrs = {
        "kernel": win.kernel, "strides": win.strides, "dilations": win.dilations,
        "pads": win.pads, "clip": (-np.inf, np.inf), "pad_value": (0.0,), **more,
    }  # fmt: skip
    node = Node(op, op, tuple("xwb"[: len(inputs)]), ("y",), attrs)
    return float_of(node)(node, [torch.from_numpy(values) for values in inputs]).numpy()


def taps(x: np.ndarray, win: Window, outside: float = 0.0) -> np.ndarray:
    """(N, out_h, out_w, kh, kw, C) in float64, one place and tap after the other."""
    top, left, bottom, right = win.pads
    edges = ((0, 0), (top, bottom), (left, right), (0, 0))
    wide = np.pad(x.astype(np.float64), edges, constant_values=outside)
    rows, columns = win.out_size(x.shape[1], x.shape[2])
    found = np.empty((len(x), rows, columns, *win.kernel, x.shape[3]))
    for oy, ox, ky, kx in np.ndindex(rows, columns, *win.kernel):
        y = oy * win.strides[0] + ky * win.dilations[0]
        found[:, oy, ox, ky, kx] = wide[:, y, ox * win.strides[1] + kx * win.dilations[1]]
    return found


def near(found: np.ndarray, wanted: np.ndarray) -> None:
    """Float noise of sums of at most 60 products of values around 1."""
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("depth", "channels", "groups"), [(1, 1, 1), (1, 8, 1), (4, 6, 2)])
def test_convolutions(depth: int, channels: int, groups: int) -> None:
    for size, win in shapes():
        x = values(0, ROWS, *size, depth)
        weights, bias = values(1, channels, *win.kernel, depth // groups), values(2, channels)
        parts = np.split(taps(x, win), groups, axis=-1)
        kernels = np.split(weights.astype(np.float64), groups)
        sums = [np.einsum("nyxabc,oabc->nyxo", p, k) for p, k in zip(parts, kernels, strict=True)]
        near(run("conv2d", win, x, weights, bias, groups=groups), np.concatenate(sums, -1) + bias)


@pytest.mark.parametrize(("depth", "multiplier"), [(1, 1), (1, 4), (3, 1), (2, 2)])
def test_depthwise_convolutions(depth: int, multiplier: int) -> None:
    for size, win in shapes():
        x, weights = values(0, ROWS, *size, depth), values(1, *win.kernel, depth * multiplier)
        wide = np.repeat(taps(x, win), multiplier, axis=-1)
        sums = np.einsum("nyxabc,abc->nyxc", wide, weights.astype(np.float64))
        found = run("depthwise_conv2d", win, x, weights, values(2, depth * multiplier))
        near(found, sums + values(2, depth * multiplier))


@pytest.mark.parametrize("depth", [1, 3])
def test_pools(depth: int) -> None:
    for size, win in shapes():
        if not windows.covers(win, (1, *size, depth)):
            continue
        x = values(0, ROWS, *size, depth)
        wanted = taps(x, win, -np.inf).max((3, 4))
        assert np.array_equal(run("max_pool2d", win, x), wanted.astype(np.float32))
        if win.dilations != (1, 1):
            continue
        inside = taps(np.ones_like(x), win).sum((3, 4))
        total = taps(x, win).sum((3, 4))
        near(run("avg_pool2d", win, x, include_pad=False), total / inside)
        near(run("avg_pool2d", win, x, include_pad=True), total / win.area())


def test_the_public_case_repeats() -> None:
    """Conv2d(1, 8, (5, 3), stride=(1, 2), padding=(2, 0)) on 1 x 50 x 3."""
    win = Window((5, 3), (1, 2), (1, 1), (2, 0, 2, 0))
    x, weights, bias = values(0, 7, 50, 3, 1), values(1, 8, 5, 3, 1), values(2, 8)
    sums = np.einsum("nyxabc,oabc->nyxo", taps(x, win), weights.astype(np.float64))
    near(run("conv2d", win, x, weights, bias, groups=1), sums + bias)
