"""The disassembly of an image, as objdump prints it, one record an instruction."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mcuq.firmware import toolchain

_LINE = re.compile(r"\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\S+)(?:\s+(.*))?$")
_COMMENT = re.compile(r"\s+[;@#]\s")
_TARGET = re.compile(r"(?:^|[\s,])([0-9a-f]+) <")


@dataclass(frozen=True)
class Instruction:
    """``size`` in bytes; ``operands`` as printed, comments cut off.

    ``target``: where a direct branch or call goes. objdump works out that of RISC-V's pair of auipc
    and jalr and prints it as a comment of the latter.
    """

    address: int
    size: int
    mnemonic: str
    operands: str
    target: int | None

    @property
    def name(self) -> str:
        """The mnemonic without the width suffix of Thumb-2.

        >>> Instruction(0, 4, "ldr.w", "r0, [r1]", None).name
        'ldr'
        """
        return self.mnemonic.removesuffix(".w").removesuffix(".n")


@dataclass(frozen=True, eq=False)
class Listing:
    """All instructions of an image, by address."""

    instructions: tuple[Instruction, ...]

    @cached_property
    def addresses(self) -> list[int]:
        return [instruction.address for instruction in self.instructions]

    def between(self, start: int, end: int) -> Sequence[Instruction]:
        """The instructions with ``start <= address < end``."""
        low = bisect_right(self.addresses, start - 1)
        return self.instructions[low : bisect_right(self.addresses, end - 1)]

    def at(self, address: int) -> Instruction:
        """The instruction at ``address``; KeyError if none starts there."""
        found = self.between(address, address + 1)
        if not found:
            raise KeyError(address)
        return found[0]


def parse(text: str) -> Listing:
    r"""The instructions of ``objdump -d``'s output; data among the code (.word) is left out.

    >>> parse("  8000:\tb510 \tpush\t{r4, lr}").instructions[0].operands
    '{r4, lr}'
    """
    return Listing(tuple(_instructions(text)))


def disassemble(elf: Path, toolchain_name: str) -> Listing:
    """The listing of an ELF file made by the toolchain of this name (arm-none-eabi, ...)."""
    return parse(toolchain.call([f"{toolchain_name}-objdump", "-d", elf], 120))


def _instructions(text: str) -> Iterator[Instruction]:
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and not found[3].startswith("."):
            operands = _COMMENT.split(found[4] or "")[0].strip()
            target = _TARGET.search(found[4] or "" if found[3] == "jalr" else operands)
            yield Instruction(
                int(found[1], 16),
                len(found[2].replace(" ", "")) // 2,
                found[3],
                operands,
                int(target[1], 16) if target else None,
            )
