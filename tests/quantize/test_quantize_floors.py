"""Masks of large numbers before a softmax: what lies below all that shows has no say in scales."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_models import model, node, random, save

import mcuq
from mcuq import importers
from mcuq.ir import Node
from mcuq.ops import spec
from mcuq.passes import pipeline
from mcuq.quantize import Options
from mcuq.quantize.ranges import scales
from mcuq.quantize.state import State

ROWS = 32
VISIBLE = math.log(2 * 32767)
"""The table of a softmax is 0 beyond this distance from the largest of a row."""
UPPER = np.triu(np.ones((6, 6), np.float32), 1)
SCORES = [
    *(node("MatMul", f"x w{name}", name) for name in "qkv"),
    node("Transpose", "k", "t", perm=[0, 2, 1]),
    node("MatMul", "q t", "s"),
]
END = [node("Softmax", "a", "p", axis=-1), node("MatMul", "p v", "y")]
WEIGHTS = {f"w{name}": random(8, 8, seed=seed) for seed, name in enumerate("qkv")}
GIVEN = [node("Unsqueeze", "m axis", "u"), node("Sub", "one u", "i"), node("Mul", "i low", "l")]
CHOSEN = [node("Unsqueeze", "m axis", "u"), node("Greater", "u half", "c")]
NUMBERS = {
    "axis": np.array([1]), "one": np.float32(1), "half": np.float32(0.5),
    "low": np.float32(-1e4), "lowest": np.float32(-1e9), "flat": np.array([1, 1, 6, 6]),
    "rows": np.array([1, 6, 6]), "near": random(6, 6), "square": UPPER * np.float32(-1e9),
    "hundred": UPPER * np.float32(-100),
}  # fmt: skip
MASKS: dict[str, tuple[list[Any], bool]] = {
    "behind a view": (
        [node("Add", "s square", "b"), node("Reshape", "b flat", "f"),
         node("Reshape", "f rows", "a")], False,
    ),
    "of a hundred": ([node("Add", "s hundred", "a")], False),
    "and what is near": ([node("Add", "s near", "n"), node("Add", "n hundred", "a")], False),
    "of an input": ([*GIVEN, node("Add", "s l", "a")], True),
    "less that of an input": (
        [*GIVEN[:2], node("Mul", "i high", "h"), node("Sub", "s h", "a")], True,
    ),
    "chosen by an input": ([*CHOSEN, node("Where", "c s lowest", "a")], True),
}  # fmt: skip


def attention(name: str) -> tuple[Any, dict[str, Any]]:
    """An attention with the mask ``name``, and rows for it."""
    nodes, reads = MASKS[name]
    used = {i for n in nodes for i in n.input}
    constants = {n: v for n, v in {**NUMBERS, "high": np.float32(1e4)}.items() if n in used}
    inputs: dict[str, Any] = {"x": (1, 6, 8), **({"m": (1, 6)} if reads else {})}
    rows = {"x": random(ROWS, 6, 8, low=-2.0, high=2.0)}
    if reads:
        rows["m"] = (random(ROWS, 6, low=0.0) > 0.3).astype(np.float32)
        rows["m"][:, 0] = 1
    return model([*SCORES, *nodes, *END], {**WEIGHTS, **constants}, inputs), rows


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_leaves_the_scores_their_precision(name: str, tmp_path: Path) -> None:
    """Where masks of -1e4 and more had a say, less than 5 dB were left."""
    proto, rows = attention(name)
    made = mcuq.compile(save(proto, tmp_path), None, rows, effort="fast")
    assert made.report.judged is not None
    assert made.report.judged.sqnr_db is not None
    assert made.report.judged.sqnr_db > 22.0


def observed(proto: Any, rows: Any, folder: Path) -> State:
    graph = pipeline.run(importers.load(save(proto, folder)))
    return scales.observe(State(graph, rows, Options()))


def test_the_floor_lies_below_what_shows(tmp_path: Path) -> None:
    sums = [node("Relu", "x", "r"), node("Mul", "m low", "l"), node("Add", "r l", "a")]
    ends = [node("Reshape", "a s", "b"), node("Softmax", "b", "p"), node("Neg", "p", "y")]
    numbers = {"low": np.float32(-1e4), "s": np.array([-1, 4])}
    rows = {
        "x": np.array([[1.0, 2.0, 0.5, 0.0], [3.0, 1.0, 0.0, 9.0]], np.float32),
        "m": np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]], np.float32),
    }
    proto = model([*sums, *ends], numbers, {"x": ("N", 4), "m": ("N", 4)})
    state = observed(proto, rows, tmp_path)
    lows = {name: low for name, (low, _) in state.ranges.items()}
    assert lows["a"] == pytest.approx(2.0 - VISIBLE)
    assert lows["l"] == pytest.approx(2.0 - VISIBLE - 9.0)
    assert lows["x"] == 0.0


@pytest.mark.parametrize("outputs", ["y a", "y e"])
def test_what_something_else_reads_keeps_its_range(outputs: str, tmp_path: Path) -> None:
    nodes = [node("Mul", "x low", "a"), node("Softmax", "a", "p"), node("Neg", "p", "y"),
             node("Relu", "a", "e")]  # fmt: skip
    rows = {"x": random(ROWS, 4, low=0.0)}
    proto = model(nodes, {"low": np.float32(-1e4)}, {"x": ("N", 4)}, outputs=outputs)
    low, _ = observed(proto, rows, tmp_path).ranges["a"]
    assert low == pytest.approx(-1e4 * rows["x"].max(), rel=1e-5)


def test_logits_at_the_end_keep_their_range(tmp_path: Path) -> None:
    """There errors are measured before the softmax."""
    nodes = [node("Mul", "x low", "a"), node("Softmax", "a", "y")]
    rows = {"x": random(ROWS, 4, low=0.0)}
    proto = model(nodes, {"low": np.float32(-1e4)}, {"x": ("N", 4)})
    low, _ = observed(proto, rows, tmp_path).ranges["a"]
    assert low == pytest.approx(-1e4 * rows["x"].max(), rel=1e-5)


@pytest.mark.parametrize(
    "end",
    [
        [node("ReduceMax", "a axis", "y", keepdims=0)],
        [node("Sigmoid", "a", "y")],
        [node("Tanh", "a", "y")],
        [node("Sigmoid", "a", "g"), node("Mul", "a g", "y")],
        [node("Exp", "a", "e"), node("Add", "e one", "o"), node("Log", "o", "l"),
         node("Tanh", "l", "y")],
    ],
    ids=["max", "sigmoid", "tanh", "silu", "chain"],
)  # fmt: skip
def test_masks_before_what_is_flat_or_a_maximum(end: list[Any], tmp_path: Path) -> None:
    """Where the mask had a say, all scores were alike."""
    mask = np.zeros((1, 8, 1), np.float32)
    mask[:, 5:] = -1e9
    constants = {"w": random(8, 8), "m": mask, "axis": np.array([1]), "one": np.float32(1)}
    used = {name for n in end for name in n.input} | {"w", "m"}
    nodes = [node("MatMul", "x w", "s"), node("Add", "s m", "a"), *end]
    kept = {name: value for name, value in constants.items() if name in used}
    proto = model(nodes, kept, {"x": (1, 8, 8)}, opset=18)
    rows = random(ROWS, 8, 8, low=-2.0, high=2.0)
    made = mcuq.compile(save(proto, tmp_path), None, rows, effort="fast")
    assert made.evaluate(rows).outputs[0].sqnr_db > 30.0


@pytest.mark.parametrize(
    ("op", "scale", "wanted"),
    [("Sigmoid", 1.0, -12.34), ("Tanh", 1.0, -6.73), ("Abs", 1.0, None), ("Exp", 0.0, -12.34)],
)
def test_where_functions_are_flat(op: str, scale: float, wanted: float | None) -> None:
    node = Node(op.lower(), "n", ("x",), ("y",), {"rate": 1.0} if op == "Exp" else {})
    rows = torch.linspace(-1e6, 8.0 * scale, 9)
    unseen = spec(op.lower()).unseen
    assert unseen is not None
    found = unseen(node, [rows])
    assert found == (-math.inf if wanted is None else pytest.approx(wanted, abs=0.1))
