"""Boards: one TOML file each, checked here, no code.

A board without a machine of its own in QEMU names a twin with the same core (``emulate.board``):
the image is linked for the board's own sizes to prove that it fits, and run on the twin's map.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mcuq import schema
from mcuq.errors import BoardError, closest
from mcuq.files import assets, read_file
from mcuq.targets.cores import CORES, FAMILIES, Cpu, FlashReads

DEFAULT_STACK = 2048
# What a board file may ask of the compiler: the core, code generation, macros, the language and the
# level. Nothing that runs or reads other files, or writes them.
_FLAGS = (
    r"-m[a-z][A-Za-z0-9_.+=-]*",
    r"-f[a-z][a-z0-9-]*",
    r"-f(align|abi|fp|inline|max|visibility|stack-limit)[a-z0-9-]*=[A-Za-z0-9_.-]+",
    r"-D[A-Za-z_][A-Za-z0-9_]*(=[!-~]*)?",
    r"-std=[a-z0-9:+]+",
    r"-O([0-3sgz]|fast)?",
)
_NO_FLAGS = (
    "auto-profile", "branch-prob", "callgraph-info", "compare-debug", "diagnostics",
    "directives-only", "dump", "multi", "opt-info", "plugin", "preprocessed", "profile", "report",
    "sanitize", "save-optimization", "self-test", "stack-usage", "syntax-only", "test-coverage",
    "use-l",
)  # fmt: skip
_FLAG_REMEDY = "A board may have -m..., -f... (no plugins or files), -D..., -std=... and -O..."
_LONGEST = 1 << 12
_EMULATOR_OPTIONS = ("-M", "-machine", "-cpu", "-m", "-bios")

_NEEDED = ("name", "title", "cpu", "clock_hz", "flags", "features", "toolchain", "memory")
_KNOWN = (*_NEEDED, "stack", "multiply_cycles", "source", "emulate", "flash_reads")
_READS = ("wait_states", "line", "code_lines", "data_lines", "prefetch")
_MOST_LINES = 4096


@dataclass(frozen=True)
class Region:
    """Bytes ``origin .. origin + length - 1`` of the address space."""

    origin: int
    length: int

    @property
    def end(self) -> int:
        return self.origin + self.length

    def overlaps(self, other: Region) -> bool:
        return self.origin < other.end and other.origin < self.end


@dataclass(frozen=True)
class Board:
    """A board as its file states it, or a core by its name: any board with that core.

    ``stack``: bytes that the linker script reserves at the top of RAM. ``vectors``: where the
    vector table must lie if not at the start of flash. ``emulate_board`` or ``emulate_command``
    says how it is emulated; neither is set for a board that cannot be. ``multiply_cycles``: 32 if
    the chip's Cortex-M0 or M0+ has the small multiplier. ``reads``: of flash, where its file says.
    """

    name: str
    title: str
    cpu: str
    clock_hz: int
    flags: tuple[str, ...]
    features: tuple[str, ...]
    toolchain: str
    flash: Region
    ram: Region
    emulate_board: str | None = None
    emulate_command: tuple[str, ...] = ()
    stack: int = DEFAULT_STACK
    source: str = ""
    vectors: Region | None = None
    multiply_cycles: int = 1
    reads: FlashReads | None = None

    @property
    def is_core(self) -> bool:
        """Whether it is only a core: what memory there is is not known, nor the clock."""
        return self.name in CORES


def names() -> tuple[str, ...]:
    """The names of the boards that come with mcuq, sorted."""
    return tuple(sorted(path.stem for path in assets.boards().glob("*.toml")))


def all_boards() -> tuple[Board, ...]:
    """Every board that comes with mcuq, by name."""
    return tuple(load(name) for name in names())


def load(given: str | Path | Board) -> Board:
    """The board of this name, or of the user's own ``.toml`` file; a ``Board`` is itself.

    The name of a core stands for any board with it.
    """
    if isinstance(given, Board):
        return given
    text = str(given)
    if text.endswith(".toml"):
        return _read(Path(text))
    if text in CORES:
        return of_core(text)
    if text not in names():
        remedy = closest(text, (*names(), *CORES), "Run 'mcuq boards'")
        raise BoardError(text, "no such board", remedy)
    return _read(assets.boards() / f"{text}.toml")


def load_all(given: str | Path | Board) -> tuple[Board, ...]:
    """The boards of a list of names and files, such as ``microbit,cortex-m4``, or of one."""
    if isinstance(given, str) and "," in given:
        parts = [part.strip() for part in given.split(",")]
        return tuple(load(part) for part in dict.fromkeys(parts))
    return (load(given),)


def of_core(name: str) -> Board:
    """A board of which nothing is known but its core, with all that the core may have.

    It is emulated on the core's own board, in whose memory it runs.
    """
    core = CORES[name]
    twin = load(core.board)
    option = core.family.option
    flags = (f"{option}{name}" if f.startswith(option) else f for f in twin.flags)
    return replace(
        twin,
        name=name,
        title=f"any board with {name}",
        cpu=name,
        flags=tuple(flags),
        features=core.options,
        source="",
        reads=None,
        emulate_board=twin.name if twin.emulate_command else twin.emulate_board,
        emulate_command=(),
    )


def with_memory(board: Board) -> Board:
    """``board`` itself; BoardError if it is only a core."""
    if board.is_core:
        raise BoardError(board.name, "is a core, whose memory is not known", "Name a board")
    return board


def machine(board: Board) -> Board:
    """The board whose memory map and QEMU command a run uses: ``board`` itself, or its twin."""
    if board.emulate_command:
        return board
    if board.emulate_board is None:
        remedy = "Name its file with --board, and see that there is an [emulate] in it"
        raise BoardError(board.name, "it has no emulated machine", remedy)
    return load(board.emulate_board)


def cpu(board: Board) -> Cpu:
    """The core as kernels see it: what the core always has and what the board's file adds."""
    core = CORES[board.cpu].cpu(*board.features, multiply_cycles=board.multiply_cycles)
    return replace(core, reads=board.reads)


