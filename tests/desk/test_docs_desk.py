"""The commands of docs/board.md, on a board that is QEMU behind a gdb server or a serial line."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from desks import debugged, flashed

import mcuq
from mcuq.cli import cli
from mcuq.config import Config

ROOT = Path(__file__).parents[2]
BOARD = "mps2_an386"
"""Has a line of its own and the core of the page's board, which QEMU lacks."""


def commands() -> list[list[str]]:
    page = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
    found = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in found for line in block.splitlines()]
    return [words[1:] for words in lines if words]


def run(words: list[str]) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, f"{words}: {done.output}"


@pytest.mark.emulated
def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    fast = Config(quantize={"effort": "fast"})
    digits = ROOT / "examples" / "digits.onnx"
    mcuq.compile(digits, calibration=rows, board="nucleo_f446re", config=fast).write("out")
    seen = set()
    for words in commands():
        kind = words[words.index("--on") + 1].split(":")[0] if "--on" in words else words[0]
        seen.add((words[0], kind))
        if kind == "build":
            run(words)  # for the page's own board: it is not run here
            run(["build", "out", "--board", BOARD, "--serial", "--port", "cmsdk_uart"])
            continue
        words[words.index("--board") + 1] = BOARD
        place = words.index("--on") + 1
        if kind == "gdb":
            with debugged(BOARD, tmp_path) as (where, _):
                words[place] = where
                run(words)
            continue
        if not Path("out/selftest", BOARD).exists():
            run(["build", "out", "--board", BOARD, "--serial", "--port", "cmsdk_uart"])
        (image,) = Path("out/selftest", BOARD).glob("*-serial.elf")
        kept = shutil.copy(image, tmp_path / "flashed.elf")
        with flashed(BOARD, Path(kept)) as device:
            words[place] = f"serial:{device}"
            run(words)
    assert seen == {("check", "gdb"), ("bench", "gdb"), ("check", "serial"), ("build", "build")}
