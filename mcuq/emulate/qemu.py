"""Run images in QEMU and host programs on this computer, and read back what they wrote.

Vectors go in through in.bin and results come out through out.bin and trace.bin, fixed names in a
temporary folder that the program runs in: on an emulated board through semihosting.
"""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuq.emit.entry import Entry
from mcuq.errors import DataError, ToolError
from mcuq.files import temporary
from mcuq.firmware import elf, toolchain
from mcuq.firmware.image import Image

SECONDS = 300.0
# 64 virtual nanoseconds an instruction: timers count executed instructions, repeatably.
QEMU_OPTIONS = (*("-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=6"),)
_CALLED = "mcuq"
_SEMIHOSTING = "enable=on,target=native"
_FAULT, _WRONG = 125, 1
_WORD = 4
_STATE_RECORD = 0xFFFFFFFF
# The harness's own exit codes (mcuq_harness.h).
_REASONS = {
    103: "a file of vectors or results could not be read or written in full",
    104: "its compiler does not shift negative numbers arithmetically",
    105: "its weights are not for its code",
}


@dataclass(frozen=True)
class Record:
    """A record of trace.bin."""

    index: int
    data: bytes


def run_trace(
    program: Image | Path, inputs: Sequence[bytes], entry: Entry, seconds: float = SECONDS
) -> list[list[bytes]]:
    """For each vector of ``inputs``, the bytes of every step's tensor, of a stream then its state.

    ``program``: a trace image, or a host program. A vector is the model's inputs, one after
    another, of a stream behind a command (``command``). Raises ToolError if the program faults, or
    does not end within ``seconds``.
    """
    records = list(_records(_vectors(program, inputs, entry, seconds)["trace.bin"]))
    expected = [(i, step.bytes) for i, step in enumerate(entry.steps)]
    if entry.state:
        expected.append((_STATE_RECORD, entry.state))
    expected *= len(inputs)
    if [(record.index, len(record.data)) for record in records] != expected:
        raise _other_c(entry, "traces other steps than its report says")
    data = [record.data for record in records]
    count = len(entry.steps) + bool(entry.state)
    return [data[i * count : (i + 1) * count] for i in range(len(inputs))]


def run_outputs(
    program: Image | Path, inputs: Sequence[bytes], entry: Entry, seconds: float = SECONDS
) -> list[list[bytes]]:
    """For each vector of ``inputs``, the bytes of every output; otherwise as ``run_trace``."""
    data = _vectors(program, inputs, entry, seconds)["out.bin"]
    sizes = [buffer.bytes for buffer in entry.outputs] * len(inputs)
    if len(data) != sum(sizes):
        raise _other_c(entry, f"wrote {len(data)} bytes of outputs, not {sum(sizes)}")
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    count = len(entry.outputs)
    return [parts[i * count : (i + 1) * count] for i in range(len(inputs))]


def _other_c(entry: Entry, what: str) -> ToolError:
    """The generated files were changed: what mcuq writes does what its report says."""
    return ToolError(entry.id, f"its C {what}", "It was changed: compile the model again")


def run_selftest(image: Image, seconds: float = SECONDS) -> bool:
    """Whether a selftest image finds all its known answers.

    It says so itself, PASS or FAIL and a word that it was given for this run: an exit code is not
    enough, for a program that ran nothing may end with it.
    """
    word = secrets.token_hex(8)
    with temporary() as folder:
        try:
            output = execute(image, folder, seconds, word=word)
        except toolchain.CallFailed as error:
            if error.code == _WRONG and f"FAIL {_CALLED} {word}" in error.output:
                return False
            raise
    if f"PASS {_CALLED} {word}" not in output:
        reason = "ended without a verdict: the emulator did not run the image"
        raise ToolError(_thing(image), reason, "Look at the board's [emulate] command")
    return True


def run_watermark(image: Image, vector: bytes | None = None, seconds: float = SECONDS) -> int:
    """Bytes of stack that one inference of a plain image touched, from ``<id>_run`` down.

    The stack is painted just before the call. ``vector``: the inputs; zeros if absent.
    """
    with temporary() as folder:
        run_bench(image, folder, vector, seconds)
        return int.from_bytes(result(image, folder, "stack.bin"), "little")


