"""Changes files of a folder, all or none of them, even if the process is killed.

Everything happens in the folder itself and file by file, so that whatever else lies in it, its mode
and the shells in it stay. ``.mcuq-journal`` holds the new files (``new-N``), those that were moved
aside (``old-N``) and the plan. While there is a ``plan``, the changes are undone by whoever comes
next; once it is called ``done``, they stand, and only the journal is left to be removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mcuq.errors import McuqError

JOURNAL = ".mcuq-journal"
_PLAN, _DONE, _PART = "plan", "done", "plan.part"
_PARTS = re.compile(r"(?:new|old)-\d+|plan|plan\.part|done")


@dataclass(frozen=True)
class Change:
    """One file, by its path below the folder.

    ``old``: the SHA-256 of what is replaced; None: nothing may be there. ``new``: what will be
    there; None: nothing.
    """

    name: str
    old: str | None
    new: bytes | None


@dataclass(frozen=True)
class _Staged:
    """A change as the plan has it, and where its files are."""

    folder: Path
    number: int
    name: str
    old: str | None
    new: str | None

    @property
    def target(self) -> Path:
        return self.folder / self.name

    @property
    def staged(self) -> Path:
        return self.folder / JOURNAL / f"new-{self.number}"

    @property
    def aside(self) -> Path:
        return self.folder / JOURNAL / f"old-{self.number}"


def sha256(content: bytes) -> str:
    """The digest that the manifest and the plan hold."""
    return hashlib.sha256(content).hexdigest()


def is_inside(name: str) -> bool:
    """Whether ``name`` is a path that stays in the folder that it is relative to.

    >>> [is_inside(name) for name in ("a/b.c", "../a", "/a", "a//b", "", ".mcuq-journal/plan")]
    [True, False, False, False, False, False]
    """
    parts = name.split("/")
    return name.isprintable() and not {"", ".", "..", JOURNAL} & set(parts) and "\\" not in name


def digest_of(folder: Path, name: str) -> str | None:
    """The SHA-256 of the file ``name`` in ``folder``, None if there is none.

    McuqError if something else is in its way: a folder, a link, a file where a folder must be.
    """
    _check_parents(folder, name)
    digest = _digest(folder / name)
    if digest is None and os.path.lexists(folder / name):
        raise in_the_way(folder, name)
    return digest


def in_the_way(folder: Path, name: str) -> McuqError:
    """The error that names what mcuq would have to replace."""
    reason = f"holds '{name}' of yours, where mcuq would write a file"
    return McuqError(str(folder), reason, "Move it away, or choose another folder with -o")


def apply(folder: Path, changes: Sequence[Change]) -> None:
    """Make all ``changes``, or none; ``folder`` and its parents are made if they are missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            os.mkdir(path)
        with _locked(folder):
            _settle(folder)
            try:
                _perform(folder, changes)
            finally:
                _settle(folder)
    except BaseException as error:  # Ctrl-C and SIGTERM, too
        for path in missing:
            with suppress(OSError):
                os.rmdir(path)
        if isinstance(error, OSError) and JOURNAL in str(error.filename or JOURNAL):
            error.filename = str(folder)  # where there is no room, for example
        raise


