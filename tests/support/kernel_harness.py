"""Runs kernel variants as C, on the host (ASan, UBSan) or under QEMU, against ``run_int``.

``render(cases)`` writes one C file: per case the params, packed constants, inputs and expected
output; its ``main`` prints, per case, the wrong outputs, the damaged guard bytes and the executed
instructions. ``run(cases, target)`` builds it with the kernels' sources and parses that.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from mcuq.files import assets
from mcuq.firmware import store, toolchain
from mcuq.firmware.image import CLANG_TARGETS
from mcuq.ir import Array, Node
from mcuq.kernels.variant import Call, Variant
from mcuq.ops import spec
from mcuq.qir import QGraph, QTensor
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import CORES, RISCV

INCLUDES = [f"-I{folder}" for folder in sorted({p.parent for p in assets.kernel_files().values()})]
GUARD = 64
WARNINGS = "-std=c99 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror".split()
CTYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint8": "uint8_t",
          "uint16": "uint16_t", "uint32": "uint32_t"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """``inputs``: activations by tensor name, batch 1. ``expected``: None asks ``run_int``.

    ``overlap``: the output lies ``variant.gap`` bytes before the start of that input.
    ``misalign``: bytes by which the buffers of inputs and output miss word alignment.
    """

    variant: Variant
    node: Node
    qgraph: QGraph
    inputs: Mapping[str, Array]
    expected: Array | None = None
    overlap: int | None = None
    misalign: int = 0
    label: str = ""


@lru_cache(maxsize=256)
def calls(case: Case) -> tuple[Call, ...]:
    """What ``case`` calls, with its packed constants."""
    return tuple(case.variant.lower(case.node, case.qgraph))


@dataclass(frozen=True)
class Outcome:
    """What one case gave; ``instructions`` is 0 on the host."""

    label: str
    wrong: int
    damaged: int
    instructions: float


@dataclass(frozen=True)
class Target:
    """Where cases run: ``compiler`` with its flags, and the board; on the host without one.

    ``core``: QEMU's name of the core where it is not the board's own; then nothing is timed.
    ``caller``: what compiles the cases themselves, if not ``compiler``.
    """

    name: str
    compiler: tuple[str, ...]
    board: Board | None = None
    core: str = ""
    timed: bool = True
    caller: tuple[str, ...] = ()

    @property
    def timer(self) -> str:
        """What ``_SUPPORT`` reads: SysTick, or the timer of the boards where that is slow."""
        if self.board is None:
            return "HOST"
        if self.core or not self.timed:
            return "NONE"
        return "SYSTICK" if self.board.cpu in ("cortex-m33", "cortex-m55") else "CMSDK"

    @property
    def ticks(self) -> float:
        """Timer ticks of one instruction, which takes 64 ns at -icount shift=6."""
        return self.board.clock_hz * 64e-9 if self.board and not self.core else 1.0

    def at(self, *flags: str) -> Target:
        """With ``flags``, a level among them, in place of its own level.

        The cases keep their own, so that they are compiled once for all levels; but a link-time
        optimizer sees them and the kernels at once.
        """
        kept = [flag for flag in self.compiler if not flag.startswith("-O")]
        caller = () if "-flto" in flags else self.compiler
        return replace(self, compiler=(*kept, *flags), caller=caller)


def _on(name: str, core: str, *flags: str, clang: bool = False) -> Target:
    board = boards.load(CORES[core].board)
    own = (
        (*_CLANG, *board.flags, "-munaligned-access")
        if clang
        else (f"{board.toolchain}-gcc", *board.flags)
    )
    return Target(name, (*own, "-O2", *flags), board)


def _v6m(name: str, *compiler: str) -> Target:
    """Armv6-M, which faults at unaligned words: the core of ``m0``'s board forgives them."""
    flags = ("-mthumb", "-mcpu=cortex-m0", "-mfloat-abi=soft", "-O2")
    return Target(name, (*compiler, *flags), boards.load("lm3s6965evb"), "cortex-m0")


