"""Masks before a softmax, as exporters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

from mcuq.errors import McuqError

SCORES = {"x": ("N", 2, 5, 5)}
CAUSAL = np.tril(np.ones((5, 5), bool))
SUM = [node("Relu", "x", "r"), node("Add", "r m", "a"), node("Softmax", "a", "y")]
CHOICE = [node("Relu", "x", "r"), node("Where", "c r low", "a"), node("Softmax", "a", "y")]
TURNED = [node("Relu", "x", "r"), node("Where", "c low r", "a"), node("Softmax", "a", "y")]
LOW = np.where(CAUSAL, 0.0, -np.inf).astype(np.float32)
MASKED = {
    "minus infinity": (SUM, {"m": LOW}),
    "the lowest float, on both sides": (
        [node("Relu", "x", "r"), node("Add", "m r", "a"), node("Softmax", "a", "y", axis=2)],
        {"m": np.where(CAUSAL, 0.0, -3.4e38).astype(np.float32)},
    ),
    "less a high number": (
        [node("Relu", "x", "r"), node("Sub", "r m", "a"), node("Softmax", "a", "y")],
        {"m": np.where(CAUSAL, 0.0, 1e9).astype(np.float32)[None, None]},
    ),
    "a choice": (CHOICE, {"c": CAUSAL, "low": np.float32(-np.inf)}),
    "the other choice": (TURNED, {"c": ~CAUSAL, "low": np.float32(-1e9)}),
    "a mask and a bias": (SUM, {"m": (LOW + random(5, 5)).astype(np.float32)}),
    "a mask for each head": (SUM, {"m": np.stack([LOW, LOW.T])}),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_becomes_part_of_the_softmax(name: str, tmp_path: Path) -> None:
    nodes, constants = MASKED[name]
    graph = agrees(model(nodes, constants, SCORES), tmp_path)
    (softmax,) = (n for n in graph.nodes if n.op == "softmax")
    assert len(softmax.inputs) == 2
    assert ("add" in ops(graph)) == ("bias" in name)


def test_a_row_without_anything_is_refused(tmp_path: Path) -> None:
    low: Any = np.full((5, 5), -np.inf, np.float32)
    with pytest.raises(McuqError, match="leaves nothing of a row"):
        agrees(model(SUM, {"m": low}, SCORES), tmp_path)


SEEN = [node("Relu", "x", "r"), node("Greater", "x z", "c")]
ENDLESS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "a computed choice": (
        [*SEEN, node("Where", "c r low", "a"), node("Softmax", "a", "y")],
        {"z": np.float32(-1.9), "low": np.float32(-np.inf)},
    ),
    "a choice that is added": (
        [*SEEN, node("Where", "c no low", "m"), node("Add", "r m", "a"), node("Softmax", "a", "y")],
        {"z": np.float32(-1.9), "no": np.float32(0), "low": np.float32(-np.inf)},
    ),
    "a constant behind a view": (
        [node("Relu", "x", "r"), node("Add", "r m", "b"), node("Reshape", "b s", "a"),
         node("Softmax", "a", "y")],
        {"m": LOW, "s": np.array([-1, 10, 5])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_minus_infinity_elsewhere_before_a_softmax(name: str, tmp_path: Path) -> None:
    nodes, constants = ENDLESS[name]
    agrees(model(nodes, constants, SCORES), tmp_path)


def test_minus_infinity_that_something_else_reads_is_refused(tmp_path: Path) -> None:
    nodes = [*ENDLESS["a computed choice"][0], node("Exp", "a", "e")]
    proto = model(nodes, ENDLESS["a computed choice"][1], SCORES, outputs="y e")
    with pytest.raises(McuqError, match="NaN or infinity"):
        agrees(proto, tmp_path)
