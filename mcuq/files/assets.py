"""Find the folders that stand beside the package: templates, runtime_c, boards; and LICENSE.

In a checkout they are at its top level, in a wheel under ``mcuq/_assets``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

KERNEL_ROOMS = ("include", "common", "plain", "block", "dsp", "mve")

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The folder (or file) that ships with the package under ``name``.

    >>> folder("boards").name
    'boards'
    """
    shipped = _PACKAGE / "_assets" / name
    return shipped if shipped.exists() else _PACKAGE.parent / name


def templates() -> Path:
    """The Jinja templates."""
    return folder("templates")


def runtime_c() -> Path:
    """The C kernels, a folder for each kind of core, and the code of test images."""
    return folder("runtime_c")


@cache
def kernel_files() -> dict[str, Path]:
    """Every C file and header of the kernels by its name, which is unique.

    >>> kernel_files()["mcuq_requant.h"].parent.name
    'common'
    """
    return {path.name: path for room in KERNEL_ROOMS for path in room_files(room)}


def copied_files() -> dict[str, Path]:
    """All C that a generated folder may hold a copy of: kernels, and reading weights apart."""
    return {**kernel_files(), **{path.name: path for path in room_files("weights")}}


def room_files(room: str) -> list[Path]:
    """The C files and headers below the folder ``room`` of the kernels, by name."""
    found = (runtime_c() / room).rglob("mcuq_*")
    return sorted((p for p in found if p.suffix in (".c", ".h")), key=lambda path: path.name)


def boards() -> Path:
    """The board files, one TOML file each."""
    return folder("boards")


def licence() -> Path:
    """The text of the licence that kernels and generated files are under."""
    return folder("LICENSE")
