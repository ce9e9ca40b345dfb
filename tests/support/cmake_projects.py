"""CMake projects of packages, configured for an emulated board and built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import ecosystem_tools
from bare_board import Bare


def toolchain(board: Bare) -> Path:
    """The toolchain file of an emulated board: a debug build of it has -O0."""
    lines = {
        "CMAKE_SYSTEM_NAME": "Generic",
        "CMAKE_C_COMPILER": f"{board.prefix}gcc",
        "CMAKE_CXX_COMPILER": f"{board.prefix}g++",
        "CMAKE_ASM_COMPILER": f"{board.prefix}gcc",
        "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
        "CMAKE_C_FLAGS": f'"{" ".join(board.flags)}"',
        "CMAKE_ASM_FLAGS": f'"{" ".join(board.flags)}"',
        "CMAKE_C_FLAGS_DEBUG": '"-O0 -g"',
        "CMAKE_EXE_LINKER_FLAGS": f'"{" ".join(board.link)}"',
    }
    path = board.folder / "toolchain.cmake"
    path.write_text("".join(f"set({key} {value})\n" for key, value in lines.items()))
    return path


def configured(source: Path, build: Path, *options: str, board: Bare | None = None) -> Path:
    """A debug build of a project; ``board``: for the stand-ins of SDKs, which take it from here.

    AssertionError has what CMake and the compilers said.
    """
    settings = {} if board is None else {
        "BARE_TOOLCHAIN": str(toolchain(board)),
        "BARE_SOURCES": ";".join(map(str, board.sources)),
        "BARE_PYTHON": str(ecosystem_tools.find("python")),
    }  # fmt: skip
    kind = "-DCMAKE_BUILD_TYPE=Debug"
    for command in (
        ["cmake", "-S", source, "-B", build, kind, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options],
        ["cmake", "--build", build],
    ):
        done = subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build
