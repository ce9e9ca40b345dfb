"""Find the folders that stand beside the package: templates, runtime_c, boards; and LICENSE.

In a checkout they are at its top level, in a wheel under ``mcuq/_assets``.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


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
    """The C kernels (``include``, ``src``) and the startup code of test images (``startup``)."""
    return folder("runtime_c")


def boards() -> Path:
    """The board files, one TOML file each."""
    return folder("boards")


def licence() -> Path:
    """The text of the licence that kernels and generated files are under."""
    return folder("LICENSE")
