"""mcuq export: what is written, where, and what is refused before anything is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from exported import digits, export

import mcuq
from mcuq.cli import cli
from mcuq.emit.packages import ECOSYSTEMS, About, ecosystem, package
from mcuq.errors import McuqError

NAMES = [row.name for row in ECOSYSTEMS]
METADATA = {
    "arduino": ("library.properties", "version=4.5.6\nauthor=Jane Doe <j@example.org>\n"),
    "platformio": ("library.json", '"version": "4.5.6"'),
    "esp-idf": ("idf_component.yml", 'version: "4.5.6"'),
    "zephyr": ("zephyr/module.yml", "name: mcuq_digits\n"),
    "cmsis-pack": ("JaneDoe.digits.pdsc", '<release version="4.5.6">'),
    "cmake": ("CMakeLists.txt", "project(digits VERSION 4.5.6 LANGUAGES C)"),
    "pico": ("CMakeLists.txt", "add_library(digits STATIC"),
    "cubeide": ("linked-folder.xml", "<name>digits</name>"),
}
ABOUT = About("4.5.6", "Jane Doe <j@example.org>", "https://example.org/digits")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits().write(tmp_path_factory.mktemp("compiled") / "digits")


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["export", *map(str, arguments)])
    text = done.output if not isinstance(done.exception, McuqError) else str(done.exception)
    return (done.exception.exit_code if text != done.output else done.exit_code), text


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("to", NAMES)
def test_a_package_has_metadata_and_all_of_the_c(to: str) -> None:
    files = package(ecosystem(to), digits().files, digits().facts, ABOUT)
    name, text = METADATA[to]
    assert text in files[name]
    assert {"LICENSE", "README.md", "report.json"} <= files.keys()
    source = ecosystem(to).source
    for path, content in digits().files.items():
        if path.endswith((".c", ".h")):
            assert files[source + path] == content
        assert not path.endswith((".npz", "Makefile")) or path not in files
    for path, content in files.items():
        if not path.endswith((".json", "LICENSE", ".pdsc")):
            assert "SPDX-License-Identifier: Apache-2.0" in content or path.endswith(".properties")


@pytest.mark.parametrize("to", NAMES)
def test_the_command_writes_the_same_bytes_twice(to: str, compiled: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        assert run(compiled, "--to", to, "-o", folder)[0] == 0
    assert contents(first) == contents(second)
    api = mcuq.load(compiled).export(to, tmp_path / "api").place
    assert contents(api) == contents(first)


def test_json_says_what_was_written(compiled: Path, tmp_path: Path) -> None:
    given = ("--version", "2.0.1", "--json", tmp_path / "facts.json", "-o", tmp_path / "out")
    assert run(compiled, "--to", "zephyr", *given)[0] == 0
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["to"], facts["name"], facts["version"]) == ("zephyr", "digits", "2.0.1")
    assert set(facts["files"]) == contents(tmp_path / "out").keys() - {".mcuq-files"}


def test_a_zip_holds_the_folder(tmp_path: Path) -> None:
    folder = export("arduino", tmp_path / "out")
    with zipfile.ZipFile(export("arduino", tmp_path / "out.zip")) as packed:
        found = {name: packed.read(name) for name in packed.namelist()}
    wanted = contents(folder)
    del wanted[".mcuq-files"]
    assert found == {f"digits/{name}": content for name, content in wanted.items()}


def test_a_package_is_replaced_and_what_is_the_users_stays(tmp_path: Path) -> None:
    folder = export("arduino", tmp_path / "out")
    (folder / "notes.txt").write_text("mine")
    export("platformio", folder)
    assert not (folder / "library.properties").exists()
    assert (folder / "library.json").exists()
    assert (folder / "notes.txt").read_text() == "mine"


REFUSED = {
    "unknown ecosystem": (("--to", "ardiuno"), 2, "Invalid value for '--to'"),
    "no ecosystem": ((), 2, "Missing option '--to'"),
    "version": (("--to", "cmake", "--version", "1.0"), 1, "is not of the form 1.2.3"),
    "author": (("--to", "cmake", "--author", "\n"), 1, "is no name"),
    "url": (("--to", "cmake", "--url", "<here>"), 1, "is no address"),
    "archive": (("--to", "arduino", "-o", "{tmp}/x.pack"), 1, "End it with .zip"),
    "other archive": (("--to", "cmake", "-o", "{tmp}/x.tar.gz"), 1, "End it with .zip"),
    "pack": (("--to", "cmsis-pack", "-o", "{tmp}/x.pack"), 1, "Name it 'mcuq.digits.1.0.0.pack'"),
    "compiled": (("--to", "cmake", "-o", "{compiled}"), 1, "is a compiled folder"),
    "foreign": (("--to", "cmake", "-o", "{foreign}"), 1, "was not written by mcuq"),
    "file": (("--to", "cmake", "-o", "{foreign}/theirs"), 1, "is a file"),
    "json": (("--to", "cmake", "--json", "{tmp}/x.txt"), 1, "is not called .json"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_use_is_one_line_and_writes_nothing(
    case: str, compiled: Path, tmp_path: Path
) -> None:
    words, code, text = REFUSED[case]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "theirs").write_text("theirs")
    places = {"tmp": tmp_path, "compiled": compiled, "foreign": foreign}
    arguments = [word.format(**places) for word in words]
    out = [] if "-o" in arguments else ["-o", tmp_path / "out"]
    before = contents(tmp_path), contents(compiled)
    found = run(compiled, *arguments, *out)
    assert found[0] == code
    assert text in found[1]
    assert len(found[1].strip().splitlines()) == 1 or code == 2
    assert (contents(tmp_path), contents(compiled)) == before


def test_a_changed_file_is_not_overwritten(tmp_path: Path) -> None:
    folder = export("pico", tmp_path / "out")
    (folder / "CMakeLists.txt").write_text("mine")
    with pytest.raises(McuqError, match="which was changed"):
        export("pico", folder)
    assert (folder / "CMakeLists.txt").read_text() == "mine"


def test_the_readme_says_how_the_model_is_called(tmp_path: Path) -> None:
    text = (export("pico", tmp_path / "out") / "README.md").read_text()
    assert "    digits_run(arena, in_image, out_logits);\n" in text


def test_the_option_lists_every_ecosystem() -> None:
    option = next(p for p in cli.commands["export"].params if p.name == "to")
    assert sorted(option.type.choices) == sorted(NAMES)
    assert [i.value for i in option.type.shell_complete(None, option, "p")] == [
        "pico",
        "platformio",
    ]
