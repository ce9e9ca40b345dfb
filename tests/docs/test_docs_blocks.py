"""Every block of the documentation is executed by a test, or is said to be of another tool."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST = ("index.md", "concepts.md", "tutorials/digits.md", "tutorials/fit-64k.md",
         "tutorials/size-gate.md")  # fmt: skip
PACKAGES = {p.relative_to(DOCS).as_posix() for p in (DOCS / "packages").glob("*.md")}
EXECUTED: dict[str, set[str]] = {
    "python": {*FIRST, "features.md", "quantization.md", "training.md"},
    "sh": {*FIRST, *PACKAGES, "ci.md", "board.md"},
    "yaml": {"ci.md"},
    "cmake": {"packages/cmake.md"},
}
"""By ``test_docs.py`` and, of boards, ``desk/test_docs_desk.py``. All toml and c is: every page."""
OTHERS = {
    ("packages/arduino.md", "cpp"): "a sketch: the Arduino export's own test builds one",
    ("packages/cmsis-pack.md", "yaml"): "two keys of a csolution",
    ("packages/esp-idf.md", "yaml"): "a dependency in idf_component.yml",
    ("packages/esp-idf.md", "cmake"): "a line of ESP-IDF's CMake",
    ("packages/pico.md", "cmake"): "lines of the Pico SDK's CMake",
    ("packages/zephyr.md", "cmake"): "a line of Zephyr's CMake",
    ("packages/zephyr.md", "kconfig"): "a line of prj.conf",
    ("packages/platformio.md", "ini"): "a line of platformio.ini",
}
"""Fragments of files that other tools read, with what they are."""


def blocks() -> list[tuple[str, str, str]]:
    """Page, kind and text."""
    return [
        (page.relative_to(DOCS).as_posix(), kind, text)
        for page in sorted(DOCS.rglob("*.md"))
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
    ]


def test_every_block_is_executed_or_of_another_tool() -> None:
    left = {
        (page, kind)
        for page, kind, _ in blocks()
        if kind not in ("text", "toml", "c") and page not in EXECUTED.get(kind, ())
    }
    assert left == set(OTHERS)


def test_fragments_are_what_they_are_called() -> None:
    for _, kind, text in blocks():
        if kind == "yaml":
            assert isinstance(yaml.safe_load(text), dict)
        if kind == "cmake":
            assert all(re.match(r"\w+\(|\s|.*\)$", line) for line in text.splitlines() if line)
        if kind in ("ini", "kconfig"):
            assert all(re.match(r"\w+ ?= ?\S", line) for line in text.splitlines() if line)


def test_shown_text_is_no_command_that_could_run() -> None:
    """What is ``text`` is shown, not run: commands on the pages that are run are ``sh``."""
    shown = [
        (page, line)
        for page, kind, text in blocks()
        if kind == "text" and page in FIRST
        for line in text.splitlines()
        if line.startswith("mcuq ") and "train.npz" not in line and "--junit" not in line
    ]
    assert shown == []