def startup_sources(board: Board) -> tuple[Path, ...]:
    """The startup and semihosting files of a test image for this board."""
    folder = assets.runtime_c() / "startup"
    common = ("mcuq_startup.c", "mcuq_semihost.c")
    return tuple(folder / name for name in (CORES[board.cpu].family.startup, *common))


def _read(path: Path) -> Board:
    return parse(read_file(path), str(path), path.stem)


def parse(content: bytes, where: str, stem: str) -> Board:
    """The board that a file called ``<stem>.toml`` holds; faults are said of ``where``."""
    try:
        table = schema.from_toml(content)
    except ValueError as error:
        raise BoardError(where, f"cannot be read: {error}") from None
    board = _Checker(where, stem).board(table)
    _check_twin(board, where)
    return board


def to_table(board: Board) -> dict[str, object]:
    """A board's facts as its file states them, for a bundle.

    A command is not stored, for nobody should run one that came with a folder: a board that ships
    is named as its own twin, and a user's own command is taken from his file alone. Of a core, the
    name is all.
    """
    if board.is_core:
        return {"name": board.name}
    keys = ("name", "title", "cpu", "clock_hz", "toolchain", "stack")
    facts: dict[str, object] = {key: getattr(board, key) for key in keys}
    facts.update(flags=list(board.flags), features=list(board.features))
    if board.source:
        facts["source"] = board.source
    if board.reads:
        facts["flash_reads"] = asdict(board.reads)
    regions = {"flash": board.flash, "ram": board.ram, "vectors": board.vectors}
    facts["memory"] = {k: {"origin": r.origin, "length": r.length} for k, r in regions.items() if r}
    twin = board.emulate_board
    if board.emulate_command and board.name in names() and load(board.name) == board:
        twin = board.name
    return {**facts, "emulate": {"board": twin}} if twin else facts


def from_table(facts: object, place: str) -> Board:
    """The board that ``to_table`` stored, held to all that a board file is held to."""
    if not isinstance(facts, dict):
        raise BoardError(place, "is no table")
    name = facts.get("name")
    if isinstance(name, str) and name in CORES and len(facts) == 1:
        return of_core(name)
    emulate = facts.get("emulate")
    if isinstance(emulate, dict) and "command" in emulate:
        raise BoardError(place, "names a program to run")
    board = _Checker(place, None).board(facts)
    _check_twin(board, place)
    return board


