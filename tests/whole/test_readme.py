"""The README is true: its blocks are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcuq import config
from mcuq.compress.request import parse
from mcuq.targets import boards

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_every_block_is_covered_here() -> None:
    found = set(re.findall(r"^```(\w+)$", README, re.MULTILINE))
    assert found == {"sh", "python", "text", "c", "toml"}


def test_make_targets_exist() -> None:
    wanted = re.findall(r"^make (\w+)", blocks("sh")[0], re.MULTILINE)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted == ["demo", "test"]
    assert set(wanted) <= set(targets)


def test_commands_exist() -> None:
    from mcuq.cli import cli

    named = set(re.findall(r"mcuq (\w+)", blocks("text")[0]))
    assert named == set(cli.commands)


def test_board_example_is_a_board(tmp_path: Path) -> None:
    path = tmp_path / "my_board.toml"
    path.write_text(next(b for b in blocks("toml") if "clock_hz" in b))
    assert boards.load(path).ram.length == 128 * 1024


def test_config_example_is_a_config() -> None:
    table = tomllib.loads(next(b for b in blocks("toml") if "input.input" in b))
    assert config.parse(table, "README").inputs["input"].kind == "u8"


def test_compression_example_is_a_request() -> None:
    text = next(b for b in blocks("toml") if "compress" in b)
    request = config.parse(tomllib.loads(text), "README").compress
    assert [pattern for pattern, _ in request.layers] == ["fc*", "stem"]
    methods = [line.split()[0] for line in blocks("text")[1].splitlines()]
    assert [str(parse(method)) for method in methods] == methods


@pytest.mark.emulated
def test_python_example_and_c_example(tmp_path: Path) -> None:
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line]) <= 30
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["host exact", "nucleo_f446re exact"]
    assert lines[2].endswith("instructions per inference")
    _compile_c(tmp_path / "build" / "digits", blocks("c")[0])


def _compile_c(folder: Path, code: str) -> None:
    (folder / "use.c").write_text(code)
    command = ["gcc", "-std=gnu99", "-Wall", "-Werror", "-I.", "-Ikernels", "-c", "use.c"]
    subprocess.run(command, cwd=folder, check=True)
