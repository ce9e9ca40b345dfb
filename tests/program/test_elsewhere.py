"""Kernels of one core on another: what is said of them, and that it is near what is counted."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure import bench
from mcuq.model.compiled import Compiled, generate
from mcuq.program.elsewhere import Elsewhere, better, elsewhere, needs_of, sentence
from mcuq.targets import boards
from mcuq.targets.cores import CORES

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"


@functools.cache
def digits(core: str | None) -> Compiled:
    if core:
        return generate(digits(None).bundle, boards.load(core))
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    return compile_model(DIGITS, calibration=rows, config=Config(quantize={"effort": "fast"}))


@pytest.mark.parametrize(
    ("kernels", "richer"),
    [
        (None, ["cortex-m4", "cortex-m55"]),
        ("cortex-m3", ["cortex-m4", "cortex-m55"]),
        ("cortex-m33", ["cortex-m55"]),
        ("cortex-m55", []),
        ("rv32imc", []),
    ],
)
def test_cores_that_have_more(kernels: str | None, richer: list[str]) -> None:
    found = better(digits(kernels).program)
    assert [row.core for row in found] == richer
    assert all(row.factor is not None and row.factor > 1.5 for row in found)


@pytest.mark.parametrize("core", ["cortex-m7", "cortex-m33", "cortex-m4"])
def test_the_same_kernels_are_no_news(core: str) -> None:
    cpu = CORES[core].cpu("dsp")
    assert elsewhere(digits("cortex-m4").program, cpu) is None


def test_plain_c_in_place_of_assembly_has_no_estimate() -> None:
    program = digits("cortex-m4").program
    row = elsewhere(program, CORES["cortex-m0"].cpu())
    assert row is not None
    assert (row.factor, row.lacks) == (None, frozenset({"dsp"}))
    assert row.times() == "much more than cortex-m0's own, for it lacks dsp"
    executed = round(5 * row.instructions)
    assert row.times(executed) == "about 5.0 x the instructions of cortex-m0's own"
    assert needs_of(program) == {"dsp"}


def test_what_is_said() -> None:
    rows = (Elsewhere("cortex-m4", frozenset({"dsp"}), 2.149, frozenset(), 1.0),)
    program = digits(None).program
    assert sentence(program, ()) == "kernels for any core"
    assert sentence(program, rows) == (
        "kernels for any core; on cortex-m4 about 2.1 x the cycles of --board cortex-m4"
    )
    assert rows[0].times() == "about 2.1 x the cycles of cortex-m4's own"


@pytest.mark.emulated
def test_the_factor_is_near_what_is_counted() -> None:
    board = boards.load("cortex-m4")
    (row,) = (row for row in better(digits(None).program) if row.core == "cortex-m4")
    slow, fast = (bench.bench(digits(core), board) for core in (None, "cortex-m4"))
    assert slow.cycles_estimate is not None
    assert fast.cycles_estimate is not None
    assert row.factor is not None
    assert 0.8 < row.factor / (slow.cycles_estimate / fast.cycles_estimate) < 1.25
    assert slow.milliseconds is None, "the clock of a core is not known"
    assert slow.kernels == (
        f"kernels for any core: about {row.factor:.1f} x the cycles of cortex-m4's own, "
        "see 'mcuq retarget'"
    )
    assert fast.kernels == "kernels for cortex-m4"
