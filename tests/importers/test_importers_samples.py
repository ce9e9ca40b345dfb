"""GridSample and MaxUnpool, against onnx's own evaluator and torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_models import agrees, model, node, ops, random, run_graph, save
from torch.nn import functional

from mcuq import importers
from mcuq.errors import McuqError

INSIDE = random(1, 3, 7, 2, low=-0.9, high=0.9)
BEYOND = random(1, 3, 7, 2, seed=1, low=-2.5, high=2.5)
MODES = ("linear", "nearest", "cubic")


def sampled(grid: Any, **attrs: Any) -> Any:
    return model([node("GridSample", "x g", "y", **attrs)], {"g": grid}, opset=20)


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("around", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", MODES)
def test_samples(mode: str, around: str, corners: int, tmp_path: Path) -> None:
    inside = mode == "cubic" and around == "border"
    proto = sampled(
        INSIDE if inside else BEYOND, mode=mode, padding_mode=around, align_corners=corners
    )
    agrees(proto, tmp_path, rows=1)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_samples_as_torch_does(mode: str, tmp_path: Path) -> None:
    """Opset 16 calls the modes otherwise."""
    proto = model([node("GridSample", "x g", "y", mode=mode, padding_mode="reflection")],
                  {"g": BEYOND}, opset=16)  # fmt: skip
    x = random(2, 4, 6, 5)
    found = run_graph(importers.load(save(proto, tmp_path)), {"x": x})["y"]
    grid = torch.from_numpy(BEYOND).expand(2, -1, -1, -1)
    wanted = functional.grid_sample(
        torch.from_numpy(x), grid, mode, "reflection", align_corners=False
    )
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_whole_steps_are_a_copy(tmp_path: Path) -> None:
    """A grid that meets elements has no shares: nothing is multiplied."""
    places = (2 * np.arange(5) + 1) / 5 - 1
    rows = (2 * np.arange(3) + 1) / 6 - 1
    grid = np.stack(np.broadcast_arrays(places[None, :], rows[:, None]), -1)[None]
    graph = agrees(sampled(grid.astype(np.float32), mode="nearest"), tmp_path, rows=1)
    assert "mul" not in ops(graph)


REFUSED = {
    "a computed grid": (
        {"x": ("N", 4, 6, 5), "g": ("N", 3, 7, 2)}, {}, {}, "its grid is computed at run time",
    ),
    "cubic beyond the border": (
        {"x": ("N", 4, 6, 5)}, {"g": BEYOND}, {"mode": "cubic", "padding_mode": "border"},
        "read in two ways",
    ),
    "volumes": (
        {"x": ("N", 4, 6, 5, 3)}, {"g": np.zeros((1, 2, 2, 2, 3), np.float32)}, {},
        "5-dimensional data",
    ),
    "nothing": (
        {"x": ("N", 4, 6, 5)}, {"g": np.full((1, 2, 2, 2), 7, np.float32)}, {}, "outside",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_samples(name: str, tmp_path: Path) -> None:
    inputs, constants, attrs, reason = REFUSED[name]
    proto = model([node("GridSample", "x g", "y", **attrs)], constants, inputs, opset=20)
    with pytest.raises(McuqError, match=reason):
        importers.load(save(proto, tmp_path))


def unpooled(kernel: tuple[int, ...], inputs: dict[str, Any], **attrs: Any) -> Any:
    pool = {"kernel_shape": kernel, "strides": kernel, **attrs}
    return model(
        [
            node("MaxPool", "x", "p i", **pool),
            node("Neg", "p", "n"),
            node("MaxUnpool", "n i", "y", kernel_shape=kernel, strides=kernel),
        ],
        {},
        inputs,
    )


@pytest.mark.parametrize(
    ("kernel", "shape"), [((2, 2), (1, 4, 6, 8)), ((3, 2), (1, 3, 6, 4)), ((2,), (1, 3, 8))]
)
def test_values_go_back_where_they_were(
    kernel: tuple[int, ...], shape: tuple[int, ...], tmp_path: Path
) -> None:
    graph = importers.load(save(unpooled(kernel, {"x": shape}), tmp_path))
    x = random(*shape).round(1)  # equal values lie in a window: the first one counts
    pool, back = (
        (functional.max_pool2d, functional.max_unpool2d)
        if len(kernel) == 2
        else (functional.max_pool1d, functional.max_unpool1d)
    )
    values, places = pool(torch.from_numpy(x), kernel, return_indices=True)
    wanted = back(-values, places, kernel)
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["y"], wanted.numpy())


def test_values_go_where_constants_say(tmp_path: Path) -> None:
    places = {"i": np.array([[[[5, 7], [13, 15]]]])}
    up = node("MaxUnpool", "n i", "y", kernel_shape=[2, 2], strides=[2, 2])
    proto = model([node("Neg", "x", "n"), up], places, {"x": (1, 1, 2, 2)})
    agrees(proto, tmp_path, rows=1)


@pytest.mark.parametrize(
    "attrs", [{"strides": (1, 1)}, {"pads": (1, 1, 0, 0)}, {"storage_order": 1}]
)
def test_windows_that_overlap_are_refused(attrs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="whose strides are its kernel"):
        importers.load(save(unpooled((2, 2), {"x": (1, 4, 6, 8)}, **attrs), tmp_path))


def scattered(begin: int = 24, zeros: int = 72) -> Any:
    """As PyTorch's newer exporter writes max_unpool2d of (1, 3, 4, 6)."""
    channels = (np.arange(3) * begin).reshape(1, 3, 1, 1)
    constants = {
        "s": np.array([0, 0]), "e": np.array([1, 1]), "a": np.array([2, 3]), "c": channels,
        "flat": np.array([-1]), "zeros": np.zeros(zeros, np.float32),
        "shape": np.array([1, 3, 4, 6]),
    }  # fmt: skip
    nodes = [
        node("MaxPool", "x", "p i", kernel_shape=[2, 2], strides=[2, 2]),
        node("MaxPool", "x", "q j", kernel_shape=[1, 1], strides=[1, 1]),
        node("Slice", "j s e a", "first"), node("Sub", "i first", "plane"),
        node("Add", "plane c", "whole"), node("Reshape", "whole flat", "row"),
        node("Unsqueeze", "row flat", "places"), node("Neg", "p", "n"),
        node("Reshape", "n flat", "values"), node("ScatterND", "zeros places values", "laid"),
        node("Reshape", "laid shape", "y"),
    ]  # fmt: skip
    return model(nodes, constants, {"x": (1, 3, 4, 6)}, opset=18)


def test_values_are_scattered_where_they_were(tmp_path: Path) -> None:
    graph = importers.load(save(scattered(), tmp_path))
    x = random(1, 3, 4, 6).round(1)
    values, places = functional.max_pool2d(torch.from_numpy(x), 2, return_indices=True)
    wanted = functional.max_unpool2d(-values, places, 2)
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["y"], wanted.numpy())


@pytest.mark.parametrize(("begin", "zeros"), [(25, 80), (24, 73)])
def test_values_that_are_scattered_elsewhere_are_refused(
    begin: int, zeros: int, tmp_path: Path
) -> None:
    faults = importers.problems_of(save(scattered(begin, zeros), tmp_path))
    assert any("is computed at run time" in str(fault) for fault in faults)
