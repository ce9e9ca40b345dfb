"""Exact counts of executed instructions, from a TCG plugin inside QEMU.

The total comes from a plain image, which holds no hooks: all instructions between the first of
``<id>_run`` and its return, with everything it calls. Counts per step come from a second image of
kind steps, whose model calls an empty function after each step; the instructions of that function
are left out, and those of the calls to it (argument set-up and branch, the same few each time) are
shared out evenly, so that the steps add up to the total of the plain image exactly.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuq.emulate.qemu import SECONDS, result, run_bench
from mcuq.errors import ToolError
from mcuq.files import assets, cache, temporary, write_file
from mcuq.files.journal import sha256
from mcuq.firmware import elf, toolchain
from mcuq.firmware.image import Image
from mcuq.targets.cores import FlashReads

_HARNESS = ("mcuq_bench", "mcuq_bench_begin", "mcuq_bench_end", "mcuq_trace")
_BUILD_SECONDS = 120.0


@dataclass(frozen=True)
class Misses:
    """How often a line of flash was read that no cache held.

    ``following``: of instructions, behind the line before; ``jumps``: others; ``data``: of loads.
    """

    following: int
    jumps: int
    data: int

    def __add__(self, other: Misses) -> Misses:
        return Misses(
            self.following + other.following, self.jumps + other.jumps, self.data + other.data
        )


@dataclass(frozen=True)
class Profile:
    """How often each address was executed, and how often execution jumped away behind it.

    ``misses``: where it was asked how flash is read.
    """

    executed: Mapping[int, int]
    taken: Mapping[int, int]
    misses: Misses | None = None

    @property
    def total(self) -> int:
        """All executed instructions."""
        return sum(self.executed.values())


@dataclass(frozen=True)
class Counts:
    """Executed instructions of one inference.

    ``total``: of the plain image. ``steps``: one number per step; they add up to ``total``.
    ``profile``: of the plain image. ``step_profiles``: per step, with the addresses of the steps
    image and the calls to the markers; the last one also holds the epilogue.
    """

    total: int
    steps: tuple[int, ...]
    profile: Profile
    step_profiles: tuple[Profile, ...]


def count(
    plain: Image,
    steps: Image,
    vector: bytes | None = None,
    seconds: float = SECONDS,
    reads: FlashReads | None = None,
) -> Counts:
    """Counts of one inference on ``vector`` (zeros if absent); the same every time.

    ``reads``: of flash, whose caches are simulated, empty at first.
    """
    (whole,) = sections(plain, vector, seconds, reads)
    parts = _by_step(sections(steps, vector, seconds, reads), len(steps.entry.steps))
    steps_share = share([part.total for part in parts], whole.total)
    return Counts(whole.total, steps_share, whole, parts)


def count_total(image: Image, vector: bytes | None = None, seconds: float = SECONDS) -> int:
    """The instructions of one inference of a plain image."""
    (whole,) = sections(image, vector, seconds)
    return whole.total


def sections(
    image: Image, vector: bytes | None, seconds: float, reads: FlashReads | None = None
) -> list[Profile]:
    """What the model executed up to each marker, and at last up to the end."""
    symbols = elf.read(image.elf)
    options = ["out=counts.txt", *(_flash_options(image, reads) if reads else [])]
    for key, name in (("begin", _HARNESS[1]), ("end", _HARNESS[2]), ("mark", _HARNESS[3])):
        if any(symbol.name == name for symbol in symbols.symbols):
            options.append(f"{key}={symbols.address(name):#x}")
    library = str(plugin()).replace(",", ",,")
    with temporary() as folder:
        arguments = ["-plugin", ",".join([f"file={library}", *options])]
        run_bench(image, folder, vector, seconds, arguments)
        counted = result(image, folder, "counts.txt").decode("ascii", "replace")
        return _parse(counted, _own_code(symbols))


def _flash_options(image: Image, reads: FlashReads) -> list[str]:
    """What the plugin must know of flash, where the emulated machine has it."""
    flash = image.machine.flash
    known = {"from": f"{flash.origin:#x}", "to": f"{flash.end:#x}", "line": reads.line}
    known |= {"code": reads.code_lines, "data": reads.data_lines}
    return [f"{key}={value}" for key, value in known.items()]


def plugin() -> Path:
    """The compiled plugin, built by the host's gcc on first use and kept in the user's cache."""
    source = assets.runtime_c() / "plugin" / "mcuq_count.c"
    digest = sha256(source.read_bytes())[:16]
    library = cache.folder() / f"mcuq_count-{platform.machine()}-{digest}.so"
    proof = library.with_suffix(".sha256")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        if not _is_whole(library, proof):
            _build_plugin(source, library, proof)
    except OSError as error:
        raise ToolError(str(library.parent), str(error.strerror), "Set XDG_CACHE_HOME") from None
    return library


def _build_plugin(source: Path, library: Path, proof: Path) -> None:
    """Build the plugin, and say beside it what it is, so that a damaged one is noticed."""
    flags = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden")
    with temporary() as folder:
        built = folder / library.name
        toolchain.call(["gcc", *flags, source, "-o", built], _BUILD_SECONDS)
        content = built.read_bytes()
    write_file(library, content)
    write_file(proof, sha256(content).encode())


def _is_whole(library: Path, proof: Path) -> bool:
    """Whether ``library`` is what ``_build_plugin`` wrote."""
    if not library.is_file() or not proof.is_file():
        return False
    return sha256(library.read_bytes()).encode() == proof.read_bytes()


def share(raw: Sequence[int], whole: int) -> tuple[int, ...]:
    """``raw`` lowered (or raised) evenly so that it adds up to ``whole``; the first ones take the
    remainder.

    >>> share([10, 20, 30], 53)
    (7, 18, 28)
    """
    if not raw:
        return ()
    each, rest = divmod(sum(raw) - whole, len(raw))
    return tuple(value - each - (1 if i < rest else 0) for i, value in enumerate(raw))


def _own_code(symbols: elf.Elf) -> list[range]:
    """The address ranges of the harness's own functions."""
    own = [symbol for symbol in symbols.functions() if symbol.name in _HARNESS]
    return [range(symbol.address, symbol.address + symbol.size) for symbol in own]


def _parse(text: str, own: Sequence[range]) -> list[Profile]:
    found: list[Profile] = []
    for section in text.split("step\n")[1:]:
        lines = [line.split() for line in section.splitlines()]
        missed = [Misses(*map(int, line[1:])) for line in lines if line[0] == "misses"]
        rows = sorted((int(a, 16), int(n), int(t)) for a, n, t in lines[len(missed) :])
        rows = [row for row in rows if not any(row[0] in part for part in own)]
        executed, taken = {a: n for a, n, _ in rows}, {a: t for a, _, t in rows if t}
        found.append(Profile(executed, taken, missed[0] if missed else None))
    return found


def _by_step(parts: Sequence[Profile], steps: int) -> tuple[Profile, ...]:
    """One profile per step: what follows the last marker belongs to the last step."""
    if len(parts) != steps + 1:
        reason = f"{len(parts) - 1} steps were executed, not {steps}"
        raise ToolError("C of the model", reason, "It was changed: compile the model again")
    if not steps:
        return ()
    *rest, before, after = parts
    executed = Counter(before.executed) + Counter(after.executed)
    taken = Counter(before.taken) + Counter(after.taken)
    misses = before.misses + after.misses if before.misses and after.misses else None
    return (*rest, Profile(dict(sorted(executed.items())), dict(sorted(taken.items())), misses))
