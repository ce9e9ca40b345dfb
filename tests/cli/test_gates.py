"""estimate, verify and diff as a continuous integration runs them: exit codes, lines and files."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mcuq.cli import cli
from mcuq.config import Config
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    fast = Config(quantize={"effort": "fast"})
    made = compile_model(DIGITS, calibration=rows, board="mps2_an386", config=fast)
    return made.write(tmp_path_factory.mktemp("gates") / "out")


def test_estimate_exits_1_if_it_fits_nothing(tmp_path: Path) -> None:
    tiny = Path(__file__).parents[2] / "boards" / "microbit.toml"
    text = tiny.read_text().replace("length = 0x4000", "length = 0x1000")
    assert text != tiny.read_text()
    (tmp_path / "tiny.toml").write_text(text.replace('"microbit"', '"tiny"'))
    done = run("estimate", DIGITS, "--board", tmp_path / "tiny.toml", "--json", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    done = run("estimate", DIGITS, "--board", tmp_path / "tiny.toml", "--prefer", "speed",
               "--bits", "16", "--json", tmp_path / "e.json")  # fmt: skip
    assert done.exit_code == 1, done.output
    assert "no: RAM" in done.output
    facts = json.loads((tmp_path / "e.json").read_text())
    (board,) = facts["boards"].values()
    assert not board["fits"]
    assert board["ram"] > board["ram_length"] == 4096


def test_estimate_asks_for_a_board() -> None:
    done = run("estimate", DIGITS)
    assert isinstance(done.exception, McuqError)
    assert str(done.exception) == "estimate: no board is given. Pass --board NAME, or --all."


def test_verify_passes_and_fails(folder: Path, tmp_path: Path) -> None:
    options = ("--junit", tmp_path / "x.xml", "--json", tmp_path / "y.json")
    done = run("verify", folder, "--min-sqnr", "1", *options)
    assert done.exit_code == 0, done.output
    assert "at least" not in done.stderr
    assert "sqnr" in done.stdout
    assert ElementTree.parse(tmp_path / "x.xml").getroot().attrib["failures"] == "0"
    done = run("verify", folder, "--min-sqnr", "199", *options)
    assert done.exit_code == 1
    (line,) = [x for x in done.stderr.splitlines() if not x.startswith("verify ")]
    assert line.startswith("sqnr: ")
    assert line.endswith(" dB, at least 199.00 dB (limit)")
    assert done.stdout == ""
    assert ElementTree.parse(tmp_path / "x.xml").getroot().attrib["failures"] == "1"
    assert json.loads((tmp_path / "y.json").read_text())["passed"] is False


def test_options_take_the_place_of_the_configuration(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[verify]\nmin_sqnr = 199.0\n")
    assert run("verify", folder, "--config", tmp_path / "c.toml").exit_code == 1
    assert run("verify", folder, "--config", tmp_path / "c.toml", "--min-sqnr", 1).exit_code == 0
    (tmp_path / "c.toml").write_text("[verify]\nmax_flsh = 1\n")
    done = run("verify", folder, "--config", tmp_path / "c.toml", "--min-sqnr", 1)
    assert "c.toml: verify key is 'max_flsh'" in str(done.exception)


def test_diff_writes_json(folder: Path, tmp_path: Path) -> None:
    done = run("diff", folder, folder, "--json", tmp_path / "d.json")
    assert done.exit_code == 0, done.output
    assert "the same kernels run the same steps" in done.output
    facts = json.loads((tmp_path / "d.json").read_text())
    assert facts["board"] == "mps2_an386"
    assert facts["steps"] == []
    assert all(number["by"] in (0, None) for number in facts["numbers"].values())


@pytest.mark.parametrize("option", ["--json", "--junit"])
def test_a_report_does_not_take_the_place_of_what_is_read(folder: Path, option: str) -> None:
    done = run("verify", folder, "--min-sqnr", 1, option, folder / "report.json")
    assert isinstance(done.exception, McuqError)
    assert json.loads((folder / "report.json").read_text())["name"] == "digits"