def _check_twin(board: Board, where: str) -> None:
    if board.emulate_board is None:
        return
    if board.emulate_board not in names():
        hint = closest(board.emulate_board, names(), "Run 'mcuq boards'")
        raise BoardError(where, f"emulate.board '{board.emulate_board}' is unknown", hint)
    twin = load(board.emulate_board)
    if not twin.emulate_command:
        raise BoardError(where, f"emulate.board '{twin.name}' has no QEMU command of its own")
    if twin.cpu not in (board.cpu, *CORES[board.cpu].runs_on):
        reason = f"its core {board.cpu} is not that of emulate.board '{twin.name}', {twin.cpu}"
        raise BoardError(where, reason)


@dataclass(frozen=True)
class _Checker:
    """Reads one board file's table; every fault is a BoardError that names the file."""

    where: str
    stem: str | None

    def board(self, table: Mapping[str, Any]) -> Board:
        self.keys(table, "", _KNOWN, _NEEDED)
        memory = self.table(table, "memory")
        self.keys(memory, "memory.", ("flash", "ram", "vectors"), ("flash", "ram"))
        regions = {key: self.region(memory, key) for key in memory}
        self.disjoint(regions)
        emulate = self.table(table, "emulate") if "emulate" in table else {}
        command = self.emulate(emulate)
        board = Board(
            name=self.name(table),
            title=self.text(table, "title"),
            cpu=self.choice(table, "cpu", CORES),
            clock_hz=self.integer(table, "clock_hz", 1000, 10**10),
            flags=self.texts(table, "flags"),
            features=self.texts(table, "features"),
            toolchain=self.choice(table, "toolchain", FAMILIES),
            flash=regions["flash"],
            ram=regions["ram"],
            emulate_board=self.text(emulate, "board") if "board" in emulate else None,
            emulate_command=command,
            stack=self.stack(table, regions["ram"]),
            source=" ".join(self.text(table, "source").split()) if "source" in table else "",
            vectors=regions.get("vectors"),
            multiply_cycles=self.multiply_cycles(table),
            reads=self.reads(table),
        )
        self.core(board)
        self.command(board)
        return board

    def fail(self, reason: str, remedy: str = "") -> BoardError:
        return BoardError(self.where, reason, remedy)

    def keys(
        self, table: Mapping[str, Any], prefix: str, known: Iterable[str], needed: Iterable[str]
    ) -> None:
        for key in table:
            if key not in known:
                raise self.fail(f"unknown key '{prefix}{key}'", closest(key, known))
        missing = [f"'{prefix}{key}'" for key in needed if key not in table]
        if missing:
            several = "keys {} are missing" if len(missing) > 1 else "key {} is missing"
            raise self.fail(several.format(", ".join(missing)))

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = table[key]
        if not isinstance(value, dict):
            raise self.fail(f"'{key}' must be a table")
        return value

    def text(self, table: Mapping[str, Any], key: str) -> str:
        value = table[key]
        if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
            raise self.fail(f"'{key}' must be a text that is not empty")
        return value

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = table[key]
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.fail(f"'{key}' must be a list of texts")
        return tuple(value)

    def integer(self, table: Mapping[str, Any], key: str, low: int, high: int) -> int:
        value = table[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f"'{key}' must be an integer")
        if not low <= value <= high:
            raise self.fail(f"'{key}' is {schema.shown(value)}, not in {low}..{high}")
        return value

    def choice(self, table: Mapping[str, Any], key: str, known: Iterable[str]) -> str:
        value = self.text(table, key)
        if value not in known:
            raise self.fail(f"{key} '{value}' is unknown", closest(value, known))
        return value

    def name(self, table: Mapping[str, Any]) -> str:
        name, stem = self.text(table, "name"), self.stem
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
            raise self.fail(f"name '{name}' must be lower-case letters, digits and _")
        if name in CORES:
            raise self.fail(f"name '{name}' is that of a core", "Name it otherwise")
        if stem is not None and name != stem:
            raise self.fail(f"name '{name}' is not the file's, '{stem}'")
        return name

    def region(self, memory: Mapping[str, Any], key: str) -> Region:
        table = self.table(memory, key)
        self.keys(table, f"memory.{key}.", ("origin", "length"), ("origin", "length"))
        origin = self.integer(table, "origin", 0, 2**32 - 1)
        length = self.integer(table, "length", 1, 2**32 - origin)
        if origin % 4 or length % 4:
            raise self.fail(f"memory.{key}: origin and length must be multiples of 4")
        return Region(origin, length)

    def disjoint(self, regions: Mapping[str, Region]) -> None:
        keys = sorted(regions)
        for i, key in enumerate(keys):
            for other in keys[i + 1 :]:
                if regions[key].overlaps(regions[other]):
                    raise self.fail(f"memory.{key} and memory.{other} overlap")

    def stack(self, table: Mapping[str, Any], ram: Region) -> int:
        stack = self.integer({"stack": DEFAULT_STACK, **table}, "stack", 256, ram.length)
        if stack % 8:
            raise self.fail(f"'stack' is {stack}, not a multiple of 8")
        return stack

    def multiply_cycles(self, table: Mapping[str, Any]) -> int:
        cycles = self.integer({"multiply_cycles": 1, **table}, "multiply_cycles", 1, 32)
        cpu = self.choice(table, "cpu", CORES)
        possible = sorted({1, CORES[cpu].small_multiplier})
        if cycles not in possible:
            known = " or ".join(map(str, possible))
            raise self.fail(f"multiply_cycles is {cycles}; on {cpu} it is {known}")
        return cycles

    def reads(self, table: Mapping[str, Any]) -> FlashReads | None:
        if "flash_reads" not in table:
            return None
        found = self.table(table, "flash_reads")
        self.keys(found, "flash_reads.", _READS, _READS[:2])
        line = self.integer(found, "line", 4, 256)
        if line & (line - 1):
            raise self.fail(f"flash_reads.line is {line}, not a power of two")
        prefetch = found.get("prefetch", False)
        if not isinstance(prefetch, bool):
            raise self.fail("'prefetch' must be true or false")
        lines = {"code_lines": 1, "data_lines": 1, **found}
        return FlashReads(
            self.integer(found, "wait_states", 0, 255),
            line,
            self.integer(lines, "code_lines", 1, _MOST_LINES),
            self.integer(lines, "data_lines", 1, _MOST_LINES),
            prefetch,
        )

    def emulate(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        self.keys(table, "emulate.", ("board", "command"), ())
        if len(table) > 1:
            raise self.fail("[emulate] has both a board and a command", "Keep one")
        return self.texts(table, "command") if "command" in table else ()

    def command(self, board: Board) -> None:
        """Only the emulator of the core, with a machine of its own."""
        if not board.emulate_command:
            return
        program, *rest = board.emulate_command
        if program != FAMILIES[board.toolchain].emulator:
            raise self.fail(f"emulate.command must start with {FAMILIES[board.toolchain].emulator}")
        for option, value in zip_longest(rest[::2], rest[1::2], fillvalue=""):
            if option not in _EMULATOR_OPTIONS or not re.fullmatch(r"[\w.-]+", value, re.ASCII):
                reason = f"emulate.command holds '{option} {value}'"
                known = ", ".join(_EMULATOR_OPTIONS)
                raise self.fail(reason, f"It may have {known}, each with a plain name")
        if not {"-M", "-machine"}.intersection(rest[::2]):
            raise self.fail("emulate.command names no machine", "Add -M and its name")

    def core(self, board: Board) -> None:
        core = CORES[board.cpu]
        if board.toolchain != core.family.toolchain:
            raise self.fail(f"toolchain of {board.cpu} is {core.family.toolchain}")
        for feature in board.features:
            if feature not in core.options:
                options = ", ".join(core.options) or "none"
                raise self.fail(f"feature '{feature}' is not one of {board.cpu}'s: {options}")
        for flag in board.flags:
            if not flag.startswith("-"):
                raise self.fail(f"flag '{flag}' does not start with -")
            if not _is_allowed(flag):
                raise self.fail(f"flag '{flag}' is not one that a board may have", _FLAG_REMEDY)
        option = core.family.option
        if not any(re.fullmatch(rf"{option}{board.cpu}([+_].*)?", f) for f in board.flags):
            raise self.fail(f"flags do not hold {option}{board.cpu}")


def _is_allowed(flag: str) -> bool:
    """Whether a compiler's flag neither runs, reads nor writes anything beside the source."""
    name = flag.removeprefix("-f").removeprefix("no-")
    if flag.startswith("-f") and name.startswith(_NO_FLAGS):
        return False
    return any(re.fullmatch(allowed, flag) for allowed in _FLAGS)
