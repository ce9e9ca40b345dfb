"""The worst-case stack of a model: frames summed along the calls that its image makes.

Frames are the compiler's own numbers (gcc: -fcallgraph-info=su, clang: -fstack-usage), or what the
function's instructions push, every push counted as if all of them happened, where that is more
(inline assembly may push; compilers do not look into it) or there is no number (libgcc, libc).
Calls are read from the instructions, too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mcuq.emulate.qemu import run_watermark
from mcuq.errors import ModelError
from mcuq.firmware import elf, listing
from mcuq.firmware.elf import Symbol
from mcuq.firmware.image import Image
from mcuq.firmware.listing import Instruction, Listing

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(?:(\d+) bytes \((\w[\w,]*)\))?"')
_INDIRECT = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "__indirect_call"')
_USAGE = re.compile(r"^(.*)\t(\d+)\t(\w[\w,]*)$", re.MULTILINE)
_MOVES = re.compile(r"(push|vpush|stmdb|vstmdb|str|strd|sub|subw|addi?|mov)$")
# objdump 2.40 shows WLSTP, which begins a tail-predicated loop, as one of these branches.
_MISREAD = ("bf", "bfl", "bfx", "bfcsel")
_SIZES = {"s": 4, "d": 8, "q": 16}


@dataclass(frozen=True)
class Frames:
    """What compilers know: bytes of stack by function, and the functions that call a pointer."""

    bytes: Mapping[str, int]
    indirect: frozenset[str]


@dataclass(frozen=True)
class Bound:
    """The deepest chain of calls and the bytes of stack that it needs."""

    bytes: int
    path: tuple[str, ...]


@dataclass(frozen=True)
class _Function:
    """A function of the image: its frame and the addresses it may call or go on to.

    ``address`` tells it from static functions of other sources that share its name.
    """

    address: int
    name: str
    frame: int
    callees: tuple[int, ...]


def measured(image: Image, vector: bytes | None = None) -> int:
    """Bytes of stack that one emulated inference of a plain image touched (zeros as inputs)."""
    return run_watermark(image, vector)


def worst_case(image: Image) -> Bound:
    """The stack of ``<id>_run`` of an image of kind plain, proven from its instructions.

    ModelError if it cannot be proven: a call through a pointer, recursion, or an array on the
    stack whose size is known only at run time.
    """
    frames = read_callgraphs(path.read_text(encoding="utf-8") for path in image.callgraphs)
    lines = listing.disassemble(image.elf, image.board.toolchain)
    return bound(Functions(lines, elf.read(image.elf), frames), image.entry.function)


def read_callgraphs(texts: Iterable[str]) -> Frames:
    """The texts of gcc's .ci or clang's .su files, in which clang does not name calls of pointers.

    Of static functions of one name, the largest frame counts.
    """
    sizes: dict[str, int] = {}
    indirect: set[str] = set()
    for text in texts:
        for title, count, how in (*_NODE.findall(text), *_USAGE.findall(text)):
            name = _plain(title)
            if count and how == "dynamic":
                raise ModelError(name, "its stack frame has no constant size")
            if count:
                sizes[name] = max(int(count), sizes.get(name, 0))
        indirect.update(map(_plain, _INDIRECT.findall(text)))
    return Frames(sizes, frozenset(indirect))


@dataclass(frozen=True, eq=False)
class Functions:
    """The functions of an image, by address."""

    listing: Listing
    elf: elf.Elf
    frames: Frames

    @cached_property
    def symbols(self) -> list[Symbol]:
        """One function per address, in order; of aliases, the first name."""
        found = {s.address: s for s in sorted(self.elf.functions(), key=lambda s: s.name)[::-1]}
        return [found[address] for address in sorted(found)]

    @cached_property
    def names(self) -> dict[int, set[str]]:
        """All names of the function at each address."""
        found: dict[int, set[str]] = {}
        for symbol in self.elf.functions():
            found.setdefault(symbol.address, set()).add(symbol.name)
        return found

    def function(self, address: int) -> _Function:
        """The function that holds ``address``; ModelError if its frame is unknown."""
        index = bisect_right([s.address for s in self.symbols], address) - 1
        if index < 0:
            raise ModelError(f"0x{address:08x}", "no function is there, so its stack is unknown")
        symbol = self.symbols[index]
        body = self.listing.between(symbol.address, self._end(index))
        if not body or self.names[symbol.address] & self.frames.indirect:
            reason = "it calls through a pointer" if body else "it is not in the image"
            raise ModelError(symbol.name, f"{reason}, so its stack is unknown")
        frame = self._frame(symbol, body)
        return _Function(symbol.address, symbol.name, frame, tuple(_leaves(body)))

    def _frame(self, symbol: Symbol, body: Iterable[Instruction]) -> int:
        names = self.names[symbol.address] & self.frames.bytes.keys()
        known = max((self.frames.bytes[name] for name in names), default=None)
        moves = [_pushed(instruction) for instruction in body]
        if known is None and None in moves:
            raise ModelError(symbol.name, "its stack frame is unknown: it moves sp by a register")
        return max(sum(move or 0 for move in moves), known or 0)

    def _end(self, index: int) -> int:
        """Hand-written functions of libgcc may have no size: up to the next one, then."""
        symbol = self.symbols[index]
        later = self.symbols[index + 1].address if index + 1 < len(self.symbols) else 1 << 32
        return symbol.address + symbol.size if symbol.size else later


def bound(program: Functions, root: str) -> Bound:
    """The deepest chain of calls from the function ``root``."""
    known: dict[int, Bound] = {}

    def visit(address: int, above: tuple[_Function, ...]) -> Bound:
        function = program.function(address)
        if function in above:
            cycle = (*above[above.index(function) :], function)
            raise ModelError(function.name, f"recursion: {' -> '.join(f.name for f in cycle)}")
        if function.address not in known:
            inner = (visit(callee, (*above, function)) for callee in function.callees)
            deepest = max(inner, key=lambda b: b.bytes, default=Bound(0, ()))
            path = (function.name, *deepest.path)
            known[function.address] = Bound(function.frame + deepest.bytes, path)
        return known[function.address]

    return visit(program.elf.address(root), ())


def _leaves(body: Sequence[Instruction]) -> list[int]:
    """Addresses outside ``body`` where execution may go on, sorted."""
    first, last = body[0].address, body[-1]
    targets = {i.target for i in body if i.target is not None and i.name not in _MISREAD}
    if _falls_through(body, targets):
        targets.add(last.address + last.size)
    for instruction in body:
        if instruction.name in ("blx", "jalr") and instruction.target is None:
            place = f"0x{instruction.address:08x}"
            raise ModelError(place, "it calls through a pointer, so its stack is unknown")
    return sorted(t for t in targets if not first <= t <= last.address)


def _falls_through(body: Sequence[Instruction], targets: set[int]) -> bool:
    """Whether execution can reach the end of ``body``; what pads a return cannot be reached."""
    inside = range(body[0].address + 1, body[-1].address + 1)
    ends = [i for i, instruction in enumerate(body) if _ends(instruction, inside)]
    tail = body[ends[-1] + 1 :] if ends else body
    return not ends or any(instruction.address in targets for instruction in tail)


def _ends(instruction: Instruction, inside: range) -> bool:
    """Whether execution never goes on behind ``instruction``.

    Nobody calls into the middle of a function: a bl to there is Armv6-M's far jump.
    """
    if instruction.name == "bl" and instruction.target in inside:
        return True
    text = f"{instruction.name} {instruction.operands}"
    return bool(
        re.match(r"(b|bx|j|c\.j|jr|tail|ret|mret)( |$)|pop .*pc|ldm.*pc|ldr pc|mov pc", text)
    )


def _pushed(instruction: Instruction) -> int | None:
    """Bytes by which ``instruction`` moves the stack pointer down; None if it cannot be told.

    >>> _pushed(Instruction(0, 2, "push", "{r4-r7, lr}", None))
    20
    """
    name, operands = instruction.name, instruction.operands
    if not _MOVES.match(name):
        return 0
    if name in ("push", "vpush"):
        return _register_bytes(operands)
    if name in ("stmdb", "vstmdb"):
        return _register_bytes(operands) if operands.startswith("sp!") else 0
    if name in ("str", "strd"):
        found = re.search(r"\[sp, #-(\d+)\]!", operands)
        return int(found[1]) if found else 0
    if not re.match(r"sp\b", operands):
        return 0
    if re.match(r"sp, (?:sp, )?#\d+$|sp,sp,-?\d+$", operands):
        down = name.startswith("sub") or ",-" in operands
        return int(re.findall(r"\d+", operands)[-1]) if down else 0
    return None


def _register_bytes(operands: str) -> int:
    """The size of a register list: names and ranges, core or floating point."""
    total = 0
    for part in operands[operands.index("{") + 1 : operands.index("}")].split(","):
        first, _, last = part.strip().partition("-")
        count = int(last[1:]) - int(first[1:]) + 1 if last else 1
        total += count * _SIZES.get(first[0] if first[1:].isdigit() else "r", 4)
    return total


def _plain(title: str) -> str:
    """The function's name without the file that gcc puts before static ones."""
    return Path(title).name.rpartition(":")[2]
