"""The PlatformIO library, built by PlatformIO, offline, for a small platform of our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import bare_board
import ecosystem_tools
import pytest
from exported import digits, export

STUBS = bare_board.STUBS / "platformio"


def build(project: Path, folder: Path) -> tuple[bare_board.Bare, Path]:
    """The board, and the program that PlatformIO made of the project."""
    core = folder / "core"
    shutil.copytree(bare_board.STUBS / "arduino/hardware/mcuq/bare/cores/bare", core)
    board = bare_board.bare("mps2_an386", core)
    shutil.copytree(STUBS / "tool-scons", folder / "pio" / "packages" / "tool-scons")
    settings = {
        "PLATFORMIO_CORE_DIR": folder / "pio",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "9999",
        "PLATFORMIO_SETTING_CHECK_PRUNE_SYSTEM_THRESHOLD": "0",
        "BARE_PREFIX": board.prefix,
        "BARE_FLAGS": " ".join(board.flags),
        "BARE_LINK": " ".join(board.link),
        "BARE_CORE": core,
        "HOME": folder,
    }
    done = subprocess.run(
        [ecosystem_tools.find("pio"), "run", "-v", "-d", project],
        env={**os.environ, **{key: str(value) for key, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "-O0 -g" in done.stdout
    lines = [row for row in done.stdout.splitlines() if " -c " in row and "kernels/mcuq_" in row]
    assert lines
    assert all(line.rindex(" -O2 ") > line.rindex(" -O0 ") for line in lines)
    return board, project / ".pio" / "build" / "selftest" / "program.elf"


@pytest.mark.emulated
def test_the_example_runs_to_the_same_numbers(tmp_path: Path) -> None:
    """Its own platformio.ini, for another platform and board."""
    project = export("platformio", tmp_path / "digits") / "examples" / "selftest"
    text = (project / "platformio.ini").read_text()
    text = text.replace("= ststm32", f"= symlink://{STUBS / 'platform'}")
    (project / "platformio.ini").write_text(text.replace("= nucleo_f446re", "= bare"))
    board, program = build(project, tmp_path)
    assert 1000 < bare_board.check_verdict(digits(), board.run(program)) < 100_000


def test_the_example_is_listed_with_its_files(tmp_path: Path) -> None:
    package = export("platformio", tmp_path / "digits")
    (listed,) = json.loads((package / "library.json").read_text())["examples"]
    base = package / listed["base"]
    found = {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}
    assert found == set(listed["files"])
