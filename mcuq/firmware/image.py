"""Generated C -> host executables and board images, with sizes taken from the linked result.

Everything is written below the caller's ``folder``; objects that an earlier command compiled come
from ``store``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mcuq.emit.entry import Entry
from mcuq.errors import FitError, ToolError
from mcuq.files import assets
from mcuq.firmware import elf, harness, store, toolchain
from mcuq.firmware.harness import Vector
from mcuq.targets import boards
from mcuq.targets.boards import Board, Region
from mcuq.targets.cores import FAMILIES

KINDS = ("trace", "run", "plain", "steps", "selftest", "fits", "gdb", "serial", "custom")
_TRACED = ("trace", "steps", "gdb", "serial")
_SIZED = ("plain", "selftest", "fits")
_LISTED = ("selftest", "serial")
_MAINS = {
    "trace": ("mcuq_harness_vectors.c",),
    "run": ("mcuq_harness_vectors.c",),
    "plain": ("mcuq_harness_plain.c",),
    "steps": ("mcuq_harness_plain.c",),
    "fits": ("mcuq_harness_fits.c",),
    "gdb": ("mcuq_harness_desk.c", "mcuq_desk_gdb.c"),
    "serial": ("mcuq_harness_desk.c", "mcuq_desk_serial.c"),
}
_MODEL_FLAGS = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections")
# Beside the objects of each compiler: what it knows of the stack, for stack.py.
_STACK_FLAGS = {"gcc": ("-fcallgraph-info=su", ".ci"), "clang": ("-fstack-usage", ".su")}
CLANG_TARGETS = {
    "arm-none-eabi": "arm-none-eabi",
    "riscv64-unknown-elf": "riscv32-unknown-elf",
}
# No memset or memcpy made out of our loops: what libc brings to an image is the model's.
_HARNESS_FLAGS = (
    *("-std=gnu11", "-Os", "-ffunction-sections", "-fdata-sections"),
    *("-ffreestanding", "-fno-tree-loop-distribute-patterns"),
)
_SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_COMPILE_SECONDS = 300.0
_WORKERS = 2
_PLENTY = 0x10000000


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model in the plain image: ``<id>_run``, all it calls (libgcc and libc too) and
    all constants; no harness, no startup. ``flash`` = code + constants; ``ram`` = arena + state +
    statics.
    """

    flash: int
    code: int
    constants: int
    ram: int


@dataclass(frozen=True)
class Image:
    """A linked program for one board.

    ``machine`` is the board whose memory map it was linked for. ``sizes`` is None for the kinds
    that carry hooks. ``image_flash`` and ``image_ram`` (with the stack's reserve) are totals with
    harness and startup. ``callgraphs``: what the compiler wrote about the stack of the model's
    functions (stack.py), .ci of gcc, .su of clang. ``compiler``: "gcc" or "clang".
    ``listings``: of an image to flash by hand, its .hex and .bin files.
    """

    elf: Path
    map: Path
    kind: str
    board: Board
    machine: Board
    entry: Entry
    sizes: Sizes | None
    image_flash: int
    image_ram: int
    callgraphs: tuple[Path, ...]
    listings: tuple[Path, ...] = ()
    compiler: str = "gcc"


@dataclass(frozen=True)
class _Unit:
    """One translation unit: a source and the flags it is compiled with."""

    source: Path
    flags: tuple[str, ...]


@dataclass(frozen=True)
class _Target:
    """A compiler, the flags that select the core, and the folder for its objects."""

    compiler: str
    flags: tuple[str, ...]
    folder: Path


