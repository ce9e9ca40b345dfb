"""Changes of a folder hold whole or not at all, wherever the process ends."""

from __future__ import annotations

import fcntl
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mcuq.errors import McuqError
from mcuq.files import MANIFEST, MARK, write_folder
from mcuq.files.journal import JOURNAL, is_inside, repair

ROOT = Path(__file__).parents[2]
BEFORE = {MARK: b"1", "same.h": b"same", "a.c": b"old", "kernels/k.c": b"k", "gone/g.c": b"g"}
AFTER = {MARK: b"2", "same.h": b"same", "a.c": b"new", "kernels/k2.c": b"k", "x/y/z.c": b"z"}
OPERATIONS = ("mkdir", "rename", "link", "unlink", "rmdir", "chmod")


def make(folder: Path) -> None:
    """A folder of ``BEFORE``, and what a user might have put into it."""
    write_folder(folder, BEFORE)
    (folder / ".git" / "refs").mkdir(parents=True)
    (folder / "selftest").mkdir()
    (folder / "selftest" / "mine.bin").write_bytes(b"mine")
    (folder / "kernels" / "empty").mkdir()
    (folder / "to_folder").symlink_to("kernels")
    (folder / "to_nothing").symlink_to("nothing")
    os.mkfifo(folder / "pipe")
    (folder / "kernels").chmod(0o750)
    (folder / "a.c").chmod(0o640)


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """All that lies in ``folder``, by path: its mode, and its content or where it leads."""
    return {str(path.relative_to(folder)): _facts(path) for path in sorted(folder.rglob("*"))}


def _facts(path: Path) -> tuple[int, bytes | str]:
    mode = path.lstat().st_mode
    if path.is_symlink():
        return mode, os.readlink(path)
    return mode, path.read_bytes() if path.is_file() else b""


class Killed(BaseException):
    """Stands for the end of the process: nothing runs after it."""


