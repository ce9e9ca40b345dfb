"""Windows over several images of one inference, folded into the first axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

SERIES, IMAGES = (1, 3, 4, 10), (1, 3, 4, 7, 6)
WINDOWS: dict[str, tuple[tuple[int, ...], Any, dict[str, Any], set[str]]] = {
    "a series": (
        SERIES, node("Conv", "r w", "y", pads=[2, 0], dilations=[2]), {"w": random(5, 4, 3)},
        {"conv2d", "depthwise_conv2d"},
    ),
    "a series grows": (
        SERIES, node("ConvTranspose", "r w", "y", strides=[2], output_padding=[1]),
        {"w": random(4, 2, 3)}, {"conv2d", "copy"},
    ),
    "the mean of a series": (
        SERIES, node("AveragePool", "r", "y", kernel_shape=[3], strides=[2], pads=[1, 1]), {},
        {"avg_pool2d"},
    ),
    "images": (
        IMAGES, node("Conv", "r w", "y", pads=[1, 1, 1, 1]), {"w": random(5, 4, 3, 3)},
        {"conv2d", "pad", "copy"},
    ),
    "images, every other row": (
        IMAGES, node("Conv", "r w b", "y", strides=[2, 2], auto_pad="SAME_UPPER"),
        {"w": random(5, 4, 3, 2), "b": random(5)}, {"conv2d", "pad", "copy"},
    ),
    "images, each pixel": (
        IMAGES, node("Conv", "r w", "y"), {"w": random(5, 4, 1, 1)}, {"conv2d"},
    ),
    "the largest of images": (
        IMAGES, node("MaxPool", "r", "y", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1), {},
        {"max_pool2d"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
def test_several_images(name: str, tmp_path: Path) -> None:
    shape, window, constants, expected = WINDOWS[name]
    nodes = [node("Tanh", "x", "t"), node("Reshape", "t s", "r"), window]
    constants = {**constants, "s": np.array(shape[1:])}
    nodes += [node("Reshape", "y n", "z")]
    constants["n"] = np.array([1, 3, -1])
    graph = agrees(model(nodes, constants, {"x": shape}, "z"), tmp_path, rows=1)
    assert set(ops(graph)) - {"tanh", "reshape", "transpose"} <= expected
