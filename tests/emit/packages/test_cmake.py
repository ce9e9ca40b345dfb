"""The CMake package in a consumer's project, by find_package and by FetchContent."""

from __future__ import annotations

import shutil
from pathlib import Path

import bare_board
import c_programs
import pytest
from cmake_projects import configured, toolchain
from exported import digits, export

CONSUMER = """
cmake_minimum_required(VERSION 3.14)
project(consumer C)
include(FetchContent)
FetchContent_Declare(digits URL {archive})
FetchContent_MakeAvailable(digits)
add_executable(app ${{digits_SOURCE_DIR}}/examples/selftest/main.c {sources})
target_link_libraries(app PRIVATE digits::digits)
"""
INSTALLED = """
cmake_minimum_required(VERSION 3.14)
project(consumer C)
find_package(digits {version} REQUIRED)
add_executable(app {example} {sources})
target_link_libraries(app PRIVATE digits::digits)
"""


@pytest.mark.emulated
def test_fetch_content_on_a_board(tmp_path: Path) -> None:
    """The archive is fetched by its address, as from a server."""
    board = bare_board.bare("mps2_an386", tmp_path / "board")
    archive = export("cmake", tmp_path / "digits-1.0.0.zip")
    sources = " ".join(map(str, board.sources))
    text = CONSUMER.format(archive=archive.as_uri(), sources=sources)
    (tmp_path / "CMakeLists.txt").write_text(text)
    options = f"-DCMAKE_TOOLCHAIN_FILE={toolchain(board)}"
    app = configured(tmp_path, tmp_path / "build", options) / "app"
    assert 1000 < bare_board.check_verdict(digits(), board.run(app)) < 100_000


def test_find_package_on_this_computer(tmp_path: Path) -> None:
    package = export("cmake", tmp_path / "package")
    build = configured(package, tmp_path / "build")
    c_programs.run(["cmake", "--install", build, "--prefix", tmp_path / "prefix"], tmp_path)
    example = shutil.copy(package / "examples" / "selftest" / "main.c", tmp_path)
    shutil.rmtree(package)
    text = INSTALLED.format(version="1.0", example=example, sources="")
    (tmp_path / "CMakeLists.txt").write_text(text)
    prefix = f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}"
    made = configured(tmp_path, tmp_path / "app", prefix)
    bare_board.check_verdict(digits(), c_programs.run([made / "app"], tmp_path).decode())


def test_the_example_is_a_project_by_itself(tmp_path: Path) -> None:
    package = export("cmake", tmp_path / "package")
    made = configured(package / "examples" / "selftest", tmp_path / "build")
    text = c_programs.run([made / "digits_selftest"], tmp_path).decode()
    bare_board.check_verdict(digits(), text)


def test_another_major_version_is_not_found(tmp_path: Path) -> None:
    build = configured(export("cmake", tmp_path / "package"), tmp_path / "build")
    c_programs.run(["cmake", "--install", build, "--prefix", tmp_path / "prefix"], tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(
        INSTALLED.format(version="2.0", example="", sources="")
    )
    with pytest.raises(AssertionError, match=r"version: 1\.0\.0"):
        configured(tmp_path, tmp_path / "app", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
