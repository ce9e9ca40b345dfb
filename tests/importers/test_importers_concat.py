"""Concat of computed values and constants."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx_models import agrees, model, node, ops, random

TOKENS = {"x": ("N", 5, 6)}
IMAGE = {"x": ("N", 3, 4, 5)}


@pytest.mark.parametrize(
    ("inputs", "axis", "names"),
    [
        (TOKENS, 1, "c r"), (TOKENS, 1, "r c"), (TOKENS, 1, "c r c r c"), (TOKENS, 2, "d r"),
        (IMAGE, 1, "r e"), (IMAGE, 3, "f r f"),
    ],
)  # fmt: skip
def test_constants_and_values(
    inputs: dict[str, tuple[int, ...]], axis: int, names: str, tmp_path: Path
) -> None:
    constants = {
        "c": random(1, 1, 6), "d": random(1, 5, 2), "e": random(1, 2, 4, 5),
        "f": random(1, 3, 4, 2),
    }  # fmt: skip
    used = {n: c for n, c in constants.items() if n in names.split()}
    nodes = [node("Relu", "x", "r"), node("Concat", names, "y", axis=axis)]
    # The constants hold for one row: more rows would not join.
    graph = agrees(model(nodes, used, inputs), tmp_path, rows=1)
    assert "transpose" not in ops(graph)


def test_a_class_token_and_positions_are_one_sum(tmp_path: Path) -> None:
    nodes = [node("Concat", "c x", "t", axis=1), node("Add", "t p", "y")]
    constants = {"c": random(1, 1, 6), "p": random(1, 6, 6)}
    graph = agrees(model(nodes, constants, TOKENS), tmp_path, rows=1)
    assert [op for op in ops(graph) if op != "reshape"] == ["pad", "add"]
