"""Components of ESP-IDF, modules of Zephyr, libraries of the Pico SDK: their examples, built.

Their SDKs are stand-ins, as small as they can be, that use the ecosystem's own tools where these
can be had: ESP-IDF's component manager, kconfiglib and pykwalify.
"""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import bare_board
import c_programs
import ecosystem_tools
import pytest
from cmake_projects import configured
from exported import digits, export

from mcuq.flows.export import export as write
from mcuq.model.compiled import generate_for

SDKS = {
    # where the package lies, its example, the board, the program
    "esp-idf": ("digits", "examples/selftest", "esp32_c3", "digits_selftest.elf"),
    "zephyr": ("modules/digits", "samples/selftest", "mps2_an386", "zephyr"),
    "pico": ("digits", "examples/selftest", "raspberry_pi_pico", "digits_selftest"),
}
IDF = {"IDF_VERSION": "6.0.0", "ESP_IDF_VERSION": "6.0.0", "IDF_TARGET": "esp32c3"}


@pytest.fixture(autouse=True)
def _sdks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in IDF.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IDF_PATH", str(bare_board.STUBS / "esp-idf"))
    monkeypatch.setenv("ZEPHYR_BASE", str(bare_board.STUBS / "zephyr"))
    monkeypatch.setenv("PICO_SDK_PATH", str(bare_board.STUBS / "pico"))


@pytest.mark.emulated
@pytest.mark.parametrize("to", SDKS)
def test_the_example_runs_to_the_same_numbers(to: str, tmp_path: Path) -> None:
    """In a debug build, in which every file of the model has its own level behind the others."""
    place, example, name, program = SDKS[to]
    package = export(to, tmp_path / place)
    board = bare_board.bare(name, tmp_path / "board")
    build = configured(package / example, tmp_path / "build", board=board)
    assert 1000 < bare_board.check_verdict(digits(), board.run(build / program)) < 100_000
    for row in json.loads((build / "compile_commands.json").read_text()):
        if Path(row["file"]).is_relative_to(package / "src"):
            levels = [word for word in row["command"].split() if word.startswith("-O")]
            assert levels[-1] == "-O2"


@pytest.mark.emulated
def test_kernels_run_from_ram_on_a_pico(tmp_path: Path) -> None:
    package = export("pico", tmp_path / "digits")
    board = bare_board.bare("raspberry_pi_pico", tmp_path / "board")
    in_ram = "-DDIGITS_CODE_IN_RAM=ON"
    build = configured(package / "examples/selftest", tmp_path / "build", in_ram, board=board)
    kernel = next(build.rglob("mcuq_dense_s8.c.obj"))
    sections = c_programs.run([f"{board.prefix}size", "-A", kernel], tmp_path).decode()
    assert ".time_critical.mcuq" in sections


def compote(*words: str, folder: Path) -> None:
    c_programs.run([ecosystem_tools.find("compote"), *words], folder)


def test_the_component_is_packed(tmp_path: Path) -> None:
    """As the registry takes it: the manifest has no fault, and the C files are in the archive."""
    package = export("esp-idf", tmp_path / "digits")
    compote("manifest", "lint", folder=package)
    compote("component", "pack", "--name", "digits", folder=package)
    with tarfile.open(package / "dist" / "digits_1.0.0.tgz") as packed:
        names = {os.path.normpath(name) for name in packed.getnames()}
    assert {str(p.relative_to(package)) for p in (package / "src").rglob("*.[ch]")} <= names
    assert "LICENSE" in names
    assert ".mcuq-files" not in names


def test_a_fault_in_the_manifest_is_found(tmp_path: Path) -> None:
    package = export("esp-idf", tmp_path / "digits")
    manifest = package / "idf_component.yml"
    manifest.write_text(manifest.read_text().replace('version: "1.0.0"', 'version: "one"'))
    with pytest.raises(AssertionError, match="ended with"):
        compote("manifest", "lint", folder=package)


@pytest.mark.emulated
def test_two_models_share_kernels_in_zephyr(tmp_path: Path) -> None:
    """All objects of all libraries are linked: nothing may be there twice."""
    first, second = export("zephyr", tmp_path / "digits"), tmp_path / "twin"
    twin = generate_for(replace(digits().bundle, id="twin"), digits().bundle.family)
    write(twin, "zephyr", second)
    sample = first / "samples/selftest"
    (sample / "prj.conf").write_text("CONFIG_MCUQ_DIGITS=y\nCONFIG_MCUQ_TWIN=y\n")
    board = bare_board.bare("mps2_an386", tmp_path / "board")
    more = f"-DEXTRA_ZEPHYR_MODULES={second}"
    build = configured(sample, tmp_path / "build", more, board=board)
    bare_board.check_verdict(digits(), board.run(build / "zephyr"))
    assert list(build.rglob("libmcuq_twin.a"))


def test_zephyr_leaves_out_what_is_not_chosen(tmp_path: Path) -> None:
    package = export("zephyr", tmp_path / "digits")
    (package / "samples/selftest/prj.conf").write_text("CONFIG_MCUQ_DIGITS=n\n")
    board = bare_board.bare("mps2_an386", tmp_path / "board")
    with pytest.raises(AssertionError, match=r"digits\.h: No such file"):
        configured(package / "samples/selftest", tmp_path / "build", board=board)
