"""Estimated cycles of an executed instruction mix on Cortex-M0, M0+, M3 and M4.

An estimate, not a measurement: memory without wait states and no interrupts; ranges that depend on
data are counted at their upper end; a pipeline refill is P = 2 cycles on M3 and M4 (the manuals say
1 to 3), and a skipped instruction of an IT block costs 1. Sources, all of them tables of Arm's
Technical Reference Manuals for zero wait states:

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

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from mcuq.emulate.count import Profile
from mcuq.firmware import listing
from mcuq.firmware.listing import Instruction


@dataclass(frozen=True)
class Rules:
    """Cycles of one core. ``pipelined``: whether "Load/store timings" applies (M3 and M4).

    ``branch``, ``call`` and ``pop_pc`` are what a jump costs in all (``pop_pc``: beside N).
    ``slow``: regular expressions of mnemonics that take longer than a cycle, and how long.
    """

    branch: int
    call: int
    pop_pc: int
    pipelined: bool
    slow: Mapping[str, int]


_DIVISION = {r"[su]div": 12}
_M3_MULTIPLY = {r"ml[as]": 2, r"[su]mull": 5, r"[su]mlal": 7}
_M0_SYSTEM = {r"m[rs][rs]|d[sm]b|isb": 4}
RULES: dict[str, Rules] = {
    "cortex-m0": Rules(3, 4, 4, False, _M0_SYSTEM),
    "cortex-m0plus": Rules(2, 3, 3, False, {r"m[rs][rs]|d[sm]b|isb": 3}),
    "cortex-m3": Rules(3, 3, 3, True, {**_DIVISION, **_M3_MULTIPLY}),
    "cortex-m4": Rules(3, 3, 3, True, _DIVISION),
}

_CONDITION = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
_LOAD = re.compile(rf"(?:ldrs?[bh]?|vldr){_CONDITION}$")
_STORE = re.compile(rf"(?:str[bh]?|vstr){_CONDITION}$")
_PAIR = re.compile(rf"(?:ldrd|strd){_CONDITION}$")
_MANY = re.compile(rf"v?(?:push|pop|(?:ldm|stm)(?:ia|db)?){_CONDITION}$")
_BRANCH = re.compile(rf"(?:b|bx|cbn?z){_CONDITION}$")
_CALL = re.compile(rf"blx?{_CONDITION}$")
_NO_RESULT = re.compile(r"(?:cmp|cmn|tst|teq|str|v?push|stm|i[te]+$|nop)|(?:b|bl|bx|blx|cbn?z)$")
_TABLE = re.compile(r"tb[bh]$")


def rules(cpu: str, multiply_cycles: int = 1) -> Rules | None:
    """What is known of a core whose MULS takes so many cycles (a board's ``multiply_cycles``)."""
    known = RULES.get(cpu)
    if known is None or multiply_cycles == 1:
        return known
    return replace(known, slow={**known.slow, "muls": multiply_cycles})


def estimate(profile: Profile, elf: Path, cpu: str, multiply_cycles: int = 1) -> int | None:
    """Estimated cycles of what ``profile`` says was executed of an image; None without rules."""
    known = rules(cpu, multiply_cycles)
    if known is None:
        return None
    return cycles(profile, _listing(elf, elf.stat().st_mtime_ns).instructions, known)


@lru_cache(maxsize=8)
def _listing(elf: Path, changed: int) -> listing.Listing:
    return listing.disassemble(elf, "arm-none-eabi")


def cycles(profile: Profile, instructions: Iterable[Instruction], rules: Rules) -> int:
    """The sum over all executed instructions, in order of address.

    What an instruction owes to the one before it counts for as many times as that one went on to
    it, which is at most how often either was executed.
    """
    total = 0
    before: Instruction | None = None
    for instruction in instructions:
        executed = profile.executed.get(instruction.address, 0)
        if executed:
            jumps = _jumps(profile, instruction)
            total += (executed - jumps) * _straight(instruction, rules)
            total += jumps * _jump(instruction, rules)
            if rules.pipelined and before and before.address + before.size == instruction.address:
                follows = min(executed, _passed(profile, before))
                total += follows * _neighbour(before, instruction)
        before = instruction
    return total


def _passed(profile: Profile, instruction: Instruction) -> int:
    """How often execution went on behind ``instruction``."""
    return profile.executed.get(instruction.address, 0) - _jumps(profile, instruction)


def _jumps(profile: Profile, instruction: Instruction) -> int:
    """How often ``instruction`` jumped.

    QEMU ends a block before an instruction that crosses a page, and the plugin takes that for a
    jump of the instruction before, whatever it is.
    """
    name, operands = instruction.name, re.sub(r"\[.*?\]", "", instruction.operands)
    changes = any(kind.match(name) for kind in (_BRANCH, _CALL, _TABLE))
    if not changes and not re.search(r"\bpc\b", operands):
        return 0
    return profile.taken.get(instruction.address, 0)


def _straight(instruction: Instruction, rules: Rules) -> int:
    """Cycles when execution goes on at the next address."""
    name = instruction.name
    if _LOAD.match(name):
        return 2
    if _STORE.match(name):
        return 1 if rules.pipelined and _immediate_offset(instruction) else 2
    if _PAIR.match(name):
        return 3
    if _MANY.match(name):
        return 1 + _registers(instruction.operands)
    return next((count for text, count in rules.slow.items() if re.match(text, name)), 1)


def _jump(instruction: Instruction, rules: Rules) -> int:
    """Cycles when execution jumps: branches, calls, and whatever writes the program counter."""
    name = instruction.name
    if _CALL.match(name):
        return rules.call if name.startswith("bl") and name != "blx" else rules.branch
    if _MANY.match(name):
        return rules.pop_pc + _registers(instruction.operands)
    if _LOAD.match(name) or _TABLE.match(name):
        return 1 + rules.branch
    return rules.branch


def _neighbour(before: Instruction, instruction: Instruction) -> int:
    """Cycles gained (negative) or lost because of the instruction before."""
    load, store = _LOAD.match(instruction.name), _STORE.match(instruction.name)
    if not (load or store):
        return 0
    needs = set(_address_registers(instruction)) & {_written(before)}
    if _LOAD.match(before.name):
        cheap = store and _immediate_offset(instruction)
        return 0 if needs or cheap else -1
    return 1 if needs and not _STORE.match(before.name) else 0


def _immediate_offset(instruction: Instruction) -> bool:
    found = re.search(r"\[([^]]*)\]", instruction.operands)
    return bool(found) and "," not in re.sub(r", #-?\d+", "", found[1] if found else "")


def _address_registers(instruction: Instruction) -> list[str]:
    found = re.search(r"\[([^]]*)\]", instruction.operands)
    return re.findall(r"\b(?:r\d+|ip|lr|sp|fp|sl)\b", found[1]) if found else []


def _written(instruction: Instruction) -> str:
    """The register that the first operand names; of a comparison or a store, none."""
    if _NO_RESULT.match(instruction.name):
        return ""
    return instruction.operands.split(",")[0].strip()


def _registers(operands: str) -> int:
    """The number of registers in a list.

    >>> _registers("{r4-r6, lr}")
    4
    """
    count = 0
    for part in operands[operands.index("{") + 1 : operands.index("}")].split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count
