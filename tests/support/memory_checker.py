"""Finds loads and stores of kernels outside what they may touch, by a plugin inside QEMU.

A case may read its inputs, output, scratch, constants and parameters, the code, constants of the
kernels themselves and the stack; it may write its output, scratch and the stack.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kernel_harness import Case, Target, build, launch, layout

from mcuq.firmware import elf

READ, WRITE, BOTH = 1, 2, 3
EVERY = -1
STACK = 1 << 14
SOURCE = Path(__file__).with_name("memory_plugin.c")


def faults(cases: Sequence[Case], target: Target, folder: Path) -> list[str]:
    """What the cases touch beside their own, "case: load of 4 bytes at 0x... by ...": the first."""
    target = replace(target, timed=False)
    image = build(cases, target, folder)
    found = elf.read(image)
    lines = [" ".join((str(case), f"{first:x}", f"{end:x}", str(mode)))
             for case, first, end, mode in _ranges(cases, target, found)]  # fmt: skip
    (folder / "ranges.txt").write_text("\n".join(lines))
    options = {
        "file": _plugin(folder),
        "ranges": folder / "ranges.txt",
        "out": folder / "faults.txt",
        "begin": hex(found.address("begin_kernel")),
        "end": hex(found.address("end_kernel")),
    }
    plugin = ",".join(f"{key}={value}" for key, value in options.items())
    subprocess.run([*launch(target, image), "-plugin", plugin], capture_output=True, check=True)
    *rows, last = (folder / "faults.txt").read_text().splitlines()
    assert last.startswith(f"cases {len(cases)} accesses ")
    assert int(last.split()[-1]) > 100 * len(cases)
    return [_describe(row.split(), cases, found) for row in rows]


def _plugin(folder: Path) -> Path:
    library = folder / "memory_plugin.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"]
    subprocess.run([*command, str(SOURCE), "-o", str(library)], check=True)
    return library


def _ranges(
    cases: Sequence[Case], target: Target, found: elf.Elf
) -> Iterator[tuple[int, int, int, int]]:
    """(case, first, end, mode) of all that may be touched."""
    assert target.board is not None
    top = target.board.ram.origin + target.board.ram.length
    yield EVERY, top - STACK, top, BOTH
    yield EVERY, found.address("constants_begin"), found.address("constants_end"), READ
    arena = found.address("arena")
    for index, case in enumerate(cases):
        writable = {case.node.output, "scratch"}
        for region in layout(case)[0]:
            mode = BOTH if region.shared or region.name in writable else READ
            yield index, arena + region.offset, arena + region.offset + region.size, mode
    for symbol in found.symbols:
        owner = symbol.name.split("_")[0].removeprefix("c")
        if symbol.kind != "other" and symbol.name != "arena":
            yield int(owner) if owner.isdigit() else EVERY, symbol.address, _end(symbol), READ


def _end(symbol: elf.Symbol) -> int:
    return symbol.address + symbol.size


def _describe(row: list[str], cases: Sequence[Case], found: elf.Elf) -> str:
    index, place, kind, address, size = row
    inside = [s for s in found.symbols if s.kind == "function" and s.address <= int(place, 16)]
    nearest = max(inside, key=lambda s: s.address).name
    before = [s for s in found.symbols if s.kind == "object" and s.address <= int(address, 16)]
    behind = max(before, key=lambda s: s.address)
    distance = int(address, 16) - _end(behind)
    return (
        f"{cases[int(index)].label}: {kind} of {size} bytes at {address} by {nearest}, "
        f"{distance} behind {behind.name}"
    )
