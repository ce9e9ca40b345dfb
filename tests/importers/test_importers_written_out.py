"""Operators that are written out as others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, model, node, ops, random, save

from mcuq import importers
from mcuq.errors import McuqError

DEPTH, LEVELS = {"d": np.array(6), "v": np.array([0.0, 1.0], np.float32)}, {"x": ("N", 6)}
WRITTEN: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], str]] = {
    "the class of the largest": (
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("OneHot", "i d v", "y")],
        DEPTH, LEVELS, "hardmax",
    ),
    "other levels": (
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("OneHot", "i d v", "y")],
        {**DEPTH, "v": np.array([-1.0, 2.0], np.float32)}, LEVELS, "hardmax",
    ),
    "classes of places, in front": (
        [node("ArgMax", "x", "i", axis=3, keepdims=0), node("OneHot", "i d v", "y", axis=1)],
        {**DEPTH, "d": np.array(5)}, {"x": ("N", 4, 6, 5)}, "hardmax",
    ),
    "shares of a sum": (
        [node("Abs", "x", "a"), node("LpNormalization", "a", "y", p=1, axis=1)], {}, LEVELS,
        "reciprocal",
    ),
    "a part": ([node("Compress", "x c", "y", axis=1)],
               {"c": np.array([1, 0, 1, 1, 0, 0], bool)}, LEVELS, "copy"),
    "the middle": ([node("CenterCropPad", "x s", "y", axes=[1])], {"s": np.array([3])}, LEVELS,
                   "copy"),
    "the middle and around": (
        [node("CenterCropPad", "x s", "y", axes=[2, 3])], {"s": np.array([3, 8])},
        {"x": ("N", 4, 6, 5)}, "pad",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_written_out(name: str, tmp_path: Path) -> None:
    nodes, constants, inputs, op = WRITTEN[name]
    assert op in ops(agrees(model(nodes, constants, inputs, opset=18), tmp_path))


def test_boxes_are_chosen_in_the_users_code(tmp_path: Path) -> None:
    proto = model(
        [node("NonMaxSuppression", "b s", "y")], {}, {"b": (1, 6, 4), "s": (1, 1, 6)}
    )  # fmt: skip
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.raises(McuqError, match="give its boxes and scores as outputs"):
        importers.load(save(proto, tmp_path))


def test_turned_by_their_places(tmp_path: Path) -> None:
    angles = random(3, 4) * 3
    constants = {"c": np.cos(angles)[None], "s": np.sin(angles)[None]}
    proto = model(
        [node("Mul", "x g", "z"), node("RotaryEmbedding", "z c s", "y")],
        {**constants, "g": random(8)}, {"x": (1, 2, 3, 8)}, opset=23,
    )  # fmt: skip
    assert "copy" in ops(agrees(proto, tmp_path, rows=1))