_CLANG = ("clang", f"--target={CLANG_TARGETS['arm-none-eabi']}")
_ALIGNED = ("-mno-unaligned-access", "-DTRAP_UNALIGNED")
_SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TARGETS = {
    t.name: t
    for t in (
        Target("host", ("gcc", *_SANITIZE)),
        Target("host-clang", ("clang", *_SANITIZE)),
        *(_on(f"m{core}", f"cortex-m{core}") for core in (0, 3, 4, 7, 33, 55)),
        _v6m("v6m", "arm-none-eabi-gcc"),
        _v6m("v6m-clang", *_CLANG, "-mno-unaligned-access"),
        *(_on(f"m{core}-clang", f"cortex-m{core}", clang=True) for core in (4, 55)),
        # Unaligned words are trapped.
        _on("m4-aligned", "cortex-m4", *_ALIGNED),
        _on("m4-aligned-clang", "cortex-m4", *_ALIGNED, clang=True),
    )
}

_VIRT = boards.load(CORES["rv32imc"].board)
_RISCV32 = (f"{_VIRT.toolchain}-gcc", *_VIRT.flags, *RISCV.specs,
            "-std=c99", "-O2", "-DTIMER_HOST")  # fmt: skip
_RISCV32_LINK = ("--oslib=semihost", "--crt0=hosted")
_CLANG_RISCV32 = ("clang", f"--target={CLANG_TARGETS[_VIRT.toolchain]}", *_VIRT.flags,
                  "-std=c99", "-O2", "-DTIMER_HOST")  # fmt: skip
_QUIET = ("-display", "none", "-monitor", "none", "-serial", "none",
          "-semihosting-config", "enable=on,target=native")  # fmt: skip


def source(symbol: str) -> Path:
    """The C file of the kernel called ``symbol``."""
    return assets.kernel_files()[f"{symbol}.c"]


def run(cases: Sequence[Case], target: Target, folder: Path) -> list[Outcome]:
    """The outcome of every case, built and run in ``folder``; raises with the tool's output."""
    image = build(cases, target, folder)
    return _parse(_output(launch(target, image)), cases, target)


def build(cases: Sequence[Case], target: Target, folder: Path) -> Path:
    """The program of ``cases``, in ``folder``."""
    main, *constants = _write(cases, folder, apart=target.board is not None)
    flags = [*WARNINGS, *INCLUDES, f"-DTIMER_{target.timer}"]
    objects = [_object([*(target.caller or target.compiler), *flags], main, folder)]
    objects += [_compile(_gcc(target), path, folder) for path in constants]
    objects += [_object([*target.compiler, *flags], path, folder) for path in _kernels(cases)]
    image = folder / "cases.elf"
    _output([*_linker(target, folder), *objects, "-o", str(image)])
    return image


def _kernels(cases: Sequence[Case]) -> list[Path]:
    """The sources of the kernels that ``cases`` call."""
    return [source(name) for name in sorted({c.symbol for case in cases for c in calls(case)})]


def _write(cases: Sequence[Case], folder: Path, apart: bool) -> list[Path]:
    """The sources of ``cases``. ``apart``: their constants as bytes, which no compiler reads."""
    folder.mkdir(parents=True, exist_ok=True)
    data = _Constants(apart, folder / "constants.bin")
    (folder / "cases.c").write_text(render(cases, data))
    if not apart:
        return [folder / "cases.c"]
    data.path.write_bytes(data.content)
    (folder / "constants.s").write_text("\n".join([".section .rodata", *data.lines, ""]))
    return [folder / "cases.c", folder / "constants.s"]


def check(cases: Sequence[Case], target: Target, folder: Path) -> list[Outcome]:
    """As ``run``, but raises ``AssertionError`` naming the first cases that are not exact."""
    outcomes = run(cases, target, folder)
    bad = [o for o in outcomes if o.wrong or o.damaged]
    assert not bad, f"{len(bad)} of {len(outcomes)} cases differ on {target.name}: {bad[:5]}"
    return outcomes


