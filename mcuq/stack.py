"""The worst-case stack of a model: gcc's own frame sizes, summed along the call graph.

gcc writes frames and calls of what it compiles (-fcallgraph-info=su). Functions of libgcc and libc
come without that; their frames are read from their instructions, every change of the stack pointer
counted as if all of them happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcuq import elf, listing
from mcuq.build import Image
from mcuq.elf import Symbol
from mcuq.errors import ModelError
from mcuq.listing import Instruction, Listing
from mcuq.run import run_watermark

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(?:(\d+) bytes \((\w[\w,]*)\))?"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_INDIRECT = "__indirect_call"
_STORES = re.compile(r"(push|vpush|stmdb|vstmdb|str|strd|sub|subw|addi?)$")
_SIZES = {"s": 4, "d": 8, "q": 16}


@dataclass(frozen=True)
class Frames:
    """Bytes of stack and callees by function; a callee without an entry is a library's."""

    bytes: Mapping[str, int]
    calls: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Bound:
    """The deepest chain of calls and the bytes of stack that it needs."""

    bytes: int
    path: tuple[str, ...]


def measured(image: Image, vector: bytes | None = None) -> int:
    """Bytes of stack that one emulated inference of a plain image touched (zeros as inputs)."""
    return run_watermark(image, vector)


def worst_case(image: Image) -> int:
    """Bytes of stack that no inference of a plain image exceeds; raises as ``deepest`` does."""
    return deepest(image).bytes


def deepest(image: Image) -> Bound:
    """The stack of ``<id>_run`` of an image of kind plain, proven from its call graph.

    ModelError if it cannot be proven: a call through a pointer, recursion, or an array on the
    stack whose size is known only at run time.
    """
    texts = (path.read_text(encoding="utf-8") for path in image.callgraphs)
    frames = read_callgraphs(texts)
    library = Library(listing.disassemble(image.elf, image.board.toolchain), elf.read(image.elf))
    return bound(frames, f"{image.entry.id}_run", library)


def read_callgraphs(texts: Iterable[str]) -> Frames:
    """Frames and calls from the texts of gcc's .ci files."""
    sizes: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for text in texts:
        for title, count, how in _NODE.findall(text):
            if count and how == "dynamic":
                raise ModelError(_plain(title), "its stack frame has no constant size")
            if count:
                sizes[title] = int(count)
        for source, target in _EDGE.findall(text):
            calls.setdefault(source, set()).add(target)
    return Frames(sizes, {name: tuple(sorted(targets)) for name, targets in calls.items()})


@dataclass(frozen=True, eq=False)
class Library:
    """Functions of the image that no .ci file describes."""

    listing: Listing
    elf: elf.Elf

    def frame(self, name: str) -> tuple[int, tuple[str, ...]]:
        """The bytes that function ``name`` can push, and the functions that it goes on to."""
        symbol = self._symbol(name)
        body = self.listing.between(symbol.address, self._end(symbol))
        if not body:
            raise ModelError(name, "it is not in the image, so its stack is unknown")
        callees = {self._containing(target) for target in self._leaves(body)}
        return sum(_pushed(i, name) for i in body), tuple(sorted(callees - {symbol.name}))

    def _symbol(self, name: str) -> Symbol:
        """The function that ``name`` (perhaps an alias) starts in."""
        try:
            return self._at(self.elf.symbol(name).address & ~1)
        except KeyError:
            raise ModelError(name, "it is not in the image, so its stack is unknown") from None

    def _functions(self) -> list[Symbol]:
        found = {s.address: s for s in sorted(self.elf.functions(), key=lambda s: s.name)}
        return [found[address] for address in sorted(found)]

    def _at(self, address: int) -> Symbol:
        return [s for s in self._functions() if s.address <= address][-1]

    def _containing(self, address: int) -> str:
        return self._at(address).name

    def _end(self, symbol: Symbol) -> int:
        """Hand-written functions of libgcc may have no size: up to the next one, then."""
        later = [s.address for s in self._functions() if s.address > symbol.address]
        return symbol.address + symbol.size if symbol.size else min(later, default=1 << 32)

    def _leaves(self, body: Iterable[Instruction]) -> list[int]:
        """Addresses outside ``body`` where execution may go on."""
        instructions = list(body)
        first, last = instructions[0].address, instructions[-1]
        targets = [i.target for i in instructions if i.target is not None]
        if not _ends(last):
            targets.append(last.address + last.size)
        for instruction in instructions:
            if instruction.name in ("blx", "jalr", "c.jalr") and instruction.target is None:
                place = f"0x{instruction.address:08x}"
                raise ModelError(place, "a library function calls through a pointer")
        return [t for t in targets if not first <= t <= last.address]


def bound(frames: Frames, root: str, library: Library) -> Bound:
    """The deepest chain of calls from ``root``."""
    known: dict[str, Bound] = {}

    def visit(name: str, above: tuple[str, ...]) -> Bound:
        if name in above:
            cycle = " -> ".join(map(_plain, (*above[above.index(name) :], name)))
            raise ModelError(_plain(name), f"recursion: {cycle}")
        if name == _INDIRECT:
            reason = "it calls through a pointer, so its stack is unknown"
            raise ModelError(_plain(above[-1]), reason)
        if name not in known:
            size, callees = _frame(frames, name, library)
            deepest = max(
                (visit(callee, (*above, name)) for callee in callees),
                key=lambda b: b.bytes,
                default=Bound(0, ()),
            )
            known[name] = Bound(size + deepest.bytes, (_plain(name), *deepest.path))
        return known[name]

    return visit(root, ())


def _frame(frames: Frames, name: str, library: Library) -> tuple[int, tuple[str, ...]]:
    if name in frames.bytes:
        return frames.bytes[name], frames.calls.get(name, ())
    return library.frame(name)


def _ends(instruction: Instruction) -> bool:
    """Whether execution never goes on behind ``instruction``."""
    text = f"{instruction.name} {instruction.operands}"
    return bool(
        re.match(r"(b|bx|j|c\.j|jr|tail|ret|mret)( |$)|pop .*pc|ldm.*pc|ldr pc|mov pc", text)
    )


def _pushed(instruction: Instruction, function: str) -> int:
    """Bytes by which ``instruction`` moves the stack pointer down.

    >>> _pushed(Instruction(0, 2, "push", "{r4-r7, lr}", None), "f")
    20
    """
    name, operands = instruction.name, instruction.operands
    if not _STORES.match(name):
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
    down = re.match(
        r"sp, (?:sp, )?#(\d+)$" if name.startswith("sub") else r"sp,sp,-(\d+)$", operands
    )
    if down:
        return int(down[1])
    if name.startswith("add") and re.match(r"sp, (?:sp, )?#\d+$|sp,sp,\d+$", operands):
        return 0
    raise ModelError(function, f"its stack frame is unknown: '{name} {operands}'")


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