def repair(folder: Path) -> None:
    """Undo, or finish, what a killed process left half-done in ``folder``."""
    if os.path.lexists(folder / JOURNAL):
        with _locked(folder):
            _settle(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock ends with the process that holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # A file system without locks serves one process as well.
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reason = "is being written by another mcuq"
                raise McuqError(str(folder), reason, "Wait until that ends") from None
        yield
    finally:
        os.close(handle)


def _perform(folder: Path, changes: Sequence[Change]) -> None:
    """Everything up to the moment from which on the changes stand."""
    place = folder / JOURNAL
    os.mkdir(place)
    steps = []
    for number, change in enumerate(changes):
        new = None if change.new is None else sha256(change.new)
        steps.append(_Staged(folder, number, change.name, change.old, new))
        if change.new is not None:
            steps[-1].staged.write_bytes(change.new)
    listed = [[step.name, step.old, step.new] for step in steps]
    plan = {"steps": listed, "folders": _missing_folders(steps)}
    (place / _PART).write_text(json.dumps(plan), encoding="utf-8")
    os.rename(place / _PART, place / _PLAN)
    for step in steps:
        _exchange(step)
    os.rename(place / _PLAN, place / _DONE)


def _missing_folders(steps: Sequence[_Staged]) -> list[str]:
    """The folders that must be made for new files, the outer ones first."""
    parents = {str(p) for s in steps if s.new for p in PurePosixPath(s.name).parents[:-1]}
    return sorted(p for p in parents if steps and not (steps[0].folder / p).is_dir())


def _exchange(step: _Staged) -> None:
    """Move the old file aside and the new one to its place; McuqError if it is another by now."""
    if step.old is not None:
        os.rename(step.target, step.aside)
        if _digest(step.aside) != step.old:
            raise in_the_way(step.folder, step.name)
    if step.new is not None:
        if step.old is not None:
            shutil.copymode(step.aside, step.staged)
        step.target.parent.mkdir(parents=True, exist_ok=True)
        if not _move(step.staged, step.target):
            raise in_the_way(step.folder, step.name)


def _move(source: Path, target: Path) -> bool:
    """Whether ``source`` is at ``target`` now: never in the place of another file."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:  # a folder, or a file system without hard links
        if os.path.lexists(target):
            return False
        os.rename(source, target)
    return True


def _settle(folder: Path) -> None:
    """Leave ``folder`` as it was, or as it will be, and without a journal."""
    place = folder / JOURNAL
    if not os.path.lexists(place):
        return
    if not _is(place, stat.S_ISDIR):
        raise _damaged(folder)
    if (place / _DONE).exists():
        _remove_left_folders(_steps(folder, _DONE)[0])
        os.unlink(place / _DONE)
    elif (place / _PLAN).exists():
        steps, made = _steps(folder, _PLAN)
        for step in reversed(steps):
            _undo(step)
        for name in reversed(made):
            with suppress(OSError):
                os.rmdir(folder / name)
        os.unlink(place / _PLAN)
    for path in sorted(place.iterdir()):
        if _PARTS.fullmatch(path.name):
            os.unlink(path)
    os.rmdir(place)


def _undo(step: _Staged) -> None:
    """Take the new file away if it is there, and move the old one back if it is not."""
    moved = os.path.lexists(step.aside)
    if step.new is not None and (moved or step.old is None) and _is_ours(step):
        os.unlink(step.target)
    if moved:
        _move(step.aside, step.target)


def _is_ours(step: _Staged) -> bool:
    """Whether what is at the target was put there by ``_exchange``."""
    if not _is(step.target, stat.S_ISREG):
        return False
    if step.staged.exists():
        return step.target.samefile(step.staged)
    return _digest(step.target) == step.new


def _remove_left_folders(steps: Sequence[_Staged]) -> None:
    """Remove the folders that became empty because mcuq has no file in them any more."""
    for step in steps:
        if step.new is None:
            for parent in PurePosixPath(step.name).parents[:-1]:
                with suppress(OSError):
                    os.rmdir(step.folder / parent)


def _steps(folder: Path, name: str) -> tuple[list[_Staged], list[str]]:
    """The steps of the plan, and the folders that were made for them."""
    path = folder / JOURNAL / name
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        steps = [_step(folder, n, row) for n, row in enumerate(plan["steps"])]
        made = [str(name) for name in plan["folders"] if is_inside(str(name))]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(folder) from None
    for step in steps:
        _check_parents(folder, step.name)
    return steps, made


def _step(folder: Path, number: int, row: object) -> _Staged:
    """A row of the plan; ValueError if it is none."""
    match row:
        case [str(name), None | str() as old, None | str() as new] if is_inside(name):
            return _Staged(folder, number, name, old, new)
    raise ValueError(row)


def _damaged(folder: Path) -> McuqError:
    reason = "is no journal that mcuq wrote"
    return McuqError(str(folder / JOURNAL), reason, "Delete it, if nothing in it is yours")


def _check_parents(folder: Path, name: str) -> None:
    """A path below ``folder`` must not leave it by a link."""
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        if os.path.lexists(folder / parent) and not _is(folder / parent, stat.S_ISDIR):
            raise in_the_way(folder, str(parent))


def _digest(path: Path) -> str | None:
    """The SHA-256 of a regular file; None of anything else."""
    return sha256(path.read_bytes()) if _is(path, stat.S_ISREG) else None


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether ``path`` itself, not what a link leads to, is there and of this kind."""
    try:
        return kind(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
