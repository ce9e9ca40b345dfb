"""Operators that move elements, against onnx's evaluator; what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random, save

from mcuq import importers

IMAGE = {"x": (1, 6, 5, 4)}
ROW = {"x": (1, 12)}


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


CASES = {
    "rows of an image": ([node("Slice", "x s e a", "y")],
                         {"s": ints(1), "e": ints(4), "a": ints(2)}, IMAGE),
    "every other channel": ([node("Slice", "x s e a t", "y")],
                            {"s": ints(0), "e": ints(6), "a": ints(1), "t": ints(2)}, IMAGE),
    "columns backwards": ([node("Slice", "x s e a t", "y")],
                          {"s": ints(-1), "e": ints(-4), "a": ints(3), "t": ints(-1)}, IMAGE),
    "a corner": ([node("Slice", "x s e", "y")],
                 {"s": ints(0, 1, 1, 1), "e": ints(1, 6, 5, 3)}, IMAGE),
    "part of a vector": ([node("Slice", "x s e a", "y")],
                         {"s": ints(3), "e": ints(11), "a": ints(1)}, ROW),
    "halves": ([node("Split", "x", "p q", axis=1, num_outputs=2), node("Mul", "p q", "y")],
               {}, IMAGE),
    "uneven parts": ([node("Split", "x n", "p q", axis=1), node("Concat", "q p", "y", axis=1)],
                     {"n": ints(2, 4)}, IMAGE),
    "channels by number": ([node("Gather", "x i", "y", axis=1)], {"i": ints(5, 0, 0, 3)}, IMAGE),
    "one row": ([node("Gather", "x i", "y", axis=2)], {"i": np.array(3, np.int64)}, IMAGE),
    "repeated": ([node("Tile", "x n", "y")], {"n": ints(1, 2, 1, 3)}, IMAGE),
    "spread": ([node("Expand", "x s", "y")], {"s": ints(1, 6, 5, 4)}, {"x": (1, 6, 1, 4)}),
    "mirrored edges": ([node("Pad", "x p", "y", mode="reflect")],
                       {"p": ints(0, 0, 2, 1, 0, 0, 1, 2)}, IMAGE),
    "edges again": ([node("Pad", "x p", "y", mode="edge")],
                    {"p": ints(0, 0, 1, 0, 0, 0, 2, 3)}, IMAGE),
    "around": ([node("Pad", "x p", "y", mode="wrap")],
               {"p": ints(0, 0, 1, 0, 0, 0, 2, 3)}, IMAGE, 19),
    "twice as large": ([node("Resize", "x - s", "y", nearest_mode="floor",
                             coordinate_transformation_mode="asymmetric")],
                       {"s": np.array([1, 1, 2, 2], np.float32)}, IMAGE),
    "to a size": ([node("Resize", "x - - n", "y")], {"n": ints(1, 6, 7, 3)}, IMAGE),
    "smaller, between convolutions": (
        [node("Conv", "x w", "c"), node("Slice", "c s e a", "d"), node("Conv", "d v", "y")],
        {"w": random(8, 6, 1, 1), "s": ints(2), "e": ints(7), "a": ints(1),
         "v": random(3, 5, 3, 3)}, IMAGE),
    "a sequence": ([node("Slice", "x s e a", "y")],
                   {"s": ints(2), "e": ints(9), "a": ints(2)}, {"x": (1, 3, 10)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_agrees_with_the_evaluator(case: Any, tmp_path: Path) -> None:
    nodes, constants, inputs, *opset = case
    agrees(model(nodes, constants, inputs, opset=opset[0] if opset else 18), tmp_path, rows=1)


def test_channels_between_convolutions_are_one_copy(tmp_path: Path) -> None:
    nodes, constants, inputs = CASES["smaller, between convolutions"]
    graph = agrees(model(nodes, constants, inputs, opset=18), tmp_path, rows=1)
    assert ops(graph) == ["conv2d", "copy", "conv2d"]


def test_an_empty_slice_is_refused(tmp_path: Path) -> None:
    proto = model([node("Slice", "x s e a", "h"), node("Relu", "h", "y")],
                  {"s": ints(3), "e": ints(3), "a": ints(1)}, IMAGE)  # fmt: skip
    (problem,) = importers.problems_of(save(proto, tmp_path))
    assert "node 'Slice:h'" in str(problem)