def at_operation(
    monkeypatch: pytest.MonkeyPatch, number: int, fault: Callable[[], BaseException], last: bool
) -> list[str]:
    """Let file operation ``number`` fail, and if ``last`` all later ones; returns what failed."""
    done: list[str] = []
    failed: list[str] = []

    def guarded(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def operation(*given: object, **named: object) -> object:
            if (len(done) == number and not failed) or (failed and last):
                failed.append(name)
                if name == "write_bytes" and isinstance(given[1], bytes):
                    real(given[0], given[1][: len(given[1]) // 2])
                raise fault()
            done.append(name)
            return real(*given, **named)

        return operation

    for name in OPERATIONS:
        monkeypatch.setattr(os, name, guarded(name, getattr(os, name)))
    for name in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, guarded(name, getattr(Path, name)))
    return failed


def interrupted(
    folder: Path, fault: Callable[[], BaseException], last: bool, links: bool
) -> Iterator[None]:
    """Each time, ``folder`` is as ``make`` leaves it and its change to ``AFTER`` then interrupted
    one operation later."""
    number = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            place = folder / str(number)
            make(place)
            if not links:
                patch.setattr(os, "link", _no_links)
            failed = at_operation(patch, number, fault, last)
            with suppress(Killed, OSError):
                write_folder(place, AFTER)
        if not failed:
            assert number > 25
            return
        yield
        number += 1


def _no_links(*given: object, **named: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def outcomes(tmp_path: Path) -> tuple[dict[str, object], dict[str, object]]:
    make(tmp_path / "before")
    make(tmp_path / "after")
    write_folder(tmp_path / "after", AFTER)
    return tree(tmp_path / "before"), tree(tmp_path / "after")


def test_a_change_leaves_all_that_is_not_ours(tmp_path: Path) -> None:
    before, after = outcomes(tmp_path)
    ours = {MANIFEST, *BEFORE, *AFTER, "gone", "x", "x/y"}
    assert {k: v for k, v in before.items() if k not in ours} == {
        k: v for k, v in after.items() if k not in ours
    }
    assert {k for k in after if k in ours} == {MANIFEST, *AFTER, "x", "x/y"}
    assert after["a.c"] == (0o100640, b"new")


@pytest.mark.parametrize("links", [True, False])
def test_killed_at_any_operation_the_next_run_repairs(tmp_path: Path, links: bool) -> None:
    before, after = outcomes(tmp_path)
    found = []
    for number, _ in enumerate(interrupted(tmp_path / "work", Killed, True, links)):
        place = tmp_path / "work" / str(number)
        repair(place)
        found.append(tree(place))
        write_folder(place, AFTER)
        assert tree(place) == after
    assert before in found
    assert after in found
    assert [f for f in found if f not in (before, after)] == []


@pytest.mark.parametrize("links", [True, False])
def test_where_one_operation_fails_nothing_is_left_half_done(tmp_path: Path, links: bool) -> None:
    before, after = outcomes(tmp_path)
    fault = functools.partial(OSError, 5, "Input/output error")
    for number, _ in enumerate(interrupted(tmp_path / "work", fault, False, links)):
        place = tmp_path / "work" / str(number)
        repair(place)
        found = tree(place)
        if "gone/g.c" not in found:
            found.pop("gone", None)  # a folder that cannot be removed stays, empty
        assert found in (before, after), number


def test_a_kill_by_the_system_is_repaired_too(tmp_path: Path) -> None:
    code = (
        "import os, sys; from mcuq.files import write_folder; from pathlib import Path\n"
        "real, calls = os.link, []\n"
        "def link(*a, **k):\n"
        "    calls.append(1)\n"
        "    os.kill(os.getpid(), 9) if len(calls) == 3 else real(*a, **k)\n"
        "os.link = link\n"
        "write_folder(Path(sys.argv[1]), {n: n.encode() for n in ('mcuq_model.npz', 'b', 'c/d')})"
    )
    out = tmp_path / "out"
    make(out)
    before = tree(out)
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert (out / JOURNAL).is_dir()
    repair(out)
    assert tree(out) == before


def test_a_folder_that_did_not_exist_is_gone_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_operation(monkeypatch, 8, lambda: OSError(5, "Input/output error"), False)
    with pytest.raises(OSError, match="Input/output"):
        write_folder(tmp_path / "new" / "out", AFTER)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "out")
    before, link = tree(tmp_path / "out"), os.link

    def slow(source: Path, target: Path, **named: bool) -> None:
        if target.name == "k2.c":
            target.write_bytes(b"mine")
        link(source, target, **named)

    monkeypatch.setattr(os, "link", slow)
    with pytest.raises(McuqError, match=r"holds 'kernels/k2\.c' of yours"):
        write_folder(tmp_path / "out", AFTER)
    found = tree(tmp_path / "out")
    assert found.pop("kernels/k2.c")[1] == b"mine"
    assert found == before


def test_a_file_that_is_edited_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "out")
    rename = os.rename

    def slow(source: Path, target: Path) -> None:
        if Path(source).name == "a.c":
            Path(source).write_bytes(b"edited")
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(McuqError, match=r"holds 'a\.c' of yours"):
        write_folder(tmp_path / "out", AFTER)
    assert (tmp_path / "out" / "a.c").read_bytes() == b"edited"
    assert (tmp_path / "out" / MARK).read_bytes() == b"1"


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    make(tmp_path / "out")
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(McuqError, match="being written by another mcuq"):
        write_folder(tmp_path / "out", AFTER)
    os.close(handle)
    write_folder(tmp_path / "out", AFTER)


@pytest.mark.parametrize(
    "plan",
    [
        b"\xff",
        b"[" * 100_000,
        b"7",
        b'{"steps": [["../outside", null, null]], "folders": []}',
        b'{"steps": [["a", 7, null]], "folders": []}',
        b'{"steps": [["link/f", null, "%s"]], "folders": []}' % (b"0" * 64),
    ],
)
@pytest.mark.parametrize("name", ["plan", "done"])
def test_a_journal_of_somebody_else_touches_nothing(tmp_path: Path, plan: bytes, name: str) -> None:
    make(tmp_path / "out")
    (tmp_path / "outside").write_bytes(b"")
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    (tmp_path / "out" / JOURNAL).mkdir()
    (tmp_path / "out" / JOURNAL / name).write_bytes(plan)
    before = tree(tmp_path)
    with pytest.raises(McuqError):
        repair(tmp_path / "out")
    assert tree(tmp_path) == before


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path / "out")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "new-1").write_bytes(b"mine")
    (tmp_path / "out" / JOURNAL).symlink_to(tmp_path / "else")
    with pytest.raises(McuqError, match="no journal that mcuq wrote"):
        write_folder(tmp_path / "out", AFTER)
    assert (tmp_path / "else" / "new-1").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/x", "a/../../b", "a//b", "a\nb", "a\\..\\b", f"{JOURNAL}/plan"]
)
def test_a_path_that_leaves_its_folder(name: str) -> None:
    assert not is_inside(name)
