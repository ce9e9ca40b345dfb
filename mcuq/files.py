"""Writes an output folder whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mcuq.errors import McuqError

MARK = "mcuq_model.npz"
# Lists what mcuq wrote, one path a line: whatever else lies in the folder is the user's.
MANIFEST = ".mcuq-files"


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write ``files`` to a temporary folder beside ``folder``, then put it in its place.

    An existing folder is replaced only if mcuq wrote it (it holds ``MARK``) or it is empty; files
    that the user put there are kept.
    """
    check_replaceable(folder)
    target = folder.resolve()
    own = _users_files(target)
    clash = sorted(set(own) & set(files))
    if clash:
        reason = f"holds a file '{clash[0]}' of yours, where mcuq would write one"
        raise McuqError(str(folder), reason, "Move it away, or choose another folder with -o")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mcuq-", dir=target.parent) as work:
            fresh = Path(work) / "new"
            listing = "".join(f"{name}\n" for name in sorted(files)).encode()
            for name, content in {**files, MANIFEST: listing}.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            for name in own:
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(target / name, fresh / name)
            _replace(target, fresh, Path(work) / "old")
    except OSError as error:
        raise McuqError(str(folder), f"cannot be written ({error.strerror})") from error
    return folder


def written_files(folder: Path) -> list[str]:
    """The paths, below ``folder``, of the files that ``write_folder`` wrote there."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return []
    try:
        names = manifest.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise McuqError(str(manifest), "is not UTF-8", _COMPILE_AGAIN) from error
    for name in names:
        if not _is_inside(name):
            reason = f"names '{name}', which is no path inside the folder"
            raise McuqError(str(manifest), reason, _COMPILE_AGAIN)
    return names


_COMPILE_AGAIN = "It was changed: compile the model into another folder"


def _is_inside(name: str) -> bool:
    """Whether ``name`` is a plain path below a folder, as mcuq writes it."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and not {"", ".", ".."}.intersection(parts)


def _users_files(folder: Path) -> list[str]:
    """The files below ``folder`` that mcuq did not write, or only for a board (self-tests)."""
    ours = {*written_files(folder), MANIFEST}
    if len(ours) == 1:
        return []
    found = (p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file())
    return [name for name in found if name not in ours and not name.startswith("selftest/")]


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
