"""Shuffles of channels vanish in the weights behind them, and the network stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

SHUFFLE = [
    node("Conv", "x first", "c"), node("Reshape", "c three", "r"),
    node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]), node("Reshape", "t four", "s"),
]  # fmt: skip
CONSTANTS = {
    "first": random(12, 3, 1, 1),
    "three": np.array([1, 3, 4, 6, 5]), "four": np.array([1, 12, 6, 5]),
    "w": random(7, 12, 1, 1), "v": random(12, 1, 3, 3), "b": random(12),
    "g": random(12, 6, 1, 1), "u": random(24, 1, 3, 3), "wide": random(7, 24, 1, 1),
    "rest": random(1, 12, 6, 5), "flat": np.array([1, 12]), "d": random(5, 12),
}  # fmt: skip
INPUT = {"x": (1, 3, 6, 5)}
POINT, END = node("Conv", "s w", "y"), node("Conv", "e w", "y")
APART = node("Conv", "s v b", "p", group=12, pads=[1, 1, 1, 1])


def found(nodes: list[Any], folder: Path, outputs: str = "y") -> list[str]:
    return ops(agrees(model([*SHUFFLE, *nodes], CONSTANTS, INPUT, outputs), folder, rows=1))


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([POINT], ["conv2d"]),
        ([APART, node("Relu", "p", "e"), END], ["depthwise_conv2d", "conv2d"]),
        ([node("Sigmoid", "s", "p"), node("MaxPool", "p", "e", kernel_shape=[2, 2]), END],
         ["sigmoid", "max_pool2d", "conv2d"]),
        ([APART, node("Conv", "p w", "a"), node("Conv", "s w", "b2"), node("Add", "a b2", "y")],
         ["depthwise_conv2d", "conv2d", "conv2d", "add"]),
        ([node("GlobalAveragePool", "s", "p"), node("Reshape", "p flat", "f"),
          node("Gemm", "f d", "y", transB=1)], ["avg_pool2d", "reshape", "dense"]),
    ],
    ids=["pointwise", "depthwise", "pool", "both", "head"],
)  # fmt: skip
def test_shuffles_that_go(nodes: list[Any], left: list[str], tmp_path: Path) -> None:
    assert found(nodes, tmp_path) == ["conv2d", *left]


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([POINT], "y s"),
        ([node("Add", "s rest", "y")], "y"),
        ([node("Conv", "s g", "y", group=2)], "y"),
        ([node("Conv", "s u", "e", group=12), node("Conv", "e wide", "y")], "y"),
        ([APART, node("Add", "p s", "e"), END], "y"),
    ],
    ids=["an output", "a sum", "groups", "a multiplier", "a residual"],
)
def test_shuffles_that_stay(nodes: list[Any], outputs: str, tmp_path: Path) -> None:
    assert {"copy", "transpose"} & set(found(nodes, tmp_path, outputs))


def test_other_movements_stay(tmp_path: Path) -> None:
    """Rows that change places are no channels."""
    nodes = [SHUFFLE[0], node("Transpose", "c", "s", perm=[0, 1, 3, 2]), POINT]
    left = ops(agrees(model(nodes, CONSTANTS, {"x": (1, 3, 5, 5)}), tmp_path, rows=1))
    assert left == ["conv2d", "transpose", "conv2d"]
