"""Estimated cycles of an executed instruction mix on Cortex-M0, M0+, M3 and M4.

An estimate, not a measurement: no interrupts, and memory without wait states, which ``stalls``
adds; ranges that depend on data are counted at their upper end; a pipeline refill is P = 2 cycles
on M3 and M4 (the manuals say 1 to 3), and a skipped instruction of an IT block costs 1. Sources:
the tables of Arm's Technical Reference Manuals for zero wait states, in ``targets/cores.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from mcuq.emulate.count import Misses, Profile
from mcuq.firmware import listing
from mcuq.firmware.listing import Instruction
from mcuq.targets.cores import ARM, CORES, CycleRules, FlashReads

_CONDITION = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
_LOAD = re.compile(rf"(?:ldrs?[bh]?|vldr){_CONDITION}$")
_STORE = re.compile(rf"(?:str[bh]?|vstr){_CONDITION}$")
_PAIR = re.compile(rf"(?:ldrd|strd){_CONDITION}$")
_MANY = re.compile(rf"v?(?:push|pop|(?:ldm|stm)(?:ia|db)?){_CONDITION}$")
_BRANCH = re.compile(rf"(?:b|bx|cbn?z){_CONDITION}$")
_CALL = re.compile(rf"blx?{_CONDITION}$")
_NO_RESULT = re.compile(r"(?:cmp|cmn|tst|teq|str|v?push|stm|i[te]+$|nop)|(?:b|bl|bx|blx|cbn?z)$")
_TABLE = re.compile(r"tb[bh]$")


def estimate(profile: Profile, elf: Path, cpu: str, multiply_cycles: int = 1) -> int | None:
    """Estimated cycles of what ``profile`` says was executed of an image; None without rules."""
    rules = CORES[cpu].rules(multiply_cycles)
    if rules is None:
        return None
    return cycles(profile, _listing(elf, elf.stat().st_mtime_ns).instructions, rules)


def stalls(misses: Misses, reads: FlashReads) -> int:
    """Cycles that the core waits for flash."""
    others = misses.jumps + misses.data
    return round(misses.following * reads.following) + others * reads.wait_states


@lru_cache(maxsize=8)
def _listing(elf: Path, changed: int) -> listing.Listing:
    return listing.disassemble(elf, ARM.toolchain)


def cycles(profile: Profile, instructions: Iterable[Instruction], rules: CycleRules) -> int:
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


def _straight(instruction: Instruction, rules: CycleRules) -> int:
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


def _jump(instruction: Instruction, rules: CycleRules) -> int:
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