def check_riscv32(cases: Sequence[Case], folder: Path, *flags: str, compiler: str = "gcc") -> None:
    """As ``check``, in QEMU's virt machine; picolibc prints through semihosting.

    ``compiler``: of the kernels and their cases, "gcc" or "clang"; gcc links.
    """
    main, *constants = _write(cases, folder, apart=True)
    gcc = [*_RISCV32, *flags]
    own = _RISCV32 if compiler == "gcc" else _CLANG_RISCV32
    chosen = [*own, *flags, *INCLUDES]
    objects = [_object(chosen if "-flto" in flags else [*own, *INCLUDES], main, folder)]
    objects += [_object(chosen, path, folder) for path in _kernels(cases)]
    objects += [_compile(gcc, path, folder) for path in constants]
    places = ("__flash=0x80000000", "__flash_size=0x800000", "__ram=0x80800000",
              "__ram_size=0x400000", "__stack_size=0x4000")  # fmt: skip
    _output([*gcc, *_RISCV32_LINK, *objects, "-o", str(folder / "cases.elf"),
             *(f"-Wl,--defsym={place}" for place in places)])  # fmt: skip
    text = _output([*_VIRT.emulate_command, *_QUIET, "-kernel", str(folder / "cases.elf")])
    rows = [tuple(map(int, line.split())) for line in text.splitlines()]
    assert rows == [(index, 0, 0, 0) for index in range(len(cases))]


def _object(flags: Sequence[str], source: Path, folder: Path) -> str:
    """The object of ``source``, which other tests want too."""
    key = store.digest(flags[0], flags[1:], source)
    out = folder / f"{source.stem}.o"
    if not store.fetch(key, out):
        _compile(flags, source, folder)
        store.keep(key, out)
    return str(out)


def _compile(flags: Sequence[str], source: Path, folder: Path) -> str:
    out = str(folder / f"{source.stem}.o")
    extra = []
    for name, triple in CLANG_TARGETS.items():
        if f"--target={triple}" in flags:  # clang brings no C library
            extra = ["-isystem", str(toolchain.library_headers(name))]
    _output([*flags, *extra, "-c", str(source), "-o", out])
    return out


def _linker(target: Target, folder: Path) -> list[str]:
    if target.board is None:
        return list(target.compiler)
    (folder / "link.ld").write_text(_linker_script(target.board))
    script = str(folder / "link.ld")
    if target.compiler[0] == "clang" and "-flto" in target.compiler:  # bitcode: LLVM's linker
        libraries = [f"-print-file-name={name}" for name in ("libc.a", "libgcc.a")]
        found = [_output([*_gcc(target), name]).strip() for name in libraries]
        return ["ld.lld", "--lto-O2", "-T", script, *found]
    return [*_gcc(target), "-nostartfiles", "-Wl,--no-warn-rwx-segments", "-T", script]


def _gcc(target: Target) -> list[str]:
    """The Arm compiler as the target's own is called: it assembles and links for that, too."""
    flags = [flag for flag in target.compiler if flag.startswith(("-m", "-O", "-f"))]
    return ["arm-none-eabi-gcc", *flags]


def launch(target: Target, image: Path) -> list[str]:
    """The command that runs ``image``."""
    if target.board is None:
        return [str(image)]
    command = boards.machine(target.board).emulate_command
    core = ("-cpu", target.core) if target.core else ()
    return [*command, *core, *_QUIET, "-icount", "shift=6", "-kernel", str(image)]


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        lines = (done.stderr + done.stdout)[:6000]
        raise RuntimeError(f"{' '.join(command)[:300]} ... gave {done.returncode}:\n{lines}")
    return done.stdout + done.stderr


