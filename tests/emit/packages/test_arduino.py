"""The Arduino library, built by arduino-builder for a small platform of our own."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import bare_board
import c_programs
import pytest
from exported import digits, export

BOARD = "mps2_an386"


def build(library: Path, sketch: Path, folder: Path) -> tuple[bare_board.Bare, Path]:
    """The board, and the program that arduino-builder made of a sketch and a library."""
    shutil.copytree(bare_board.STUBS / "arduino" / "hardware", folder / "hardware")
    core = folder / "hardware" / "mcuq" / "bare" / "cores" / "bare"
    board = bare_board.bare(BOARD, core)
    (folder / "build").mkdir()
    preferences = {
        "bare.prefix": board.prefix,
        "bare.flags": " ".join(board.flags),
        "bare.link": " ".join(board.link),
    }
    places = {
        "-hardware": ("/usr/share/arduino-builder", folder / "hardware"),
        "-tools": ("/usr/bin",),
        "-libraries": (library,),
        "-build-path": (folder / "build",),
        "-prefs": tuple(f"{key}={value}" for key, value in preferences.items()),
    }
    options = [word for key, values in places.items() for v in values for word in (key, v)]
    command = ["arduino-builder", "-compile", "-fqbn", "mcuq:bare:bare", "-warnings", "all"]
    c_programs.run([*command, *options, sketch], folder)
    return board, folder / "build" / f"{sketch.name}.elf"


@pytest.mark.emulated
def test_the_example_runs_to_the_same_numbers(tmp_path: Path) -> None:
    """Of the .zip that the IDE takes, opened as it does it."""
    zipfile.ZipFile(export("arduino", tmp_path / "digits.zip")).extractall(tmp_path / "libraries")
    sketch = tmp_path / "libraries" / "digits" / "examples" / "selftest" / "selftest.ino"
    board, program = build(tmp_path / "libraries", sketch, tmp_path)
    assert 1000 < bare_board.check_verdict(digits(), board.run(program)) < 100_000
