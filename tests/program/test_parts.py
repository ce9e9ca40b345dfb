"""Copies of one run: they are views into the arena where kernels may read from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure import check
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards

SHAPE = (1, 4, 12, 5)


def compiled(nodes: list[Any], constants: dict[str, Any], folder: Path) -> Compiled:
    path = save(model(nodes, constants, {"x": SHAPE}), folder)
    rows = random(16, *SHAPE[1:])
    return compile_model(path, None, rows, name="parts", config=Config(quantize={"effort": "fast"}))


def rows(begin: int, end: int, source: str, made: str) -> tuple[Any, dict[str, Any]]:
    names = [f"{made}_{part}" for part in "bea"]
    values = (np.array([v]) for v in (begin, end, 2))
    return node("Slice", " ".join([source, *names]), made), dict(zip(names, values, strict=True))


WEIGHTS = {"w": random(4, 4, 3, 3), "v": random(6, 4, 1, 1), "u": random(3, 4, 1, 3)}


def kinds(made: Compiled) -> list[str]:
    return [step.node.op for step in made.program.steps]


@pytest.mark.parametrize("board", ["mps2_an386", "mps3_an547", "mps2_an385_m0"])
def test_rows_of_an_image_are_read_where_they_lie(board: str, tmp_path: Path) -> None:
    """Of an output of 10 x 3 pixels of 4 bytes: rows 2 to 8, of these 1 to 4."""
    first, more = rows(2, 8, "h", "s")
    second, again = rows(1, 4, "s", "t")
    nodes = [node("Conv", "x w", "h"), first, node("Relu", "s", "r"), node("Conv", "r v", "y"),
             second, node("Conv", "t u", "z"), node("Add", "h h", "q")]  # fmt: skip
    proto = model(nodes, {**WEIGHTS, **more, **again}, {"x": SHAPE}, outputs="y z q")
    made = compile_model(save(proto, tmp_path), None, random(16, *SHAPE[1:]), name="parts",
                         config=Config(quantize={"effort": "fast"}))  # fmt: skip
    target = boards.load(board)
    made = generate(made.bundle, target)
    assert "copy" not in kinds(made)
    assert sorted(made.program.offsets.values()) == [24, 36]
    assert [v.mismatches for v in check.check(made, [target], 4)] == [0, 0]


CASES = {
    "of the caller's input": [rows(4, 8, "x", "s"), node("Conv", "s v", "y")],
    "an output": [node("Conv", "x w", "h"), rows(2, 8, "h", "y")],
    "at an odd place": [node("Conv", "x u", "h"), rows(1, 8, "h", "s"), node("Elu", "s", "y")],
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_others_are_copied(case: list[Any], tmp_path: Path) -> None:
    nodes = [part[0] if isinstance(part, tuple) else part for part in case]
    constants = dict(WEIGHTS)
    for part in case:
        constants.update(part[1] if isinstance(part, tuple) else {})
    made = compiled(nodes, constants, tmp_path)
    assert kinds(made).count("copy") == 1
    assert check.check(made, [], 4)[0].mismatches == 0