def compile_host(
    files: Mapping[str, str],
    entry: Entry,
    folder: Path,
    sanitize: bool = False,
    compiler: str = "gcc",
) -> Path:
    """A program for this computer: reads in.bin in its working folder, writes out.bin, trace.bin.

    ``sanitize`` adds the address and undefined-behaviour sanitizers, which end it at a fault.
    """
    target = _Target(compiler, _SANITIZE if sanitize else (), folder / "host")
    includes = _include_flags(folder)
    sources = _write_model(files, entry, folder)
    model = [_Unit(s, (*_MODEL_FLAGS, *target.flags, "-DMCUQ_TRACE", *includes)) for s in sources]
    mains = [*map(_harness, _MAINS["trace"]), _harness("mcuq_semihost_host.c")]
    rest = [_Unit(s, ("-std=c99", "-O2", *target.flags, *includes)) for s in mains]
    objects = _compile(target, [*model, *rest])
    suffix = f"{Path(compiler).name}{'-sanitized' if sanitize else ''}"
    program = target.folder / f"{entry.id}-{suffix}"
    toolchain.call([compiler, *target.flags, *objects, "-o", program], _COMPILE_SECONDS)
    return program.resolve()


def compile_image(
    files: Mapping[str, str],
    entry: Entry,
    board: Board,
    folder: Path,
    kind: str,
    *,
    vectors: Sequence[Vector] = (),
    extra: Mapping[str, str] | None = None,
    own_memory: bool = False,
    compiler: str = "gcc",
) -> Image:
    """The image of one kind for ``board``, linked for the machine that emulates it.

    trace: inputs in, every step's tensor out. run: inputs in, outputs out. plain: one inference
    between markers (counts, stack). steps: plain with a marker after each step. selftest:
    ``vectors`` inside, with .hex and .bin. fits: next to nothing around the model, always for the
    board's own memory. gdb, serial: what ``mcuq.desk`` talks to. custom: ``extra`` has ``main``.
    ``extra`` adds C sources to any kind; ``own_memory`` links for the board's own memory.
    ``compiler``: gcc, or clang for the model's own sources. if the link overflows it.
    """
    machine = board if own_memory or kind == "fits" else boards.machine(board)
    target = _target(board, folder)
    sources = _write_model(files, entry, folder)
    traced = ("-DMCUQ_TRACE",) if kind in _TRACED else ()
    model = _model_units(sources, folder, traced, compiler)
    rest = [_Unit(s, _harness_flags(folder)) for s in _sources(entry, board, folder, kind, vectors)]
    added = _write_sources(extra or {}, folder / "extra")
    rest += [_Unit(source, _harness_flags(folder)) for source in added]
    made = _compile(_model_target(board, folder, compiler), model)
    objects = [*made, *_compile(target, rest)]
    place = folder / board.name / ("own" if own_memory else "machine") / compiler
    linked = _link(target, entry, machine, place / f"{entry.id}-{kind}.elf", objects)
    sections = elf.read(linked).sections
    return Image(
        elf=linked,
        map=linked.with_suffix(".map"),
        kind=kind,
        board=board,
        machine=machine,
        entry=entry,
        sizes=_measure(target, entry, machine, made) if kind in _SIZED else None,
        image_flash=_total(sections, lambda s: s.stored),
        image_ram=_total(sections, lambda s: s.writable) + machine.stack,
        callgraphs=tuple(o.with_suffix(_STACK_FLAGS[compiler][1]) for o in made),
        listings=_listings(board, linked) if kind in _LISTED else (),
        compiler=compiler,
    )


def _target(board: Board, folder: Path) -> _Target:
    specs = FAMILIES[board.toolchain].specs
    return _Target(f"{board.toolchain}-gcc", (*board.flags, *specs), folder / board.name)


def _model_target(board: Board, folder: Path, compiler: str) -> _Target:
    """What compiles the model: clang reads the headers of the board's own C library."""
    if compiler == "gcc":
        return _target(board, folder)
    headers = toolchain.library_headers(board.toolchain)
    flags = (f"--target={CLANG_TARGETS[board.toolchain]}", "-isystem", str(headers))
    return _Target(compiler, (*flags, *board.flags), folder / board.name)


