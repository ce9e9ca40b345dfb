"""Every gate broken once, and what is said of it; the baseline; JUnit and JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mcuq import config
from mcuq.config import Config
from mcuq.errors import McuqError
from mcuq.flows import verify
from mcuq.flows.compile import compile_model
from mcuq.flows.verify import Measured
from mcuq.measure import limits
from mcuq.measure.diff import diff
from mcuq.measure.limits import Limits
from mcuq.model.compiled import Compiled
from mcuq.reference import feeds_to_int, run_int

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
BOARD = "mps2_an386"
HERE = Measured(BOARD, flash=12000, ram=3000, stack=400, instructions=300000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model, and beside it ``data.npz``, half of its classes right."""
    place = tmp_path_factory.mktemp("verify")
    rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    made = compile_model(DIGITS, calibration=rows, board=BOARD, config=_fast())
    made.write(place / "new")
    size = compile_model(DIGITS, calibration=rows, board=BOARD, prefer="size", config=_fast())
    size.write(place / "small")
    np.savez(place / "data.npz", x=rows, y=_half_right(made, rows))
    return place / "new"


def _fast() -> Config:
    return Config(quantize={"effort": "fast"})


def _half_right(made: Compiled, rows: np.ndarray) -> np.ndarray:
    graph = made.bundle.qgraph
    found = run_int(graph, feeds_to_int(graph, {graph.inputs[0].name: _memory(rows)}))
    classes = found[graph.outputs[0].tensor].argmax(axis=-1).reshape(-1)
    classes[::2] = (classes[::2] + 1) % 10
    return classes


