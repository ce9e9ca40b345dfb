"""The folder for STM32CubeIDE: linked into a project as Eclipse does it, and built as its Debug
configuration builds it: every C file below the source folders, without optimization.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import bare_board
import c_programs
import pytest
from exported import digits, export

STUBS = bare_board.STUBS


def linked(project: Path, package: Path) -> tuple[str, Path]:
    """The name of the linked folder in the project, and what its location stands for."""
    (link,) = ElementTree.parse(package / "linked-folder.xml").getroot()
    assert link.findtext("type") == "2"
    first, _, rest = link.findtext("locationURI").partition("/")
    assert first == "PARENT-1-PROJECT_LOC"
    return link.findtext("name"), project.parent / rest


@pytest.mark.emulated
def test_the_example_runs_to_the_same_numbers(tmp_path: Path) -> None:
    package, project = export("cubeide", tmp_path / "digits"), tmp_path / "project"
    name, folder = linked(project, package)
    assert (name, folder) == ("digits", package)
    board = bare_board.bare("mps2_an386", project / "Core")
    flags = [*board.flags, f"-I{folder}", f"-I{STUBS / 'cubeide'}", f"-I{STUBS / 'cmsis'}"]
    flags += ["-std=gnu11", "-g3", "-O0", "-ffunction-sections", "-fdata-sections", "-Wall"]
    sources = [*folder.rglob("*.c"), STUBS / "cubeide/main.c", STUBS / "cmsis/device.c"]
    command = [f"{board.prefix}gcc", *flags, *board.link, *sources, *board.sources]
    c_programs.run([*command, "-Werror", "-o", "app"], tmp_path)
    assert 1000 < bare_board.check_verdict(digits(), board.run(tmp_path / "app")) < 100_000