def compiler_text(image: Image) -> str:
    """The compiler of an image's model, its version, and the flags that code and stack hang on.

    ``arm-none-eabi-gcc 12.2.1 -O2 -mcpu=cortex-m4 -mthumb``.
    """
    board = image.board
    name = f"{board.toolchain}-gcc" if image.compiler == "gcc" else image.compiler
    level = next(flag for flag in _MODEL_FLAGS if flag.startswith("-O"))
    return " ".join((name, toolchain.version(name), level, *board.flags))


def _model_units(
    sources: Iterable[Path], folder: Path, traced: tuple[str, ...], compiler: str
) -> list[_Unit]:
    """Only the model itself holds hooks, so kernels compile alike for every kind."""
    flags = (*_MODEL_FLAGS, _STACK_FLAGS[compiler][0], *_include_flags(folder))
    return [_Unit(s, flags if s.parent.name == "kernels" else (*traced, *flags)) for s in sources]


def _harness_flags(folder: Path) -> tuple[str, ...]:
    return (*_HARNESS_FLAGS, *_include_flags(folder))


def _include_flags(folder: Path) -> tuple[str, ...]:
    runtime = assets.runtime_c()
    model = folder / "model"
    paths = (model, model / "kernels", folder / "harness", runtime / "harness", runtime / "startup")
    return tuple(f"-I{path}" for path in paths)


def _harness(name: str) -> Path:
    return assets.runtime_c() / "harness" / name


def _sources(
    entry: Entry, board: Board, folder: Path, kind: str, vectors: Sequence[Vector]
) -> list[Path]:
    """The sources around the model: startup, and the harness of this kind."""
    startup = list(boards.startup_sources(board))
    if kind == "selftest":
        path = folder / "harness" / "mcuq_selftest.c"
        _write(path, harness.selftest(entry, vectors))
        return [*startup, path]
    return [*startup, *map(_harness, _MAINS.get(kind, ()))]


def _write_model(files: Mapping[str, str], entry: Entry, folder: Path) -> list[Path]:
    """Write the model's C files and its buffers' header; the sources to compile, sorted."""
    header = harness.model_header(entry, harness.identity(files, entry))
    _write(folder / "harness" / "mcuq_model.h", header)
    own = {name: text for name, text in files.items() if name.endswith((".c", ".h", ".S"))}
    return _write_sources(own, folder / "model")


def _write_sources(files: Mapping[str, str], folder: Path) -> list[Path]:
    """The sources to compile, sorted: all but headers."""
    for name, text in files.items():
        _write(folder / name, text)
    return [folder / name for name in sorted(files) if not name.endswith(".h")]


