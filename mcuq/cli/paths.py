"""What a command reads and what it writes, held against each other before it does anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mcuq.errors import McuqError
from mcuq.files import check_not_ours, check_parent, is_stream, listed_files

# The extensions of what each option writes; a command's own -o comes with them.
_SUFFIXES = {"--json": (".json",), "--junit": (".xml",), "--checkpoint": (".npz", ".ckpt", "")}


def check_paths(
    reads: Iterable[str | None],
    writes: Mapping[str, str | None],
    folder: str | None = None,
    out: tuple[str, ...] = (),
) -> None:
    """Refuse to write over what is read, to write twice to one place, and odd extensions.

    ``reads``: files, also as FILE:ARRAY, and names of boards. ``folder``: the compiled folder that
    is read, or written anew. ``writes``: the path of each option; ``out``: the extensions of -o.
    """
    used = {_identity(file): str(file) for ref in reads if ref for file in _files_of(ref)}
    if folder:
        ours = [Path(folder) / name for name in listed_files(Path(folder))]
        _check_apart(used, ours)
        used |= {_identity(file): str(file) for file in ours}
    for option, given in writes.items():
        if given is not None and not is_stream(Path(given)):
            _check_target(option, given, (*out, *_SUFFIXES.get(option, ())), used)
            used[_identity(Path(given))] = given


def _check_target(
    option: str, given: str, suffixes: tuple[str, ...], used: Mapping[object, str]
) -> None:
    path, thing = Path(given), f"{option} '{given}'"
    if given == "" or path.is_dir():
        raise McuqError(thing, "is no file", "Name a file to write")
    if path.suffix.lower() not in suffixes:
        names = " or ".join(suffix for suffix in suffixes if suffix)
        raise McuqError(thing, f"is not called {names}", "Name another file")
    check_not_ours(path)
    if _identity(path) in used:
        reason = f"is '{used[_identity(path)]}', which the command uses already"
        raise McuqError(thing, reason, "Name another file")
    check_parent(path)


def _check_apart(used: Mapping[object, str], ours: Iterable[Path]) -> None:
    """Files that mcuq has in a folder are replaced, or are data: they are no input beside it."""
    for file in ours:
        if _identity(file) in used:
            reason = "is one of the files that mcuq wrote into the folder"
            raise McuqError(used[_identity(file)], reason, "Name another file")


def _files_of(ref: str) -> list[Path]:
    """The files that are read for ``ref``; none for the name of a board, or if it is missing."""
    from mcuq import importers
    from mcuq.data import array_files

    file = array_files.file_of(ref)
    if not file.is_file():
        return []
    if file.suffix.lower() == ".onnx":
        with suppress(McuqError):  # the command itself will say it
            return list(importers.files_of(file))
    return [file]


def _identity(path: Path) -> object:
    """Equal for two paths of one file, by whatever link."""
    real = os.path.realpath(path)
    found = os.stat(real) if os.path.exists(real) else None
    return (found.st_dev, found.st_ino) if found else real
