"""C made anew from a bundle for another board: as if it had been compiled for it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mcuq import api
from mcuq.cli import cli
from mcuq.config import Config
from mcuq.errors import BoardError, FitError, McuqError
from mcuq.flows.compile import compile_model
from mcuq.flows.retarget import retarget
from mcuq.model.compiled import Compiled, load_compiled
from mcuq.targets import boards

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)


def compiled(rows: np.ndarray, board: str | None, prefer: str = "balanced") -> Compiled:
    settings = Config(quantize={"effort": "fast"})
    return compile_model(DIGITS, calibration=rows, board=board, prefer=prefer, config=settings)


@pytest.fixture(scope="module")
def folder(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(rows, None).write(tmp_path_factory.mktemp("made") / "digits")


@pytest.mark.parametrize(
    ("board", "prefer"),
    [("nucleo_f446re", "balanced"), ("cortex-m55", "size")],
)
def test_it_is_what_compiling_for_the_board_gives(
    board: str, prefer: str, rows: np.ndarray, folder: Path, tmp_path: Path
) -> None:
    made = retarget(folder, board, prefer)
    assert made.files == compiled(rows, board, prefer).files
    made.write(tmp_path / "out")
    again = load_compiled(tmp_path / "out")
    assert again.bundle.board == boards.load(board)
    assert again.bundle.prefer == prefer
    assert retarget(tmp_path / "out", "rv32imc").bundle.prefer == prefer
    assert api.retarget(folder, board, prefer).files == made.files


def test_a_core_does_not_claim_to_be_fit(folder: Path) -> None:
    assert not retarget(folder, "cortex-m0plus").report.boards
    assert list(retarget(folder, "microbit").report.boards) == ["microbit"]


def test_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m4"
    run = CliRunner().invoke
    done = run(cli, ["retarget", str(folder), "--board", "cortex-m4", "-o", str(out)])
    assert done.exit_code == 0
    assert f"{out}: kernels for cortex-m4; on cortex-m55 about" in done.stdout
    assert "fits" not in done.stdout
    assert "mcuq_conv2d" in (out / "digits.c").read_text()
    assert run(cli, ["retarget", str(out), "--board", "rv32imc"]).exit_code == 0
    assert "kernels for rv32imc\n" in (out / "digits.h").read_text()
    assert not list((out / "kernels").glob("*_dsp*.c")), "what the last board needed is gone"


@pytest.mark.emulated
def test_an_image_with_the_kernels_of_another_core_says_so(folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    command = ["build", str(folder), "--board", "nucleo_f446re", "-o", str(tmp_path / "image")]
    slow = run(cli, command)
    assert slow.exit_code == 0
    said = re.findall("^nucleo_f446re: .*", slow.stdout, re.MULTILINE)
    assert len(said) == 1
    assert re.fullmatch(
        r"nucleo_f446re: kernels for any core, about [1-9]\.\d x the cycles of cortex-m4's own; "
        "see 'mcuq retarget'",
        said[0],
    )
    retarget(folder, "cortex-m4").write(tmp_path / "m4")
    command[1] = str(tmp_path / "m4")
    assert "kernels for" not in run(cli, command).stdout


@pytest.mark.parametrize(
    ("board", "error", "reason"),
    [
        ("cortex-m5", BoardError, "cortex-m5: no such board. Did you mean 'cortex-m55'"),
        ("tiny.toml", FitError, "RAM, tiny has"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_written(
    board: str, error: type[McuqError], reason: str, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(cli, ["boards", "--new", "tiny", "--from", "microbit"])
    text = Path("tiny.toml").read_text().replace("length = 0x4000 ", "length = 0xc00 ")
    Path("tiny.toml").write_text(text)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = CliRunner().invoke(cli, ["retarget", str(folder), "--board", board])
    assert isinstance(done.exception, error)
    assert reason in str(done.exception)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(McuqError, match="'fast' is not one of balanced, speed, size"):
        retarget(folder, "microbit", "fast")


def test_of_a_core_no_image_is_built(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["build", str(folder), "--board", "cortex-m4"])
    assert str(done.exception) == "cortex-m4: is a core, whose memory is not known. Name a board."
    assert not (folder / "selftest").exists()
