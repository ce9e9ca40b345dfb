"""The Python API: what a notebook passes, and what it is told."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import mcuq
from mcuq.data.feeds import from_arrays
from mcuq.progress import usual
from mcuq.reference import feeds_to_int, port_to_real, run_int

DIGITS = Path(__file__).parents[1] / "examples" / "digits.onnx"
IMAGES = np.random.default_rng(0).uniform(0, 1, (12, 1, 8, 8)).astype(np.float32)
FAST = mcuq.Config(quantize={"effort": "fast"})


@functools.cache
def model() -> mcuq.Model:
    return mcuq.compile(DIGITS, calibration=IMAGES, config=FAST)


def test_an_unknown_preference_is_refused_at_once() -> None:
    with pytest.raises(mcuq.McuqError, match="prefer: 'fast' is not one of balanced, speed, size"):
        mcuq.compile("missing.onnx", prefer="fast")


@pytest.mark.parametrize("count", [0, -1])
def test_a_check_of_nothing_is_not_exact(count: int) -> None:
    with pytest.raises(mcuq.McuqError, match="compares nothing"):
        model().check([], vectors=count)


def test_one_board_is_a_name_too() -> None:
    with pytest.raises(mcuq.McuqError, match=r"^nucleo_f446: no such board"):
        model().check("nucleo_f446")


def test_labels_are_a_list_too() -> None:
    result = model().evaluate(IMAGES, [0] * len(IMAGES))
    assert result.samples == len(IMAGES)
    assert result.int8_top1 is not None


def test_the_package_shows_what_it_has() -> None:
    assert {"compile", "load", "estimate", "verify", "diff", "Model", "Config"} <= set(dir(mcuq))
    assert all(getattr(mcuq, name) is not None for name in dir(mcuq))
    assert (Path(mcuq.__file__).parent / "py.typed").is_file()


def test_a_model_is_one_line_and_a_small_table() -> None:
    facts = model().report
    text = repr(model())
    assert text.startswith("<mcuq.Model digits: for any core, weights ")
    assert f"arena {facts.arena:,} B" in text
    assert len(text) < 120
    html = model()._repr_html_()
    assert html.startswith("<table><tbody><tr><td>model</td><td>digits</td></tr>")
    assert html.count("<svg") == 1, "the network"
    board = mcuq.compile(DIGITS, calibration=IMAGES, effort="fast", board="nucleo_f446re")
    flash = board.report.boards["nucleo_f446re"].flash
    assert f"digits: for nucleo_f446re, flash {flash:,} B, arena " in repr(board)


def test_effort_and_bits_are_arguments() -> None:
    wide = mcuq.compile(DIGITS, calibration=IMAGES, effort="fast", bits=16)
    assert wide.report.quantization.effort == "fast"
    assert wide.report.inputs[0].kind == "s16"
    narrow = mcuq.compile(DIGITS, calibration=IMAGES, config=FAST, bits=8)
    assert narrow.report.inputs[0].kind == "s8"
    assert narrow.report.quantization.effort == "fast"


@pytest.mark.emulated
def test_a_network_of_16_bits_is_run_on_reals() -> None:
    wide = mcuq.compile(DIGITS, calibration=IMAGES, effort="fast", bits=16)
    (given,) = wide.run("mps2_an386", IMAGES).values()
    made = wide.compiled.bundle
    wanted = run_int(made.qgraph, feeds_to_int(made.qgraph, from_arrays(IMAGES, made.graph)))
    port = made.qgraph.outputs[0]
    assert np.array_equal(given, port_to_real(port, wanted[port.tensor]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"effort": "slow"}, r"compile: quantize.effort = 'slow'. Use fast or normal or best"),
        ({"bits": 4}, "compile: quantize.bits is not 8 or 16, mixed"),
        ({"config": {}}, r"config: is a dict, not a mcuq.Config. Pass effort= or bits=, or "),
        ({"config": "a.toml"}, "config: is a str, not a mcuq.Config"),
    ],
)
def test_settings_that_are_none(given: dict[str, object], words: str) -> None:
    with pytest.raises(mcuq.McuqError, match=words):
        mcuq.compile(DIGITS, calibration=IMAGES, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.nn.Linear(2, 2).state_dict(), "model: is a dict, as a state_dict is: .* Build the"),
        (torch.nn.Linear, "model: is the class Linear, not a torch.nn.Module"),
        (None, "model: is NoneType, not a torch.nn.Module or the path of"),
        (IMAGES, "model: is ndarray, not"),
    ],
)
def test_what_is_no_model_is_said(given: object, words: str) -> None:
    for take in (
        mcuq.compile,
        mcuq.estimate,
        lambda m, *data: mcuq.compress_model(m, *data, compress="int4"),
        lambda m, *data: mcuq.fit_model(m, *data, board="microbit"),
    ):
        with pytest.raises(mcuq.McuqError, match=words):
            take(given, IMAGES)


def test_a_loader_calibrates_as_its_rows_do() -> None:
    tensors = torch.from_numpy(IMAGES)
    loader = DataLoader(TensorDataset(tensors, torch.zeros(12)), batch_size=5)
    loaded = mcuq.compile(DIGITS, calibration=loader, config=FAST)
    listed = mcuq.compile(DIGITS, calibration={"image": list(tensors)}, config=FAST)
    assert loaded.files == listed.files == model().files


def test_an_estimate_needs_no_data() -> None:
    found = mcuq.estimate(DIGITS, on="microbit")
    assert [needs.board for needs in found.boards] == ["microbit"]
    assert found.boards[0].fits


def test_what_a_prompt_shows_is_short() -> None:
    """Of whatever the API returns; a notebook gets a table or a picture, or this line."""
    made = model()
    shown = [
        made, made.compiled, made.report, made.compiled.bundle, made.compiled.program,
        made.compiled.plan, made.compiled.bundle.graph, made.compiled.bundle.qgraph,
        made.explain(), made.evaluate(IMAGES[:8]), made.evaluate(IMAGES[:8]).outputs[0],
        mcuq.inspect(DIGITS), mcuq.estimate(DIGITS, on="microbit"),
        mcuq.compress_model(DIGITS, compress="structured:0.5"), *made.check([], vectors=1),
    ]  # fmt: skip
    for value in shown:
        assert repr(value).startswith("<mcuq."), type(value)
        assert len(repr(value)) < 120
        text = getattr(value, "_repr_html_", lambda: "")()
        assert text == "" or text.startswith(("<table>", "<svg"))
    assert "exact" in repr(shown[-1])
    judged, facts = made.evaluate(IMAGES[:8]), mcuq.inspect(DIGITS)
    assert f">{judged.outputs[0].sqnr_db:.2f} dB<" in judged._repr_html_()
    assert facts._repr_html_().count("<tr>") == 1 + len(facts.rows)


@pytest.mark.parametrize("shell", ["ZMQInteractiveShell", "TerminalInteractiveShell"])
def test_a_notebook_sees_how_far_it_is(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual("alone", 0.1)
    ipython = ModuleType("IPython")
    ipython.get_ipython = type(shell, (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    usual("quantizing", 0.5)
    wanted = f"\r 50% {'quantizing':60}" if shell.startswith("ZMQ") else ""
    assert capsys.readouterr().err == wanted
