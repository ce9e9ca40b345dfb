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


TWICE = np.array([[[0, 0, 2, 2, 2], [1, 0, 0, 0, 2]]])
EDGES = np.array([[[0, 0], [0, 3], [0, 3], [0, 1], [0, 0], [0, 3]]])


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_updates_of_places(reduction: str, tmp_path: Path) -> None:
    """Several of one place, but without a reduction: that is for each once."""
    once = np.array([[[0, 1, 2, 0, 1]]]) if reduction == "none" else TWICE
    scatter = node("ScatterElements", "r i u", "y", axis=1, reduction=reduction)
    constants = {"i": once, "u": random(*once.shape)}
    nodes = [node("Tanh", "x", "r"), scatter]
    agrees(model(nodes, constants, {"x": (1, 3, 5)}, opset=18), tmp_path, rows=1)


def test_messages_along_constant_edges(tmp_path: Path) -> None:
    """A graph network: what neighbours send is added up."""
    nodes = [node("MatMul", "x w", "h"), node("Gather", "h from", "m", axis=1),
             node("ScatterND", "zeros to m", "y", reduction="add")]  # fmt: skip
    constants = {"w": random(3, 4), "from": np.array([1, 2, 0, 3, 3, 1]), "to": EDGES,
                 "zeros": np.zeros((1, 4, 4), np.float32)}  # fmt: skip
    agrees(model(nodes, constants, {"x": (1, 4, 3)}, opset=18), tmp_path, rows=1)


TRANSFORMED: dict[str, tuple[tuple[int, ...], dict[str, Any], dict[str, Any], str]] = {
    "reals": ((1, 10, 3, 1), {"axis": np.array(1)}, {}, "x - axis"),
    "pairs, the last axis but one": ((1, 3, 7, 2), {}, {}, "x"),
    "one side": ((1, 8, 3, 1), {"axis": np.array(1)}, {"onesided": 1}, "x - axis"),
    "back": ((1, 3, 8, 2), {}, {"inverse": 1}, "x"),
    "back to reals": ((1, 3, 5, 2), {}, {"inverse": 1, "onesided": 1}, "x"),
    "padded": ((1, 3, 7, 1), {"n": np.array(12)}, {}, "x n"),
    "cut": ((1, 3, 9, 1), {"n": np.array(6)}, {"onesided": 1}, "x n"),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_fourier_transforms_are_products(name: str, tmp_path: Path) -> None:
    shape, constants, attrs, inputs = TRANSFORMED[name]
    graph = agrees(
        model([node("DFT", inputs, "y", **attrs)], constants, {"x": shape}, opset=20),
        tmp_path, rows=1, tolerance=1e-4,
    )  # fmt: skip
    assert "conv2d" in ops(graph)


def test_a_fourier_transform_of_three_numbers_each_is_refused(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="of reals or pairs"):
        importers.load(save(model([node("DFT", "x", "y")], {}, {"x": (1, 4, 5, 3)}), tmp_path))
