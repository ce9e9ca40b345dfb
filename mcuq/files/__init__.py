"""Writes an output folder, or one file, whole or not at all, and never over what is the user's.

In a folder, mcuq replaces and removes what its manifest lists and nobody has changed since; all
else stays where it is. A folder with files but without a manifest is somebody else's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mcuq.errors import DataError, McuqError, ToolError, size_text
from mcuq.files import journal
from mcuq.files.journal import Change, digest_of, in_the_way, is_inside, sha256

MARK = "mcuq_model.npz"
# What mcuq wrote, a SHA-256 and a path a line, as sha256sum writes and reads it.
MANIFEST = ".mcuq-files"
# Below it lie the images that ``mcuq build`` adds to a compiled folder.
SELFTEST = "selftest"
# How the names of our temporary folders begin.
TEMPORARY = "mcuq-"
# Lies in each of them, empty, and is locked as long as its process lives.
_IN_USE = ".in-use"
_ELSEWHERE = "Choose another folder with -o"
# Where a regular file is what somebody else has open, and is not exchanged for another.
_OPEN_ELSEWHERE = ("/dev/fd/", "/dev/std", "/proc/")

MOST_BYTES = 1 << 26
"""A text that a user writes is smaller; a device that never ends is not."""
_PART = 1 << 20


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """What a file or a pipe holds; McuqError if that is more than ``most`` bytes.

    An OSError names the file.
    """
    content = bytearray()
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            while max(size, len(content)) <= most and (part := stream.read(_PART)):
                content += part
    except OSError as error:
        error.filename = str(path)
        raise
    if max(size, len(content)) > most:
        raise McuqError(str(path), f"holds more than {size_text(most)}", "Check the path")
    return bytes(content)


def write_folder(folder: Path, files: Mapping[str, bytes], sign: str | None = None) -> Path:
    """Make ``files`` what mcuq has in ``folder``: what it wrote there before goes.

    McuqError names the first file in the way, the user's own or one changed since; ``sign``: as in
    ``check_replaceable``.
    """
    check_replaceable(folder, sign)
    target = _followed(folder)
    _write(target, files, _listed(target), {})
    return folder


def add_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` into a folder that ``write_folder`` wrote, beside what is there."""
    check_addable(folder, files)
    target = _followed(folder)
    listed = _listed(target)
    old = {name: digest for name, digest in listed.items() if name in files}
    _write(target, files, old, {n: digest for n, digest in listed.items() if n not in files})