def _write(path: Path, text: str) -> None:
    """Write ``text`` unless the file holds it already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _compile(target: _Target, units: Sequence[_Unit]) -> list[Path]:
    """The objects of ``units``, in order; at most two compilers at once."""
    folder = target.folder / "objects"
    folder.mkdir(parents=True, exist_ok=True)
    toolchain.find(target.compiler)
    with ThreadPoolExecutor(_WORKERS) as pool:
        made = [pool.submit(_object, target, folder, unit) for unit in units]
        try:
            return [one.result() for one in made]
        except BaseException:  # Ctrl-C and SIGTERM, too: the pool would wait for its compilers
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(one.done() for one in made):
                toolchain.stop_all()
                time.sleep(0.05)
            raise


def _object(target: _Target, folder: Path, unit: _Unit) -> Path:
    argv = [target.compiler, *target.flags, *unit.flags]
    key = store.digest(target.compiler, argv[1:], unit.source)
    path = folder / f"{unit.source.stem}-{key[:16]}.o"
    if not path.is_file() and not store.fetch(key, path):
        # Compiled under another name first: an interrupted compiler leaves no half object behind.
        part = path.with_name(f"{path.stem}-part.o")
        toolchain.call([*argv, "-c", unit.source, "-o", part], _COMPILE_SECONDS)
        if not part.is_file():
            reason = f"made no object of {unit.source.name}"
            raise ToolError(target.compiler, reason, "Look at the flags of the board")
        for suffix in (*store.BESIDE, ".o"):
            if part.with_suffix(suffix).is_file():
                part.with_suffix(suffix).replace(path.with_suffix(suffix))
        store.keep(key, path)
    return path


def _link(
    target: _Target,
    entry: Entry,
    machine: Board,
    path: Path,
    objects: Sequence[Path],
    *options: str,
) -> Path:
    """Link ``objects`` for the memory of ``machine``; FitError if they need more."""
    place = path.parent
    place.mkdir(parents=True, exist_ok=True)
    script, listing = f"{path.stem}.ld", f"{path.stem}.map"
    text = harness.linker_script(machine, machine.stack)
    (place / script).write_text(text, encoding="utf-8")
    argv = [target.compiler, *target.flags, "-nostartfiles", "-Wl,--gc-sections", f"-T{script}"]
    # By name, from its folder: in a path the driver splits at commas, and ld replaces each %.
    argv += [f"-Wl,-Map={listing}", *options, *(str(o.resolve()) for o in objects)]
    try:
        toolchain.call([*argv, "-o", path.name], _COMPILE_SECONDS, cwd=place)
    except toolchain.CallFailed as error:
        raise _fit_error(error, entry, machine) from None
    return path.resolve()


def _fit_error(error: toolchain.CallFailed, entry: Entry, machine: Board) -> ToolError | FitError:
    """The linker's failure as a FitError if memory ran out, else the failure itself."""
    remedy = "Choose a smaller network or a larger board, or reduce its 'stack'"
    overflow = re.search(r"region `(\w+)' overflowed by (\d+) byte", error.output)
    if overflow:
        region, excess = overflow[1].lower(), int(overflow[2])
        length = (machine.flash if region == "flash" else machine.ram).length
        reason = f"{entry.id} needs {excess} bytes more than the {length} bytes of {region}"
        return FitError(machine.name, reason, remedy)
    if "data and stack do not fit" in error.output:
        reason = f"{entry.id} and {machine.stack} bytes of stack do not fit"
        return FitError(machine.name, f"{reason} the {machine.ram.length} bytes of ram", remedy)
    return error


def _measure(target: _Target, entry: Entry, machine: Board, objects: Sequence[Path]) -> Sizes:
    """Sizes of the model alone: its objects linked with ``<id>_run`` as the only root.

    The origins are the machine's, because addresses decide how RISC-V code is relaxed.
    """
    roomy = replace(
        machine,
        flash=Region(machine.flash.origin, _PLENTY),
        ram=Region(machine.ram.origin, _PLENTY),
    )
    root = entry.function
    path = target.folder / "alone" / f"{entry.id}.elf"
    roots = (root, f"{entry.id}_reset") if entry.state else (root,)
    options = (f"-Wl,-e,{root}", *(f"-Wl,-u,{name}" for name in roots))
    sections = elf.read(_link(target, entry, roomy, path, objects, *options)).sections
    flash = _total(sections, lambda s: s.stored)
    code = _total(sections, lambda s: s.code)
    ram = _total(sections, lambda s: s.writable)
    apart = len(entry.blob or b"")
    ram += entry.arena + entry.state
    return Sizes(flash + apart, code, flash - code + apart, ram)


def _total(sections: Iterable[elf.Section], wanted: Callable[[elf.Section], bool]) -> int:
    """Bytes of the sections in memory for which ``wanted`` holds."""
    return sum(s.size for s in sections if s.allocated and wanted(s))


def _listings(board: Board, linked: Path) -> tuple[Path, ...]:
    """The image as Intel HEX and as raw bytes, for programmers that do not read ELF."""
    made = {linked.with_suffix(".hex"): "ihex", linked.with_suffix(".bin"): "binary"}
    for path, kind in made.items():
        toolchain.call([f"{board.toolchain}-objcopy", "-O", kind, linked, path], 60)
    return tuple(made)
