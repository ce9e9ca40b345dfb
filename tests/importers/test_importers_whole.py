"""Networks of whole numbers, as Deeploy and MATCH write them, against their own arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from onnx_models import agrees, feeds_for, model, node, run_graph, save

import mcuq
from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ops import chain

UINT8, INT32 = onnx.TensorProto.UINT8, onnx.TensorProto.INT32
CHANCE = np.random.default_rng(0)
WEIGHTS = [CHANCE.integers(-100, 100, shape).astype(np.int64) for shape in ((20, 16), (16, 5))]
FACTORS, SHIFTS = CHANCE.integers(3, 9, 16), CHANCE.integers(-9000, 9000, 16)
ROWS = CHANCE.integers(0, 256, (64, 20)).astype(np.float32)
DIVISOR = 1 << 11


def own(rows: Any) -> Any:
    """The network in integers."""
    sums = (rows.astype(np.int64) @ WEIGHTS[0]) * FACTORS + SHIFTS
    return np.clip(np.floor(sums / DIVISOR), 0, 255).astype(np.int64) @ WEIGHTS[1]


def requant_shift(**more: Any) -> Any:
    attrs = {"div": float(DIVISOR), "n_levels_out": [256.0], "signed": [0.0], **more}
    constants = {
        "w": WEIGHTS[0].astype(np.float32), "m": FACTORS.astype(np.float32),
        "a": SHIFTS.astype(np.float32), "v": WEIGHTS[1].astype(np.float32),
    }  # fmt: skip
    nodes = [node("MatMul", "x w", "s"), node("RequantShift", "s m a", "h", **attrs)]
    return model([*nodes, node("MatMul", "h v", "y")], constants, {"x": (1, 20)}, opset=10)


def written_out() -> Any:
    """As MATCH writes it: products of 8-bit types, which ONNX does not have."""
    constants = {
        "w": WEIGHTS[0].astype(np.int8), "m": FACTORS.astype(np.int32),
        "a": SHIFTS.astype(np.int32), "d": np.array([DIVISOR], np.int32),
        "v": WEIGHTS[1].astype(np.int8),
    }  # fmt: skip
    nodes = [
        node("Cast", "x", "bytes", to=UINT8), node("MatMul", "bytes w", "s"),
        node("Cast", "s", "wide", to=INT32), node("Mul", "wide m", "p"), node("Add", "p a", "t"),
        node("Div", "t d", "q"), node("Floor", "q", "f"),
        node("Clip", "f", "c", min=0.0, max=255.0),
        node("Cast", "c", "h", to=UINT8), node("MatMul", "h v", "y"),
    ]  # fmt: skip
    return model(nodes, constants, {"x": (1, 20)}, opset=10)


@pytest.mark.parametrize("proto", [requant_shift(), written_out()], ids=["shift", "written out"])
def test_whole_numbers_stay(proto: Any, tmp_path: Path) -> None:
    """Half a step of 8 bits is all that reals lack; in integers, their scales are kept."""
    path = save(proto, tmp_path)
    wanted = own(ROWS).astype(np.float64)
    found = run_graph(importers.load(path), {"x": ROWS})["y"]
    most = 0.5 * np.abs(WEIGHTS[1]).sum(axis=0)
    assert (np.abs(found - wanted) <= most).all()
    made = mcuq.compile(path, None, ROWS, effort="fast")
    assert any("kept exactly" in line for line in made.advice)


@pytest.mark.parametrize("attrs", [{"div": 0.0}, {"n_levels_out": [512.0]}])
def test_levels_that_no_byte_holds_are_refused(attrs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="it divides by"):
        importers.load(save(requant_shift(**attrs), tmp_path))


@pytest.mark.parametrize(
    ("before", "kind", "operators"),
    [
        ("Identity", TensorProto.INT32, ["sign", "abs", "floor", "mul"]),
        ("Round", TensorProto.INT64, ["round"]),
        ("Floor", TensorProto.INT16, ["floor"]),
        ("Abs", UINT8, ["abs", "clip", "floor"]),
    ],
)
def test_a_cast_to_integers_leaves_out_what_follows_the_point(
    before: str, kind: int, operators: list[str], tmp_path: Path
) -> None:
    nodes = [node("Mul", "x f", "p"), node(before, "p", "s"), node("Cast", "s", "c", to=kind)]
    proto = model([*nodes, node("Cast", "c", "y", to=1)], {"f": np.float32(9)}, {"x": (1, 20)})
    (made,) = agrees(proto, tmp_path).nodes
    found = [step.op for step in chain.steps_of(made)]
    assert sorted(found) == sorted(["mul", *operators])


def test_an_output_of_integers(tmp_path: Path) -> None:
    """As an image that a network draws, in bytes."""
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "s f", "p"), node("Cast", "p", "y", to=UINT8)]
    proto = model(nodes, {"f": np.float32(255)}, {"x": (1, 20)})
    proto.graph.output[0].type.tensor_type.elem_type = UINT8
    graph = importers.load(save(proto, tmp_path))
    rows = ROWS / 64 - 2
    found = run_graph(graph, {"x": rows})["y"]
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": rows})
    assert np.array_equal(found, wanted)


def test_floors_of_networks_on_reals_stay_floors(tmp_path: Path) -> None:
    nodes = [node("Mul", "x f", "p"), node("Div", "p d", "q"), node("Floor", "q", "y")]
    proto = model(nodes, {"f": np.float32(8), "d": np.float32(4)}, {"x": (1, 6)})
    graph = importers.load(save(proto, tmp_path))
    rows = feeds_for(graph)
    found = run_graph(graph, rows)["y"]
    assert np.array_equal(found, np.floor(rows["x"] * 2))
