"""Sections and symbols of a little-endian ELF32 file (System V ABI, chapter Object Files)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mcuq.errors import ToolError

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_PROGRAM = struct.Struct("<8I")
_SYMBOL = struct.Struct("<IIIBBH")
_PT_LOAD = 1
_SHT_SYMTAB, _SHT_NOBITS = 2, 8
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_OBJECT, _FUNCTION = 1, 2
_LOCAL = 0


@dataclass(frozen=True)
class Section:
    """A section; ``stored`` is False for one that only reserves memory (.bss)."""

    name: str
    address: int
    size: int
    flags: int
    stored: bool
    offset: int

    @property
    def allocated(self) -> bool:
        return bool(self.flags & _SHF_ALLOC)

    @property
    def writable(self) -> bool:
        return bool(self.flags & _SHF_WRITE)

    @property
    def code(self) -> bool:
        return bool(self.flags & _SHF_EXECINSTR)


@dataclass(frozen=True)
class Symbol:
    """A symbol; ``address`` is without the Thumb bit. ``kind``: function, object or other.

    ``local``: known to its own source alone (static), so that others may have its name.
    """

    name: str
    address: int
    size: int
    kind: str
    local: bool = False


@dataclass(frozen=True)
class Segment:
    """Bytes that are loaded at an address: that of flash, for data that startup copies to RAM."""

    address: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Elf:
    """What mcuq reads from an ELF file."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    segments: tuple[Segment, ...] = ()

    def address(self, name: str) -> int:
        """The address of the symbol ``name``; KeyError if there is none."""
        return self.symbol(name).address

    def symbol(self, name: str) -> Symbol:
        """The symbol that all sources know by this name, or the first static one."""
        found = [symbol for symbol in self.symbols if symbol.name == name]
        if not found:
            raise KeyError(name)
        return min(found, key=lambda symbol: symbol.local)

    def place(self, address: int) -> str:
        """An address in a message: with the function that it lies in, if in any."""
        for symbol in self.functions():
            if symbol.address <= address < symbol.address + symbol.size:
                return f"at 0x{address:08x} in {symbol.name}"
        return f"at 0x{address:08x}"

    def functions(self) -> Iterator[Symbol]:
        return (symbol for symbol in self.symbols if symbol.kind == "function")


@lru_cache(maxsize=16)
def _read(path: Path, changed: int) -> Elf:
    data = path.read_bytes()
    header = _HEADER.unpack_from(data)
    if header[0][:6] != b"\x7fELF\x01\x01":
        raise ValueError(f"{path.name} is not a little-endian ELF32 file")
    offset, size, count, names = header[6], header[11], header[12], header[13]
    raw = [_SECTION.unpack_from(data, offset + i * size) for i in range(count)]
    sections = tuple(
        Section(_text(data, raw[names][4] + r[0]), r[3], r[5], r[2], r[1] != _SHT_NOBITS, r[4])
        for r in raw
    )
    symbols = tuple(s for r in raw if r[1] == _SHT_SYMTAB for s in _symbols(data, r, raw))
    return Elf(sections, symbols, tuple(_segments(data, header)))


def _segments(data: bytes, header: tuple[int, ...]) -> Iterator[Segment]:
    """What a loader writes, from the program headers."""
    offset, size, count = header[5], header[9], header[10]
    for at in range(offset, offset + count * size, size):
        kind, place, _, address, length, *_ = _PROGRAM.unpack_from(data, at)
        if kind == _PT_LOAD and length:
            yield Segment(address, data[place : place + length])


def read(path: Path) -> Elf:
    """The sections and symbols of ``path``."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (ValueError, IndexError, struct.error) as error:
        reason = f"is no ELF file that mcuq reads ({error})"
        raise ToolError(path.name, reason, "Look at the flags of the board") from None


def _symbols(
    data: bytes, table: tuple[int, ...], sections: list[tuple[int, ...]]
) -> Iterator[Symbol]:
    names = sections[table[6]][4]
    arm = struct.unpack_from("<H", data, 18)[0] == 40
    for at in range(table[4], table[4] + table[5], _SYMBOL.size):
        name, value, size, info, _, _ = _SYMBOL.unpack_from(data, at)
        kind = {_OBJECT: "object", _FUNCTION: "function"}.get(info & 15, "other")
        address = value & ~1 if arm and kind == "function" else value
        yield Symbol(_text(data, names + name), address, size, kind, info >> 4 == _LOCAL)


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "replace")