def put_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` into any folder; they replace files of these names, all or none of them."""
    target = _followed(folder)
    for name in files:
        check_not_ours(target / name)
    if target.exists():
        journal.repair(target)
    names = sorted(files)
    journal.apply(target, [Change(n, digest_of(target, n), files[n]) for n in names])


def written_files(folder: Path) -> list[str]:
    """The paths, below ``folder``, of the files that ``write_folder`` wrote there."""
    if not (folder / MANIFEST).exists():
        reason = f"holds no {MANIFEST}, the list of the files that mcuq wrote"
        raise DataError(str(folder), reason, "Copy a compiled folder with its hidden files")
    return [name for name in _listed(folder) if not name.startswith(f"{SELFTEST}/")]


def listed_files(folder: Path) -> list[str]:
    """The paths of all files of a compiled folder, its images for boards too; often none."""
    listed = _listed(folder)
    return [MANIFEST, *listed] if listed else []


def check_replaceable(folder: Path, sign: str | None = None) -> None:
    """Refuse a folder in which something would be lost, or that cannot be written.

    ``sign``: a file that every folder of the kind to write has; of another kind none is replaced.
    """
    check_parent(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise McuqError(str(folder), "is a file", _ELSEWHERE)
    _check_writable(folder)
    journal.repair(folder)
    first = min(os.listdir(folder), default=None)
    if first is not None and not (folder / MANIFEST).is_file():
        reason = f"holds '{first}' but no {MANIFEST}: it was not written by mcuq"
        raise McuqError(str(folder), reason, _ELSEWHERE)
    listed = _listed(folder)
    if listed and sign is not None and sign not in listed:
        reason = f"holds something else that mcuq wrote, such as '{min(listed)}'"
        raise McuqError(str(folder), reason, _ELSEWHERE)
    for name, digest in listed.items():
        _replaced(folder, name, digest)


def check_addable(folder: Path, names: Iterable[str]) -> None:
    """Refuse what ``add_files`` would: before any work."""
    written_files(folder)
    _check_writable(folder)
    listed = _listed(folder)
    for name in names:
        _replaced(folder, name, listed.get(name))


def check_parent(path: Path) -> None:
    """Refuse a path that cannot be made, because of what it would lie in."""
    if path.exists():
        return
    if os.path.islink(os.path.realpath(path)):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = f"cannot be written: '{place}' is {'read-only' if place.is_dir() else 'a file'}"
        raise McuqError(str(path), reason, "Name another place")


def check_not_ours(path: Path) -> None:
    """Refuse to write one file of a compiled folder by its own name, through links or not."""
    real = Path(os.path.realpath(path))
    for parent in real.parents:
        name = real.relative_to(parent).as_posix()
        if (parent / MANIFEST).is_file() and name in (MANIFEST, MARK, *_listed(parent)):
            reason = f"is a file of the compiled folder '{parent}'"
            raise McuqError(str(path), reason, "Name another file")


def owner_of(folder: Path) -> Path | None:
    """The compiled folder below whose ``selftest`` ``folder`` lies, if there is one."""
    real = Path(os.path.realpath(folder))
    for parent in real.parents:
        if (parent / MANIFEST).is_file() and real.is_relative_to(parent / SELFTEST):
            return parent
    return None


def write_file(path: Path, content: bytes) -> None:
    """Write one file whole or not at all; into what is no regular file, as it is.

    A link stays: what it leads to is written.
    """
    check_not_ours(path)
    if is_stream(path):
        _write_stream(path, content)
        return
    check_parent(path)
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{TEMPORARY}{sha256(place.name.encode(errors='replace'))[:12]}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        if place.exists():
            shutil.copymode(place, part)
        os.replace(part, place)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


def is_stream(path: Path) -> bool:
    """Whether ``path`` is a device, a pipe, or another process's open file: no file to replace."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or str(path.absolute()).startswith(_OPEN_ELSEWHERE)


@contextmanager
def temporary() -> Iterator[Path]:
    """A temporary folder; ToolError if there can be none."""
    try:
        made = tempfile.TemporaryDirectory(prefix=TEMPORARY)
    except FileNotFoundError as error:
        raise ToolError("TMPDIR", str(error.strerror), "Set it to a folder that exists") from None
    with made as name, (Path(name) / _IN_USE).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _sweep(Path(name).parent)
        yield Path(name)


def _sweep(place: Path) -> None:
    """Remove our temporary folders that killed processes left: their lock is nobody's any more."""
    for mark in place.glob(f"{TEMPORARY}*/{_IN_USE}"):
        with suppress(OSError):
            lock = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(mark.parent)
            finally:
                os.close(lock)


def _write_stream(path: Path, content: bytes) -> None:
    """Write to an open file; our own outputs, which may be a file, go on where they are."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        own = next((n for n in (1, 2) if os.path.samestat(os.fstat(n), path.stat())), None)
        with path.open("wb") if own is None else os.fdopen(os.dup(own), "wb") as out:
            out.write(content)
    except OSError as error:
        error.filename = str(path)
        raise


def _write(
    folder: Path, files: Mapping[str, bytes], old: Mapping[str, str], kept: Mapping[str, str]
) -> None:
    """Exchange the ``old`` files for ``files``; the manifest lists these and what is ``kept``."""
    listed = {**kept, **{name: sha256(content) for name, content in files.items()}}
    changes = []
    for name in sorted({*files, *old}):
        found, wanted = _replaced(folder, name, old.get(name)), files.get(name)
        if found != (None if wanted is None else listed[name]):
            changes.append(Change(name, found, wanted))
    manifest = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items())).encode()
    found = digest_of(folder, MANIFEST)
    if changes or found != sha256(manifest):
        journal.apply(folder, [*changes, Change(MANIFEST, found, manifest)])


def _replaced(folder: Path, name: str, listed: str | None) -> str | None:
    """The digest of the file ``name``, None if there is none; McuqError if it is not ours."""
    found = digest_of(folder, name)
    if found in (None, listed):
        return found
    if listed is None:
        raise in_the_way(folder, name)
    reason = f"holds '{name}', which was changed since mcuq wrote it"
    raise McuqError(str(folder), reason, "Move it away, or choose another folder")


def _listed(folder: Path) -> dict[str, str]:
    """The digests of the files that mcuq wrote into ``folder``, by path; none without manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        rows = [line.split("  ", 1) for line in read_file(path).decode().split("\n")[:-1]]
        listed = {name: digest for digest, name in rows}
    except ValueError:
        raise _no_manifest(path) from None
    if not all(is_inside(name) and len(d) == 64 for name, d in listed.items()):
        raise _no_manifest(path)
    return listed


def _no_manifest(path: Path) -> DataError:
    reason = "is damaged or of another version of mcuq"
    return DataError(str(path), reason, "Compile the model again, into another folder")


def _followed(folder: Path) -> Path:
    """What a link that leads to a folder, or to nothing yet, stands for."""
    return Path(os.path.realpath(folder)) if folder.is_symlink() else folder


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