def _parse(text: str, cases: Sequence[Case], target: Target) -> list[Outcome]:
    rows = [[int(word) for word in line.split()] for line in text.splitlines()
            if line[:1].isdigit()]  # fmt: skip
    if len(rows) != len(cases):
        raise RuntimeError(f"{len(rows)} of {len(cases)} cases were run on {target.name}: {text}")
    return [
        Outcome(case.label or case.node.name, wrong, damaged, ticks / target.ticks)
        for case, (_, wrong, damaged, ticks) in zip(cases, rows, strict=True)
    ]


# ---- C text ----


@dataclass
class _Constants:
    """Arrays of the cases: in the C itself, where the sanitizers fence each, or ``apart`` from it.

    Apart, ``content`` goes to ``path`` and ``lines`` of assembly name its parts, none of which is
    next to another.
    """

    apart: bool
    path: Path
    content: bytearray = field(default_factory=bytearray)
    lines: list[str] = field(default_factory=list)

    def array(self, name: str, data: Array, align: int = 0) -> str:
        """The C that defines or declares ``data`` as ``name``."""
        flat = data.ravel()
        bound, align = f"{name}[{max(1, flat.size)}]", max(align, 4)
        if not self.apart:
            values = ",".join(map(_literal, flat.astype(np.int64).tolist()))
            mark = f" __attribute__((aligned({align})))"
            return f"static const {CTYPES[flat.dtype.name]} {bound}{mark} = {{{values}}};"
        content = flat.tobytes() or bytes(flat.itemsize)
        self.lines += [f".balign {align}", f".global {name}", f".type {name}, %object",
                       f".size {name}, {len(content)}", f"{name}:",
                       f'.incbin "{self.path}", {len(self.content)}, {len(content)}',
                       f".skip {GUARD}"]  # fmt: skip
        self.content += content
        return f"extern const {CTYPES[flat.dtype.name]} {bound};"


def _literal(value: int) -> str:
    return "(-2147483647-1)" if value == -(2**31) else str(value)


def render(cases: Sequence[Case], data: _Constants) -> str:
    """The C file of ``cases``."""
    body = "\n".join(_render_case(case, f"c{index}", data) for index, case in enumerate(cases))
    thunks = "".join(f"    run_case({index}, c{index});\n" for index in range(len(cases)))
    arena = max((layout(case)[1] for case in cases), default=16)
    headers = "".join(f'#include "{name}"\n' for name in sorted(_headers(cases)))
    lines = [f"#define ARENA {arena}", headers, _SUPPORT, body]
    lines.append(f"int main(void)\n{{\n    start();\n{thunks}    return 0;\n}}\n")
    return "\n".join(lines)


def _headers(cases: Sequence[Case]) -> set[str]:
    types = {c.params_type for case in cases for c in calls(case)}
    symbols = {c.symbol for case in cases for c in calls(case)}
    wanted = [f"}} {name};" for name in types] + [f" {symbol}(" for symbol in symbols]
    texts = {path.name: path.read_text() for path in assets.room_files("include")}
    return {name for name, text in texts.items() if any(word in text for word in wanted)}


@dataclass(frozen=True)
class _Region:
    name: str
    size: int
    offset: int
    shared: bool = field(default=False)


