"""``main``: how the command ends when a signal, a full disk or a lost folder ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A command that works in a temporary folder with a program that has a child of its own.
WORKING = """
import mcuq.cli
from mcuq import files
from mcuq.firmware import toolchain
def cli():
    with files.temporary() as place:
        script = "sleep 600 & echo $! > pid.part; mv pid.part pid; wait"
        toolchain.call(["sh", "-c", script], 600, place)
mcuq.cli.cli = cli
from mcuq.__main__ import main
main()
"""


# The same, and the signal comes before Popen has returned.
STARTING = """
import signal, subprocess, time
real = subprocess.Popen.__init__
def init(self, *given, **named):
    real(self, *given, **named)
    time.sleep(2)
subprocess.Popen.__init__ = init
"""
# The same with two compilers, each waited for by a thread.
COMPILING = """
import os, pathlib, sys
sys.path.insert(0, "tests/support")
import mcuq.cli
from mcuq import files
from mcuq.firmware import image
from tiny_model import ENTRY, FILES
def cli():
    with files.temporary() as place:
        compiler = place / "compiler"
        compiler.write_text("#!/bin/sh\\necho $$ > pid.part; mv pid.part pid; exec sleep 600")
        compiler.chmod(0o755)
        os.chdir(place)
        image.compile_host(FILES, ENTRY, place, compiler=str(compiler))
mcuq.cli.cli = cli
from mcuq.__main__ import main
main()
"""


def started(code: str, folder: Path, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def child_of(folder: Path) -> int:
    """The process that ``WORKING`` waits for."""
    for _ in range(600):
        found = list(folder.glob("mcuq-*/pid"))
        if found:
            return int(found[0].read_text())
        time.sleep(0.1)
    raise AssertionError("nothing was started")


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("code", [WORKING, STARTING + WORKING, COMPILING])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_what_was_started_and_leaves_nothing(
    tmp_path: Path, number: int, code: str
) -> None:
    with started(code, tmp_path) as process:
        child = child_of(tmp_path)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert (out, err) == ("", "")
    assert list(tmp_path.iterdir()) == []
    for _ in range(50):
        if not runs(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the program still runs")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    with started(WORKING, tmp_path, "nohup") as process:
        child = child_of(tmp_path)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not runs(child)


def test_a_full_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcuq", "ops"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    line = b"standard output: cannot be written (No space left on device). Free some space.\n"
    assert done.stderr == line
