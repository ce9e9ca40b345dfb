"""Compilers and emulators: where they are, which version, and how one is run.

``call`` is the only place of the package that starts another program.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mcuq.errors import ToolError
from mcuq.targets.cores import FAMILIES


@dataclass(frozen=True)
class Need:
    """A program, what it is needed for, and the Debian or Ubuntu packages that bring it."""

    program: str
    purpose: str
    packages: str


@dataclass(frozen=True)
class Tool:
    """A row of ``mcuq doctor``: ``path`` is None if the program (or its headers) is missing."""

    name: str
    path: str | None
    version: str | None
    needed_for: str
    install: str


_COMPILERS = tuple(
    Need(f"{f.toolchain}-gcc", f"images for {f.boards} boards", f.packages)
    for f in FAMILIES.values()
)
_EMULATORS = tuple(
    Need(f.emulator, f"running {f.name} images", f.emulator_packages) for f in FAMILIES.values()
)
NEEDS = (
    *_COMPILERS,
    *_EMULATORS,
    Need("gcc", "running generated C on this computer, counting instructions", "gcc libc6-dev"),
    Need("clang-format", "nothing at run time; checks the style of the C sources", "clang-format"),
)
_PACKAGES = {need.program: need.packages for need in NEEDS}

# The programs that run now, whichever thread waits for them.
_RUNNING: set[subprocess.Popen[str]] = set()
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ANSWER_SECONDS = 20.0
"""A compiler or an emulator says its version within this time."""

_ERROR = re.compile(r"\berror\b(?!: ld returned)|undefined reference|overflowed", re.IGNORECASE)


class CallFailed(ToolError):
    """A program ended with an exit code that its caller did not expect."""

    def __init__(self, program: str, reason: str, remedy: str, code: int, output: str) -> None:
        super().__init__(program, reason, remedy)
        self.code, self.output = code, output


def install_command(program: str) -> str:
    """The command that installs ``program`` on Debian and Ubuntu.

    >>> install_command("arm-none-eabi-objcopy")
    'apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi'
    """
    family = FAMILIES.get(program.rpartition("-")[0])
    packages = _PACKAGES.get(program) or (family.packages if family else program)
    return f"apt-get install {packages}"


def find(program: str) -> str:
    """The path of ``program``; ToolError with the command that installs it."""
    path = shutil.which(program)
    if path is None:
        remedy = f"Install it with '{install_command(program)}', or see 'mcuq doctor'"
        raise ToolError(program, "not found on PATH", remedy)
    return path


def call(
    argv: Sequence[str | Path],
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    both: bool = False,
) -> str:
    """What a program printed on standard output; it must end with 0 within ``timeout`` seconds.

    ``both``: what it printed on standard error is added. ``env`` adds to the environment (messages
    are asked for in English). On a time-out the whole process group is killed. Raises ToolError:
    missing, failed (its error line), or too slow.
    """
    program = str(argv[0])
    command = [find(program), *(str(word) for word in argv[1:])]
    with ExitStack() as shield:
        shield.enter_context(_undisturbed())
        with _started(command, cwd, env or {}) as process:
            try:
                shield.close()
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                _kill_group(process)
                raise ToolError(
                    Path(program).name,
                    f"did not end within {timeout:g} s and was stopped",
                    "Allow more time, or look for an endless loop",
                ) from None
            except BaseException:
                _kill_group(process)
                raise
            finally:
                _RUNNING.discard(process)
    if process.returncode != 0:
        raise _failure(Path(program).name, process.returncode, f"{out}\n{err}")
    return f"{out}\n{err}" if both else out


def _started(
    command: Sequence[str], cwd: Path | None, env: Mapping[str, str]
) -> subprocess.Popen[str]:
    """The program, in a session of its own, with pipes to read what it prints."""
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # no program for this computer, or NUL in an argument
        reason = f"cannot be started ({getattr(error, 'strerror', None) or error})"
        raise ToolError(Path(command[0]).name, reason, "See 'mcuq doctor'") from error
    _RUNNING.add(process)
    return process


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What a signal is to stop must be known: one that comes before this ends is seen after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _STOPS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for stopped in came:
        signal.raise_signal(stopped)


def stop_all() -> None:
    """Kill the programs that other threads wait for: nobody wants their results any more."""
    for process in list(_RUNNING):
        _kill_group(process)


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the program and what it started; they share its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(program: str, code: int, output: str) -> CallFailed:
    reason = f"ended with {_code_text(code)}"
    line = error_line(output)
    return CallFailed(program, f"{reason}: {line}" if line else reason, "", code, output)


def _code_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def error_line(output: str) -> str:
    r"""The line that says what went wrong: the first that reports an error, else the last one.

    Compilers report the cause first; what follows is often its consequence.

    >>> error_line("a.c:3: error: no such thing\na.c:9: error: therefore\nstopped")
    'a.c:3: error: no such thing'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines[-1:] or [""])[0]


def version(program: str) -> str:
    """The version number that ``program --version`` states in its first line.

    Vendors put a package name in brackets before it; gcc and QEMU end theirs with it.
    """
    first = call([program, "--version"], timeout=ANSWER_SECONDS).partition("\n")[0]
    numbers = re.findall(r"(?<![\w:.])\d+\.\d+(?:\.\d+)?", re.sub(r"\([^)]*\)", "", first))
    return numbers[0] if numbers else first


def _has_c_library(compiler: str) -> bool:
    """Whether the cross compiler finds <string.h>; some distributions package it separately."""
    specs = FAMILIES[compiler.removesuffix("-gcc")].specs
    try:
        call(
            [compiler, *specs, "-E", "-include", "string.h", "-x", "c", "/dev/null"],
            timeout=ANSWER_SECONDS,
        )
    except ToolError:
        return False
    return True


def library_headers(name: str) -> Path:
    """The folder of <string.h> of the C library that the toolchain of this name compiles with."""
    options = ("-M", "-include", "string.h", "-x", "c", "/dev/null")
    read = call([f"{name}-gcc", *FAMILIES[name].specs, *options], timeout=20).split()
    return next(Path(path).resolve().parent for path in read if path.endswith("/string.h"))


def _answer(program: str) -> str:
    """The version of a program, or that it gives none: what is broken is shown, too."""
    try:
        return version(program)
    except ToolError:
        return "does not answer"


def survey() -> list[Tool]:
    """All tools that mcuq can use, in a fixed order, whether found or not."""
    return [_row(need) for need in NEEDS]


def _row(need: Need) -> Tool:
    path = shutil.which(need.program)
    if path is not None and need in _COMPILERS and not _has_c_library(need.program):
        path = None
    return Tool(
        need.program,
        path,
        _answer(need.program) if path else None,
        need.purpose,
        install_command(need.program),
    )