def layout(case: Case) -> tuple[list[_Region], int]:
    """Inputs, output and scratch with guards between; the arena's size."""
    scratch = max(call.scratch for call in calls(case))
    sizes = {name: case.inputs[name].nbytes for name in case.inputs}
    regions: list[_Region] = []
    at = GUARD
    out_size = case.qgraph.tensors[case.node.output].bytes
    partner = case.node.inputs[case.overlap] if case.overlap is not None else ""
    for name, size in sizes.items():
        if name == partner:
            gap = case.variant.gap(case.node, case.qgraph, case.overlap or 0)
            assert gap is not None
            gap = -(-gap // 4) * 4
            regions.append(_Region(name, size, at + gap, True))
            regions.append(_Region(case.node.output, out_size, at, True))
            at += max(size + gap, out_size)
        else:
            regions.append(_Region(name, size, at + case.misalign))
            at += size + case.misalign
        at = -(-(at + GUARD) // 16) * 16
    if not partner:
        regions.append(_Region(case.node.output, out_size, at + case.misalign))
        at = -(-(at + out_size + case.misalign + GUARD) // 16) * 16
    if scratch:
        regions.append(_Region("scratch", scratch, at))
        at += scratch + GUARD
    return regions, -(-at // 16) * 16


def _render_case(case: Case, prefix: str, data: _Constants) -> str:
    regions, _ = layout(case)
    names = {region.name: f"r{index}" for index, region in enumerate(regions)}
    text: list[str] = []
    for index, call in enumerate(calls(case)):
        text += _render_constants(call, f"{prefix}_{index}", case.qgraph, data)
    for index, (_, values) in enumerate(case.inputs.items()):
        text.append(data.array(f"{prefix}_in{index}", values))
    text.append(data.array(f"{prefix}_want", _expected(case)))
    text.append(f"static void {prefix}(report *out)\n{{")
    for region in regions:
        at = names[region.name]
        misalign = 0 if region.name == "scratch" else case.misalign
        text.append(f"    void *const {at} = region({region.offset}, {region.size}, "
                    f"{int(region.shared)}, {misalign});")  # fmt: skip
    text += [f"    memcpy({names[name]}, {prefix}_in{index}, sizeof {prefix}_in{index});"
             for index, name in enumerate(case.inputs)]  # fmt: skip
    text.append("    begin_kernel();\n    const uint32_t begin = NOW();")
    text += [_render_call(call, f"{prefix}_{i}", names, case) for i, call in enumerate(calls(case))]
    text.append("    out->ticks = ELAPSED(begin, NOW());\n    end_kernel();")
    text.append(f"    out->wrong = differences({names[case.node.output]}, {prefix}_want, "
                f"sizeof {prefix}_want);")  # fmt: skip
    text.append("    out->damaged = 0;")
    spans = sorted((r.offset, r.offset + r.size) for r in regions)
    at = 0
    for begin, end in [*spans, (-1, 0)]:
        stop = str(begin) if begin >= 0 else "ARENA"
        text.append(f"    out->damaged += damaged({at}, {stop});")
        at = max(at, end)
    text.append("}\n")
    return "\n".join(text)


def _expected(case: Case) -> Array:
    if case.expected is not None:
        return case.expected
    run_int = spec(case.node.op).run_int
    assert run_int is not None
    operands = [case.inputs[n] if n in case.inputs else case.qgraph.data(n)
                for n in case.node.inputs]  # fmt: skip
    return run_int(case.node, case.qgraph, operands)


def _render_constants(call: Call, prefix: str, qgraph: QGraph, data: _Constants) -> list[str]:
    text = [data.array(f"{prefix}_{a.suffix}", a.data, a.align) for a in call.arrays]
    text += [data.array(f"{prefix}_const{i}", qgraph.data(name))
             for i, name in enumerate(call.inputs) if qgraph.is_constant(name)]  # fmt: skip
    members = ", ".join(f".{f.name} = {_value(f.value, prefix)}" for f in call.fields)
    text.append(f"static const {call.params_type} {prefix}_params = {{{members}}};")
    return text


def _value(value: int | tuple[int, ...] | str, prefix: str) -> str:
    if isinstance(value, str):
        return f"{prefix}_{value}"
    return f"{{{', '.join(map(str, value))}}}" if isinstance(value, tuple) else str(value)


def _render_call(call: Call, prefix: str, names: Mapping[str, str], case: Case) -> str:
    def operand(index: int, name: str) -> str:
        return f"{prefix}_const{index}" if case.qgraph.is_constant(name) else names[name]

    arguments = [f"&{prefix}_params", *(operand(i, n) for i, n in enumerate(call.inputs))]
    out = names[call.output]
    arguments.append(f"(int8_t *){out} + {call.out_offset}" if call.out_offset else out)
    if call.scratch:
        arguments.append(names["scratch"])
    return f"    {call.symbol}({', '.join(arguments)});"


_SUPPORT = r"""
#define ALONE __attribute__((noinline))
#include <stdint.h>
#include <string.h>

typedef struct {
    uint32_t wrong, damaged, ticks;
} report;

/* Marks for a debugger or emulator. */
ALONE static void begin_kernel(void)
{
    __asm volatile("nop");
}
ALONE static void end_kernel(void)
{
    __asm volatile("nop\n nop");
}

#ifdef TIMER_HOST
#include <stdio.h>
#include <stdlib.h>
#define NOW() 0u
#define ELAPSED(a, b) ((b) - (a))
static void *taken[64];
static int taken_count;
static uint8_t *shared_block;
static void start(void)
{
}
/* Every buffer is a heap block of exactly its size; the two of an overlap share one. */
ALONE static void *region(uint32_t offset, uint32_t size, int shared, int misalign)
{
    uint8_t *block;
    if (shared) {
        if (shared_block == NULL) {
            shared_block = malloc(ARENA);
            taken[taken_count++] = shared_block;
        }
        return shared_block + offset;
    }
    block = malloc(size + (uint32_t)misalign + (size == 0));
    memset(block, 0xa5, size + (uint32_t)misalign);
    taken[taken_count++] = block;
    return block + misalign;
}
ALONE static uint32_t damaged(uint32_t from, uint32_t to)
{
    (void)from;
    (void)to;
    return 0;
}
static void begin_case(void)
{
    shared_block = NULL;
    taken_count = 0;
}
static void end_case(int index, const report *r)
{
    printf("%d %u %u %u\n", index, (unsigned)r->wrong, (unsigned)r->damaged, (unsigned)r->ticks);
    while (taken_count > 0) {
        free(taken[--taken_count]);
    }
}
#else
static uint8_t arena[ARENA] __attribute__((aligned(16)));
#if defined(TIMER_NONE)
#define NOW() 0u
#define ELAPSED(a, b) ((b) - (a))
static void start(void)
{
}
#elif defined(TIMER_CMSDK)
#define NOW() (*(volatile uint32_t *)0x40000004)
#define ELAPSED(a, b) ((a) - (b))
static void start(void)
{
    *(volatile uint32_t *)0x40000008 = 0xffffffff;
    *(volatile uint32_t *)0x40000004 = 0xffffffff;
    *(volatile uint32_t *)0x40000000 = 1;
}
#else
#define NOW() (*(volatile uint32_t *)0xE000E018)
#define ELAPSED(a, b) (((a) - (b)) & 0xffffff)
static void start(void)
{
    *(volatile uint32_t *)0xE000E014 = 0xffffff;
    *(volatile uint32_t *)0xE000E018 = 0;
    *(volatile uint32_t *)0xE000E010 = 5;
}
#endif
static int semihost(int operation, const void *argument)
{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
ALONE static void *region(uint32_t offset, uint32_t size, int shared, int misalign)
{
    (void)size;
    (void)shared;
    (void)misalign;
    return arena + offset;
}
ALONE static uint32_t damaged(uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (; from < to; from++) {
        count += arena[from] != 0xa5;
    }
    return count;
}
static void begin_case(void)
{
    memset(arena, 0xa5, sizeof arena);
}
static char *decimal(char *at, uint32_t value, char after)
{
    char digits[12];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at++ = after;
    return at;
}
static void end_case(int index, const report *r)
{
    char line[64];
    char *at = decimal(line, (uint32_t)index, ' ');
    at = decimal(at, r->wrong, ' ');
    at = decimal(at, r->damaged, ' ');
    at = decimal(at, r->ticks, '\n');
    *at = 0;
    semihost(4, line);
}
extern uint32_t stack_top, bss_begin, bss_end, data_begin, data_end, data_source;
int main(void);
void reset(void);
void fault(void);
void fault_at(const uint32_t *frame);
void reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88 |= 0xf00000;
    __asm volatile("dsb\n isb");
#endif
#if defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED14 |= 1u << 19; /* loop-end cache */
    __asm volatile("dsb\n isb");
#endif
#if defined(TRAP_UNALIGNED)
    *(volatile uint32_t *)0xE000ED14 |= 1u << 3;
#endif
    uint32_t *to = &data_begin;
    for (const uint32_t *from = &data_source; to < &data_end; from++) {
        *to++ = *from;
    }
    for (to = &bss_begin; to < &bss_end; to++) {
        *to = 0;
    }
    main();
    semihost(0x18, (void *)0x20026);
}
__attribute__((used)) void fault_at(const uint32_t *frame)
{
    char line[16];
    *decimal(line, frame[6], '\n') = 0;
    semihost(4, "# fault at ");
    semihost(4, line);
    semihost(0x18, (void *)0x20023);
    for (;;) {
    }
}
__attribute__((naked)) void fault(void)
{
    __asm volatile("mov r0, sp\n bl fault_at");
}
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, 0, 0, 0, (void *)fault, (void *)fault, 0, (void *)fault,
    (void *)fault};
#endif

#if defined(TRAP_UNALIGNED)
/* The C library's own moves words at any address. */
void *memcpy(void *to, const void *from, size_t count)
{
    volatile uint8_t *out = to;
    const uint8_t *in = from;
    while (count-- > 0) {
        *out++ = *in++;
    }
    return to;
}
void *memset(void *to, int value, size_t count)
{
    volatile uint8_t *out = to;
    while (count-- > 0) {
        *out++ = (uint8_t)value;
    }
    return to;
}
#endif

ALONE static uint32_t differences(const void *got, const void *want,
                                                      uint32_t size)
{
    const uint8_t *a = got;
    const uint8_t *b = want;
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) {
        count += a[i] != b[i];
    }
    return count;
}
static void run_case(int index, void (*body)(report *))
{
    report r;
    begin_case();
    body(&r);
    end_case(index, &r);
}
"""


def _linker_script(board: Board) -> str:
    flash, ram = board.vectors or board.flash, board.ram
    return f"""MEMORY {{
  FLASH (rx) : ORIGIN = {flash.origin:#x}, LENGTH = {flash.length:#x}
  RAM (rwx) : ORIGIN = {ram.origin:#x}, LENGTH = {ram.length:#x}
}}
ENTRY(reset)
SECTIONS {{
  .text : {{
    KEEP(*(.vectors)) *(.text*)
    constants_begin = .; *(EXCLUDE_FILE(*cases.o *constants.o) .rodata*) constants_end = .;
    *(.rodata*) . = ALIGN(4);
  }} > FLASH
  .ARM.exidx : {{ *(.ARM.exidx*) }} > FLASH
  data_source = LOADADDR(.data);
  .data : {{ . = ALIGN(4); data_begin = .; *(.data*) . = ALIGN(4); data_end = .; }} > RAM AT > FLASH
  .bss : {{ bss_begin = .; *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; }} > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
  end = bss_end;
}}
"""


# ---- graphs of one node ----


def one_node(
    op: str,
    attrs: Mapping[str, object],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    out_shape: tuple[int, ...],
    zero: int = 0,
) -> tuple[Node, QGraph]:
    """A QGraph of one node that reads ``inputs`` then ``constants``, and writes "y"."""
    node = Node(op, op, (*inputs, *constants), ("y",), dict(attrs))
    tensors = {n: QTensor(n, v.shape, _kind(v), 0, zero) for n, v in inputs.items()}
    tensors |= {n: QTensor(n, v.shape, _kind(v), 0, 0, v) for n, v in constants.items()}
    tensors["y"] = QTensor("y", out_shape, "s8", 0)
    return node, QGraph("kernel", (), (), (node,), tensors)


def _kind(values: Array) -> str:
    return {"int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32"}[values.dtype.name]
