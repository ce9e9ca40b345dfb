"""All that mcuq knows of a core, said once: a new core is an entry here, a board, and its row of
``kernels/sizes.json``.

The cycles of instructions are from the tables of Arm's Technical Reference Manuals for memory
without wait states:

- Cortex-M0 TRM (DDI 0432C), section "Instruction set summary": loads and stores 2, LDM and STM
  1+N, POP with PC 4+N, taken branches 3, BL 4, MULS 1 or, with the small multiplier, 32 (which a
  board's ``multiply_cycles`` says).
- Cortex-M0+ TRM (DDI 0484C), section "Instruction set summary": as M0, but POP with PC 3+N, taken
  branches 2, BL 3.
- Cortex-M3 TRM (DDI 0337I), sections "Processor instructions" and "Load/store timings": loads 2,
  LDM, STM, LDRD and STRD 1+N, MLA and MLS 2, SMULL 3 to 5, SMLAL 4 to 7, divisions 2 to 12,
  branches 1+P, TBB 2+P; a load or store behind a load is 1 cycle cheaper unless it needs the loaded
  value as an address; a store with an immediate offset always is 1; an address made by the
  instruction before costs 1 more.
- Cortex-M4 TRM (100166), section "Table of processor instructions": as M3, but every
  multiplication, the DSP ones included, is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Family:
    """An instruction set, and the programs that make and run its code.

    ``toolchain``: the prefix of its compiler; ``specs``: flags without which that finds no C
    library. ``option``: the compiler's flag that names the core. ``startup``: the file of
    ``runtime_c/startup``. ``packages``: those of Debian and Ubuntu that bring the compiler.
    """

    name: str
    boards: str
    toolchain: str
    packages: str
    option: str
    startup: str
    emulator: str
    emulator_packages: str
    specs: tuple[str, ...] = ()


ARM = Family(
    "Arm",
    "Arm Cortex-M",
    "arm-none-eabi",
    "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "-mcpu=",
    "mcuq_startup_cortex_m.c",
    "qemu-system-arm",
    "qemu-system-arm",
)
RISCV = Family(
    "RISC-V",
    "RISC-V",
    "riscv64-unknown-elf",
    "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "-march=",
    "mcuq_startup_riscv32.S",
    "qemu-system-riscv32",
    "qemu-system-misc",
    # Debian's compiler comes without a C library; picolibc's specs name its headers and archive.
    ("--specs=picolibc.specs",),
)
FAMILIES = {family.toolchain: family for family in (ARM, RISCV)}


@dataclass(frozen=True)
class CycleRules:
    """Cycles of one core. ``pipelined``: whether "Load/store timings" applies (M3 and M4).

    ``branch``, ``call`` and ``pop_pc`` are what a jump costs in all (``pop_pc``: beside N).
    ``slow``: regular expressions of mnemonics that take longer than a cycle, and how long.
    """

    branch: int
    call: int
    pop_pc: int
    pipelined: bool
    slow: Mapping[str, int]


_CODE_BYTES_A_CYCLE = 2.5
"""So much code is executed in a cycle on the way: instructions of 3 bytes in 1.2 cycles."""

_DIVISION = {r"[su]div": 12}
_M3_MULTIPLY = {r"ml[as]": 2, r"[su]mull": 5, r"[su]mlal": 7}
_M0_SYSTEM = {r"m[rs][rs]|d[sm]b|isb": 4}


@dataclass(frozen=True)
class FlashReads:
    """How a chip reads its flash at the board's clock.

    ``wait_states``: cycles that a read takes more than one. ``line``: bytes that come at once.
    ``code_lines``, ``data_lines``: so many the caches of instructions and of data hold, the least
    recently used one going first; 1: what was read last. ``prefetch``: whether the next line of
    instructions is read while those of the last one are executed.
    """

    wait_states: int
    line: int
    code_lines: int = 1
    data_lines: int = 1
    prefetch: bool = False

    @property
    def following(self) -> float:
        """Cycles that a line of code waits that is executed behind the line before it.

        With a prefetch it is read while that one is executed.
        """
        hidden = self.line / _CODE_BYTES_A_CYCLE - 1 if self.prefetch else 0.0
        return max(0.0, self.wait_states - hidden)

    def waits(self, code: float, constants: float) -> float:
        """Cycles for so many bytes of code and of constants, each in order, that no cache holds."""
        return (code * self.following + constants * self.wait_states) / self.line


@dataclass(frozen=True)
class Cpu:
    """A core as kernels see it. ``features``: any of thumb2, dsp, mve, mul_long, div, riscv.

    ``multiply_cycles``: 32 with the small multiplier of Cortex-M0 and M0+. ``reads``: of flash;
    None: it never waits, as far as is known.
    """

    name: str
    features: frozenset[str]
    multiply_cycles: int = 1
    reads: FlashReads | None = None


GENERIC = Cpu("generic", frozenset())
"""No core in particular: every kernel that needs no feature runs on it."""

SIZES_OF_GENERIC = "cortex-m3"
"""Whose code sizes stand for those of code that is compiled for no core in particular."""


@dataclass(frozen=True)
class Core:
    """A core that mcuq knows.

    ``board``: the one that it is measured on. ``features``: what every chip with it has;
    ``options``: what a board file may add. ``runs_on``: other emulated cores that run its code
    unchanged. ``like``: the core whose code it runs; what is checked there holds here.
    ``cycles``: None where they cannot be estimated. ``small_multiplier``: the cycles of a
    multiplication where a chip may have the small one.
    """

    name: str
    family: Family
    board: str
    features: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = field(default=(), kw_only=True)
    like: str | None = field(default=None, kw_only=True)
    cycles: CycleRules | None = field(default=None, kw_only=True)
    small_multiplier: int = field(default=1, kw_only=True)

    def cpu(self, *options: str, multiply_cycles: int = 1) -> Cpu:
        """The core with some of its options, as kernels see it."""
        return Cpu(self.name, frozenset(self.features + options), multiply_cycles)

    def rules(self, multiply_cycles: int = 1) -> CycleRules | None:
        """Its cycles where MULS takes so many (a board's ``multiply_cycles``); None if unknown."""
        if self.cycles is None or multiply_cycles == 1:
            return self.cycles
        return replace(self.cycles, slow={**self.cycles.slow, "muls": multiply_cycles})


_V7M = ("thumb2", "mul_long", "div")
_RV32 = ("riscv", "mul_long", "div")
CORES = {
    core.name: core
    for core in (
        Core(
            "cortex-m0",
            ARM,
            "mps2_an385_m0",
            runs_on=("cortex-m0plus", "cortex-m3"),
            cycles=CycleRules(3, 4, 4, False, _M0_SYSTEM),
            small_multiplier=32,
        ),
        Core(
            "cortex-m0plus",
            ARM,
            "mps2_an385_m0plus",
            runs_on=("cortex-m0", "cortex-m3"),
            like="cortex-m0",
            cycles=CycleRules(2, 3, 3, False, {r"m[rs][rs]|d[sm]b|isb": 3}),
            small_multiplier=32,
        ),
        Core(
            "cortex-m3",
            ARM,
            "mps2_an385",
            _V7M,
            cycles=CycleRules(3, 3, 3, True, {**_DIVISION, **_M3_MULTIPLY}),
        ),
        Core(
            "cortex-m4",
            ARM,
            "mps2_an386",
            _V7M,
            ("dsp",),
            cycles=CycleRules(3, 3, 3, True, _DIVISION),
        ),
        Core("cortex-m7", ARM, "mps2_an500", _V7M, ("dsp",)),
        Core("cortex-m33", ARM, "mps2_an505", _V7M, ("dsp",)),
        Core("cortex-m55", ARM, "mps3_an547", _V7M, ("dsp", "mve")),
        Core("rv32imc", RISCV, "riscv32_virt", _RV32, runs_on=("rv32imac",)),
        # QEMU's machine virt, whose core is called rv32imc here, has the A extension as well.
        Core("rv32imac", RISCV, "riscv32_virt", _RV32, runs_on=("rv32imc",), like="rv32imc"),
    )
}
CHECKED = tuple(core.board for core in CORES.values() if core.like is None)
"""One emulated board for every instruction set and family of kernels."""