def _memory(rows: np.ndarray) -> np.ndarray:
    return rows.transpose(0, 2, 3, 1)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_on_board", lambda *given: HERE)


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (Limits(max_flash=11999), "flash: 12,000 B, at most 11,999 B (limit)"),
        (Limits(max_ram=2999), "ram: 3,000 B, at most 2,999 B (limit)"),
        (Limits(max_stack=399), "stack: 400 B, at most 399 B (limit)"),
        (Limits(max_instructions=1), "instructions: 300,000, at most 1 (limit)"),
        (Limits(min_accuracy=51.0), "accuracy: 50.00 %, at least 51.00 % (limit)"),
        (Limits(min_sqnr=200.0), "dB, at least 200.00 dB (limit)"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_every_gate_broken_once(folder: Path, limits: Limits, line: str) -> None:
    found = verify.verify(folder, limits, data=folder.parent / "data.npz")
    assert [gate.line.endswith(line) for gate in found.broken] == [True]


@pytest.mark.usefixtures("measured")
def test_limits_that_are_met_to_the_unit(folder: Path) -> None:
    limits = Limits(12000, 3000, 400, 300000, 50.0, 10.0)
    found = verify.verify(folder, limits, data=folder.parent / "data.npz")
    assert found.broken == ()
    assert [gate.what for gate in found.gates] == [
        *("exact", "flash", "ram", "stack", "instructions", "accuracy", "sqnr")
    ]


def test_a_tensor_that_differs_breaks_the_gate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Measured(BOARD, 1, 1, 1, 1, difference="mps2_an386: step 'c\n' differs first")
    monkeypatch.setattr(verify, "_on_board", lambda *given: wrong)
    (gate,) = verify.verify(folder, Limits(max_flash=2)).broken
    assert gate.line == r"exact: mps2_an386: step 'c\n' differs first"


def test_sqnr_alone_builds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_on_board", lambda *given: pytest.fail("built"))
    judged = json.loads((folder / "report.json").read_text())["judged"]["sqnr_db"]
    found = verify.verify(folder, Limits(min_sqnr=judged))
    assert (found.measured.sqnr, found.broken) == (judged, ())


@pytest.mark.parametrize(
    ("limits", "more", "words"),
    [
        (Limits(), {}, "no limit is given"),
        (Limits(min_accuracy=90.0), {}, "without data. Pass --data"),
    ],
)
def test_what_cannot_be_measured_is_said(
    folder: Path, limits: Limits, more: dict[str, str], words: str
) -> None:
    with pytest.raises(McuqError, match=words):
        verify.verify(folder, limits, **more)


@pytest.mark.emulated
def test_against_a_baseline(folder: Path, tmp_path: Path) -> None:
    """The fast kernels take more flash than the small ones, and fewer instructions."""
    found = verify.verify(folder, Limits(max_flash=1 << 20), baseline=folder.parent / "small")
    assert {gate.what for gate in found.broken} == {"flash", "ram", "stack"}
    assert all(gate.by == "baseline" for gate in found.broken)
    assert {gate.what for gate in found.gates} >= {"exact", "instructions", "sqnr"}
    path = tmp_path / "before.json"
    path.write_text(json.dumps(found.to_json()))
    assert verify.from_json(path) == found.measured
    again = verify.verify(folder, Limits(), baseline=path)
    assert again.broken == ()
    assert again.measured == found.measured


@pytest.mark.usefixtures("measured")
def test_a_baseline_of_another_board_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    path.write_text(json.dumps({"measured": {"board": "microbit", "flash": 1}}))
    with pytest.raises(McuqError, match="was measured on microbit, this is mps2_an386"):
        verify.verify(folder, Limits(), baseline=path)
    path.write_text("[]")
    with pytest.raises(McuqError, match="is no result of an earlier verify"):
        verify.verify(folder, Limits(), baseline=path)


def test_an_equal_network_is_infinitely_good(tmp_path: Path) -> None:
    path = tmp_path / "y.json"
    path.write_text(json.dumps({"measured": Measured(sqnr=math.inf).to_json()}))
    assert verify.from_json(path).sqnr == math.inf


@pytest.mark.usefixtures("measured")
def test_junit_has_a_case_for_each_gate(folder: Path) -> None:
    found = verify.verify(folder, Limits(max_flash=1, max_ram=4000))
    suite = ElementTree.fromstring(found.to_junit())
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", "1")
    (failure,) = suite.iter("failure")
    assert failure.attrib["message"] == "flash: 12,000 B, at most 1 B (limit)"
    assert found.to_junit() == verify.verify(folder, Limits(1, 4000)).to_junit()


def test_limits_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[verify]\nmax_flash = "64K"\nmax_stack = 512\nmin_sqnr = 20\n')
    assert config.load(path).verify == Limits(max_flash=65536, max_stack=512, min_sqnr=20.0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"max_flsh": 1}, "verify key is 'max_flsh', not one of max_flash, max_ram"),
        ({"max_flash": "64Q"}, "'64Q' is no size"),
        ({"max_ram": -1}, "verify.max_ram is -1"),
        ({"min_sqnr": "20"}, "verify.min_sqnr is '20', not a number"),
        ({"min_accuracy": 0.95}, "looks like a share. Give percent, such as 95"),
    ],
)
def test_limits_that_are_none(table: dict[str, object], words: str) -> None:
    with pytest.raises(McuqError, match=words):
        limits.from_table(table, "c.toml")


def test_diff_shows_numbers_and_kernels(folder: Path) -> None:
    found = diff(folder.parent / "small", folder)
    reports = [
        json.loads((p / "report.json").read_text()) for p in (folder.parent / "small", folder)
    ]
    flash = next(change for change in found.numbers if change.what == "flash B")
    assert [flash.old, flash.new] == [report["boards"][BOARD]["flash"] for report in reports]
    sqnr = next(change for change in found.numbers if change.what == "SQNR dB")
    assert (sqnr.old, sqnr.by) == (reports[0]["judged"]["sqnr_db"], 0.0)
    kernels = [{step["name"]: step["kernel"] for step in r["steps"]} for r in reports]
    assert {step.step: (step.old, step.new) for step in found.steps} == {
        name: (kernels[0][name], kernel)
        for name, kernel in kernels[1].items()
        if kernels[0][name] != kernel
    }
    assert found.steps
    assert diff(folder, folder).steps == ()
    assert all(change.by in (0, None) for change in diff(folder, folder).numbers)


@pytest.mark.parametrize(
    ("content", "words"), [("{}", "is damaged"), ("nonsense", "is damaged"), (None, "no report")]
)
def test_diff_of_what_is_no_report(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(McuqError, match=words):
        diff(tmp_path, tmp_path)
