"""Recurrent layers whose state is an input and an output: called step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from mcuq.ir import state_ports

WIDTH, UNITS = 6, 8
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(op: str, **attrs: Any) -> Any:
    """x (1, 1, WIDTH) and the states -> y and the next states."""
    rows = GATES[op] * UNITS
    states = ("h", "c") if op == "LSTM" else ("h",)
    after = " ".join(f"{state}n" for state in states)
    constants = {
        "w": random(1, rows, WIDTH, seed=1),
        "r": random(1, rows, UNITS, seed=2) / 2,
        "b": random(1, 2 * rows, seed=3) / 2,
        "axis": np.array([0]),
        "fc": random(3, UNITS, seed=4),
    }
    steps = [
        node(op, f"x w r b - {' '.join(states)}", f"all {after}", hidden_size=UNITS, **attrs),
        node("Squeeze", "hn axis", "last"),
        node("Gemm", "last fc", "y", transB=1),
    ]
    inputs = {"x": (1, 1, WIDTH), **dict.fromkeys(states, (1, 1, UNITS))}
    return model(steps, constants, inputs, f"y {after}")


@pytest.mark.parametrize(
    ("op", "attrs"),
    [("LSTM", {}), ("GRU", {"linear_before_reset": 1}), ("GRU", {}), ("RNN", {})],
)
def test_a_layer_that_starts_at_its_state(op: str, attrs: dict[str, Any], tmp_path: Path) -> None:
    """It pairs by itself, its states have 16 bits, and 300 steps without a reset stay close."""
    path = save(layer(op, **attrs), tmp_path, "cell.onnx")
    rows = np.random.default_rng(0).normal(size=(300, 1, WIDTH)).astype(np.float32)
    made = mcuq.compile(path, None, rows, effort="fast")
    graph = made.compiled.program.qgraph
    assert [s.written for s, _, _ in state_ports(graph)] == ["hn", "cn"][: 1 + (op == "LSTM")]
    assert {graph.tensors[p.tensor].kind for _, p, _ in state_ports(graph)} == {"s16"}
    (host,) = made.check([], vectors=8)
    assert host.exact
    assert made.evaluate(rows).sqnr_db > 25
