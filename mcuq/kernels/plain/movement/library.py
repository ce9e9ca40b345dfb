"""What memcpy and memset of the C libraries execute: newlib for Arm, picolibc for RISC-V.

Counted in the code of Debian's packages; ``aligned`` and ``at`` are of addresses, modulo 4.
"""

from __future__ import annotations

from functools import cache

from mcuq.targets.cores import Cpu


def copied(cpu: Cpu, count: int, at: int = 0, source: int = 0) -> int:
    """The instructions of ``memcpy`` of ``count`` bytes from ``source`` to ``at``.

    >>> from mcuq.targets.cores import GENERIC
    >>> copied(GENERIC, 8), copied(GENERIC, 8, 1)
    (57, 57)
    """
    if "riscv" in cpu.features:
        return 5 + 6 * count
    words = _copied_thumb2 if "thumb2" in cpu.features else _copied_thumb
    return words(count, at % 4, source % 4)


def filled(cpu: Cpu, count: int, at: int = 0) -> int:
    """The instructions of ``memset`` of ``count`` bytes from ``at`` on."""
    if "riscv" in cpu.features:
        return 4 + 4 * count
    words = _filled_thumb2 if "thumb2" in cpu.features else _filled_thumb
    return words(count, at % 4)


@cache
def _copied_thumb(count: int, at: int, source: int) -> int:
    """Words only from 16 bytes on, and between addresses that both hold one."""
    if count < 16:
        return 8 + (1 + 6 * count if count else 0)
    if at or source:
        return 15 + 6 * count
    blocks, rest = divmod(count, 16)
    words, left = divmod(rest, 4)
    return 33 + 13 * blocks + (8 + 6 * words if words else 2) + (1 + 6 * left if left else 0)


@cache
def _copied_thumb2(count: int, at: int, source: int) -> int:
    """Bytes until the output is aligned, if neither is; then words."""
    if not (at or source):
        return 4 + _copied_words(count)
    if count < 4:
        return 4 + 4 + _last_bytes(count)
    if count < 8:
        return 4 + 4 * count
    if not (at and source):
        return (8 if at else 10) + _copied_words(count)
    return 4 + 13 + 3 * (at < 3) + _copied_words(count - 4 + at)


def _copied_words(count: int) -> int:
    blocks, rest = divmod(count, 64)
    quads, rest = divmod(rest, 16)
    words, left = divmod(rest, 4)
    return 6 + 34 * blocks + 10 * quads + 4 * words + _last_bytes(left)


def _last_bytes(count: int) -> int:
    """And the return."""
    return 4 + (5 + 2 * (count > 1) if count else 0)


@cache
def _filled_thumb(count: int, at: int) -> int:
    head, left = _head(count, at)
    if at and not left:
        return 12 + 7 * head
    found = (8 + 7 * head if at else 7) + 2
    if left >= 4:
        blocks, words = left // 16, left % 16 // 4
        found += 8 + (19 + 7 * blocks if blocks else 2) + (12 + 3 * words if words else 0)
    return found + 3 + (2 + 4 * (left % 4) if left % 4 else 0)


@cache
def _filled_thumb2(count: int, at: int) -> int:
    head, left = _head(count, at)
    if at and not left:
        return 10 + 5 * head
    found = (7 + 5 * head if at else 6) + 2
    if left >= 4:
        blocks, words = left // 16, left % 16 // 4
        found += 5 + (11 + 7 * blocks if blocks else 3) + (5 + 3 * words if words else 4)
    return found + 2 + (2 + 3 * (left % 4) if left % 4 else 0)


def _head(count: int, at: int) -> tuple[int, int]:
    """Bytes up to where a word may lie, and those from there on."""
    head = min(count, -at % 4)
    return head, count - head
