from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mcuq.errors import ToolError
from mcuq.firmware import toolchain

PYTHON = sys.executable


def test_call_returns_what_the_program_printed(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ['MCUQ_WORD'])"
    out = toolchain.call([PYTHON, "-c", code], 20, cwd=tmp_path, env={"MCUQ_WORD": "seven"})
    assert out == f"{tmp_path.resolve()} seven\n"


def test_a_missing_tool_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as caught:
        toolchain.call(["arm-none-eabi-gcc", "--version"], 5)
    assert str(caught.value) == (
        "arm-none-eabi-gcc: not found on PATH. Install it with 'apt-get install "
        "gcc-arm-none-eabi libnewlib-arm-none-eabi', or see 'mcuq doctor'."
    )


@pytest.mark.parametrize(
    ("program", "packages"),
    [
        ("gcc", "gcc libc6-dev"),
        ("arm-none-eabi-objdump", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"),
        ("qemu-system-riscv32", "qemu-system-misc"),
        ("clang", "clang"),
    ],
)
def test_install_command(program: str, packages: str) -> None:
    assert toolchain.install_command(program) == f"apt-get install {packages}"


def test_a_failure_carries_its_error_line_and_the_exit_code() -> None:
    code = "import sys; print('a.c:1: error: bad\\nnote: x', file=sys.stderr); sys.exit(7)"
    with pytest.raises(toolchain.CallFailed, match=r"exit code 7: a\.c:1: error: bad") as caught:
        toolchain.call([PYTHON, "-c", code], 20)
    assert caught.value.code == 7


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        ("a.o: undefined reference to `f'\ncollect2: error: ld returned 1 exit status", "a.o: "),
        ("==7==ERROR: AddressSanitizer: overflow\n==7==ABORTING", "==7==ERROR"),
    ],
)
def test_error_line(output: str, line: str) -> None:
    assert toolchain.error_line(output).startswith(line)


def test_a_crash_names_its_signal() -> None:
    code = "import os; os.kill(os.getpid(), 11)"
    with pytest.raises(ToolError, match="signal SIGSEGV"):
        toolchain.call([PYTHON, "-c", code], 20)


def test_a_timeout_kills_the_whole_process_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    start = time.monotonic()
    with pytest.raises(ToolError, match="did not end within 1 s"):
        toolchain.call(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], 1)
    assert time.monotonic() - start < 10
    child = int(pid_file.read_text())
    for _ in range(50):
        if not _alive(child):
            return
        time.sleep(0.1)
    pytest.fail("the child of the program still runs")


def _alive(pid: int) -> bool:
    """Whether the process runs; a zombie that its new parent has not collected does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("first_line", "number"),
    [
        ("arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205", "12.2.1"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", "7.2.22"),
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
        ("Debian clang-format version 14.0.6", "14.0.6"),
        ("riscv64-unknown-elf-gcc (12.2.0-14+deb12u1+11+b2) 12.2.0", "12.2.0"),
    ],
)
def test_version_is_read_from_the_first_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first_line: str, number: str
) -> None:
    fake = tmp_path / "tool"
    fake.write_text(f"#!/bin/sh\necho '{first_line}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert toolchain.version("tool") == number


def test_survey_lists_missing_tools_with_their_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = toolchain.survey()
    assert [row.path for row in rows] == [None] * len(toolchain.NEEDS)
    assert rows[2].install == "apt-get install qemu-system-arm"


@pytest.mark.emulated
def test_survey_finds_what_the_tests_of_this_project_need() -> None:
    missing = [row.install for row in toolchain.survey() if row.path is None]
    assert missing == []


def test_a_tool_that_hangs_or_is_no_program_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("qemu-system-arm", "#!/bin/sh\nsleep 100\n"), ("gcc", "\x7fELF")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(toolchain, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ToolError, match=r"gcc: cannot be started \(Exec format error\)"):
        toolchain.call(["gcc", "--version"], 5)
    with pytest.raises(ToolError, match="cannot be started"):
        toolchain.call(["env", "a\0b"], 5)
    (row,) = (tool for tool in toolchain.survey() if tool.name == "qemu-system-arm")
    assert row.version == "does not answer"
