"""``python -m mcuq`` and the ``mcuq`` command: run the CLI, show faults in one line each."""

from __future__ import annotations

import errno
import os
import signal
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mcuq.errors import McuqError
from mcuq.files import TEMPORARY, assets

_OUR_BUG = 70
# What went wrong with a file or folder, and what to do about it.
_REASONS = {
    errno.ENOENT: ("no such file or folder", "Check the path"),
    errno.EACCES: ("permission denied", "Change its permissions, or name another one"),
    errno.EPERM: ("permission denied", "Change its permissions, or name another one"),
    errno.EROFS: ("lies on a read-only file system", "Name another one"),
    errno.ENAMETOOLONG: ("has a name that is too long", "Name another one"),
    errno.ELOOP: ("is a link that leads to itself", "Name another one"),
    errno.ENOTDIR: ("uses a file as a folder", "Check the path"),
    errno.EISDIR: ("is a folder", "Name a file"),
    errno.EEXIST: ("is there already, and is no folder", "Name another one"),
    errno.ENOSPC: ("cannot be written (No space left on device)", "Free some space"),
    errno.EDQUOT: ("cannot be written (Disk quota exceeded)", "Free some space"),
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_STOPS = (signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command line; exit 1: the user's fault, 2: usage, 70: ours, 128 + N: signal N."""
    from mcuq.cli import cli

    try:
        with _stoppable():
            cli()
    except McuqError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if not _is_users(error):
            _bug()
        print(_file_error(error), file=sys.stderr)
        sys.exit(1)
    except Exception:
        _bug()


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the command as Ctrl-C does: emulators and temporary folders go too.

    A signal that is ignored, as under nohup, stays so.
    """
    before = {number: signal.getsignal(number) for number in _STOPS}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in _STOPS:  # once is enough: what follows is cleaning up
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _is_users(error: OSError) -> bool:
    """Whether a full disk or a file of the user's is at fault, not one of ours or of Python's."""
    if error.errno in _NO_ROOM or _is_lost():
        return True
    if not isinstance(error.filename, (str, bytes)):
        return False
    path = Path(os.path.abspath(os.fsdecode(error.filename)))
    ours = [assets.folder(name) for name in ("mcuq", "templates", "runtime_c")]
    ours += [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    return not any(path.is_relative_to(folder) for folder in ours) and not _is_temporary(path)


def _is_lost() -> bool:
    """Whether the folder that the command runs in was removed."""
    with suppress(FileNotFoundError):
        os.getcwd()
        return False
    return True


def _is_temporary(path: Path) -> bool:
    """Whether ``path`` lies in a temporary folder that we made."""
    if tempfile.tempdir is None or not path.is_relative_to(tempfile.tempdir):
        return False
    return str(path.relative_to(tempfile.tempdir)).startswith(TEMPORARY)


def _file_error(error: OSError) -> McuqError:
    """The fault of a file that cannot be read or written, as one line."""
    reason, remedy = _REASONS.get(error.errno or 0, (f"cannot be used ({error.strerror})", ""))
    if error.filename is not None:
        return McuqError(os.fsdecode(error.filename), reason, remedy)
    if _is_lost():
        return McuqError("the current folder", "was removed", "Change to another one")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python's last words would be the same error
    places = ["standard output", *([f"'{tempfile.tempdir}'"] if tempfile.tempdir else [])]
    return McuqError(" or ".join(places), reason, remedy)


def _bug() -> NoReturn:
    traceback.print_exc()
    print("This is a bug in mcuq; please report it with the lines above.", file=sys.stderr)
    sys.exit(_OUR_BUG)


if __name__ == "__main__":
    main()
