"""Writes an output folder whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mcuq.errors import McuqError

MARK = "mcuq_model.npz"


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write ``files`` to a temporary folder beside ``folder``, then put it in its place.

    An existing folder is replaced only if mcuq wrote it (it holds ``MARK``) or it is empty.
    """
    check_replaceable(folder)
    target = folder.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mcuq-", dir=target.parent) as work:
            fresh = Path(work) / "new"
            for name, content in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _replace(target, fresh, Path(work) / "old")
    except OSError as error:
        raise McuqError(str(folder), f"cannot be written ({error.strerror})") from error
    return folder


def _replace(target: Path, fresh: Path, aside: Path) -> None:
    """Put ``fresh`` in the place of ``target``; what was there comes back if that fails."""
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(aside)
    try:
        fresh.rename(target)
    except BaseException:  # Ctrl-C, too
        aside.rename(target)
        raise


def check_replaceable(folder: Path) -> None:
    """Refuse a path whose content would be lost, or that cannot be made."""
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = f"cannot be written: '{place}' is {'read-only' if place.is_dir() else 'a file'}"
        raise McuqError(str(folder), reason, "Choose another folder with -o")
    if not folder.exists():
        return
    if Path.cwd().is_relative_to(folder.resolve()):
        reason = "is the folder that you are in, and would be replaced by a new one"
        raise McuqError(str(folder), reason, "Choose another folder with -o")
    if not folder.is_dir():
        raise McuqError(str(folder), "is a file", "Choose another folder with -o")
    if any(folder.iterdir()) and not (folder / MARK).is_file():
        raise McuqError(
            str(folder), "is not empty and was not written by mcuq", "Choose another folder with -o"
        )


def write_file(path: Path, content: bytes) -> None:
    """Write one file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise McuqError(str(path), f"cannot be written ({error.strerror})") from error