def run_bench(
    image: Image,
    folder: Path,
    vector: bytes | None,
    seconds: float = SECONDS,
    options: Sequence[str] = (),
) -> None:
    """Run a plain or steps image in ``folder`` on one vector (zeros if absent).

    Of a stream the vector's state stands before it; without a vector it is that of a reset.
    """
    if vector is not None:
        _check_sizes([vector], image.entry, image.entry.state)
        (folder / "in.bin").write_bytes(vector)
    execute(image, folder, seconds, options)


def execute(
    program: Image | Path,
    folder: Path,
    seconds: float = SECONDS,
    options: Sequence[str] = (),
    word: str = "",
) -> str:
    """Run to the end in ``folder``; what it printed. ``options`` are added to QEMU's.

    ``word``: the argument that an image finds on its command line.
    """
    thing = _thing(program)
    try:
        return toolchain.call(_command(program, options, word), seconds, cwd=folder, both=True)
    except toolchain.CallFailed as error:
        reason = _reason(error, program)
        raise toolchain.CallFailed(thing, reason, "", error.code, error.output) from None


def _vectors(
    program: Image | Path, inputs: Sequence[bytes], entry: Entry, seconds: float
) -> dict[str, bytes]:
    _check_sizes(inputs, entry, _WORD if entry.state else 0)
    with temporary() as folder:
        (folder / "in.bin").write_bytes(b"".join(inputs))
        execute(program, folder, seconds)
        return {file: result(program, folder, file) for file in ("out.bin", "trace.bin")}


def result(program: Image | Path, folder: Path, file: str) -> bytes:
    """What a program wrote; ToolError if it ended well without doing so."""
    path = folder / file
    if not path.is_file():
        reason = "ended without a result: the emulator did not run the image"
        raise ToolError(_thing(program), reason, "Look at the board's [emulate] command")
    return path.read_bytes()


def command(
    slot: int = 0, *, restore: bool = False, reset: bool = False, save: bool = False
) -> bytes:
    """What stands before a vector of a stream: the state that it is for, and what is done first.

    The snapshot is restored to the state, or it is begun anew, or it is saved as the snapshot.
    """
    return struct.pack("<I", slot | restore << 1 | reset << 2 | save << 3)


def _check_sizes(inputs: Sequence[bytes], entry: Entry, before: int) -> None:
    """``before``: bytes in front of a vector."""
    for number, vector in enumerate(inputs):
        if len(vector) != before + entry.input_bytes:
            reason = f"vector {number} has {len(vector)} bytes, not {before + entry.input_bytes}"
            raise DataError(entry.id, reason)


def _command(program: Image | Path, options: Sequence[str], word: str) -> list[str]:
    if isinstance(program, Path):
        return [str(program)]
    command = program.machine.emulate_command
    if not command:
        reason = "the image is linked for the board's own memory, which is not emulated"
        raise ToolError(_thing(program), reason)
    arguments = f"{_SEMIHOSTING},arg={_CALLED},arg={word}" if word else _SEMIHOSTING
    semihosting = ("-semihosting-config", arguments)
    return [*command, *QEMU_OPTIONS, *semihosting, *options, "-kernel", str(program.elf)]


def _thing(program: Image | Path) -> str:
    if isinstance(program, Path):
        return program.name
    return f"{program.entry.id} ({program.kind}) on {program.machine.name}"


def _reason(error: toolchain.CallFailed, program: Image | Path) -> str:
    """What the exit code and the last words of a test program mean."""
    if error.code == _FAULT and isinstance(program, Image):
        found = re.search(r"fault at 0x([0-9a-f]{8})", error.output)
        return f"fault {elf.read(program.elf).place(int(found[1], 16))}" if found else "fault"
    return _REASONS.get(error.code, error.reason)


def _records(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        index, size = struct.unpack_from("<II", data.ljust(at + 8, b"\0"), at)
        yield Record(index, data[at + 8 : at + 8 + size])
        at += 8 + size
