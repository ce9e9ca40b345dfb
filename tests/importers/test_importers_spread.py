"""Sums and products of values of any two shapes that broadcast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

SHAPES = [
    ((3, 1, 4), (1, 5, 4)),
    ((3, 1, 4), (1, 5, 1)),
    ((1, 5, 4), (3, 1, 1)),
    ((3, 5, 1), (1, 1, 4)),
    ((4, 1, 1), (1, 5, 6)),
    ((1, 5, 5), (2, 5, 5)),
]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_two_values_of_any_shapes(
    op: str, a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path
) -> None:
    inputs = {"a": ("N", *a), "b": ("N", *b)}
    nodes = [node("Relu", "a", "r"), node(op, "r b", "y")]
    agrees(model(nodes, {}, inputs), tmp_path)
    agrees(model([node(op, "b a", "y")], {}, inputs), tmp_path)


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_a_value_and_a_constant_of_any_shapes(
    a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path
) -> None:
    nodes = [node("Sub", "c x", "t"), node("Mul", "t d", "y")]
    constants = {"c": random(1, *b), "d": random(*b)}
    agrees(model(nodes, constants, {"x": ("N", *a)}), tmp_path)


def test_a_mask_for_all_heads_is_read_as_it_is(tmp_path: Path) -> None:
    inputs = {"x": ("N", 2, 5, 5), "m": ("N", 1, 5, 5)}
    flat = [
        node("Reshape", "x shape", "f"), node("Softmax", "f", "s"), node("Reshape", "s back", "t"),
        node("Add", "t m", "y"),
    ]  # fmt: skip
    constants = {"shape": np.array([0, 10, 5]), "back": np.array([0, 2, 5, 5])}
    assert "copy" not in ops(agrees(model(flat, constants, inputs), tmp_path))
