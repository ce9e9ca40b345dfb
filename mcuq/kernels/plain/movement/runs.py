"""What the loops of ``mcuq_runs.h`` cost, path by path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import prod

from mcuq.kernels.plain.movement.library import copied
from mcuq.kernels.rates import Rate
from mcuq.targets.cores import Cpu

_LONG = 64  # bytes of a run from which on memcpy copies it
_MEMCPY = 16  # and where words do not lie

_Piece = tuple[Rate, float]
_Sizes = tuple[int, ...]

_BEGIN = Rate(39.4, 22.8, 21.2, 19.5)
_LACED_BLOCK, _LACED_FOUR, _LACED_LEFT = (
    Rate(35.7, 12.6, 16.9, 17.2),
    Rate(34, 25.1, 26.4, 28),
    Rate(0, 7.4, 7.2, 0),
)
_TWO_BLOCK, _TWO = Rate(13.4, 0, 0, 11.8), Rate(8.6, 7.6, 6.9, 7.7)
_APART_ROW, _APART_PAIR, _APART_LAST = (
    Rate(30.7, 20.5, 22.3, 17),
    Rate(9.1, 8, 7.1, 8.1),
    Rate(4.4, 0.4, 0.5, 2.9),
)
_BYTES_BLOCK, _BYTES_ROW, _BYTE, _CALL = (
    Rate(23.7, 8.8, 12, 13.7),
    Rate(12, 12, 12, 11.1),
    Rate(5, 5, 5, 5),
    Rate(12.4, 9, 13.6, 9.1),
)
_PAIR_BLOCK, _PAIR_EIGHT, _PAIR_FOUR, _PAIR_TAIL, _PAIR_LEFT = (
    Rate(23, 11.3, 15, 10.4),
    Rate(13.3, 12.1, 11.6, 15.4),
    Rate(16.2, 11.2, 9.8, 11.9),
    Rate(0, 12.2, 12, 0),
    Rate(0, 6.1, 6.1, 0),
)
_ROW_BLOCK, _ROW, _EIGHTS, _EIGHT, _FOUR, _TAIL, _LEFT = (
    Rate(19.8, 11, 14.7, 16.3),
    Rate(8.8, 8.1, 7.8, 3),
    Rate(0, 1.2, 5.1, 0.5),
    Rate(8.4, 7.6, 6.7, 7.6),
    Rate(9, 4, 4.1, 8.4),
    Rate(0, 2.2, 2, 0),
    Rate(0, 4.3, 4.4, 0),
)


def is_long(cpu: Cpu, length: int) -> bool:
    """Whether memcpy copies a run of so many bytes; on RISC-V it is slower than words."""
    return length > _LONG and "riscv" not in cpu.features


def in_words(cpu: Cpu, *distances: int) -> bool:
    """Whether words may be read and written at all multiples of the bytes ``distances``."""
    return "thumb2" in cpu.features or all(distance % 4 == 0 for distance in distances)


def cost(cpu: Cpu, sizes: _Sizes, strides: _Sizes, starts: Iterable[int]) -> float:
    """Three nested loops, run anew from each of ``starts`` and written one behind the other.

    Addresses count modulo 4 only.
    """
    length = prod(sizes)
    often = Counter((start % 4, index * length % 4) for index, start in enumerate(starts))
    return sum(count * _once(cpu, sizes, strides, *place) for place, count in often.items())


def _once(cpu: Cpu, sizes: _Sizes, strides: _Sizes, start: int, at: int) -> float:
    pieces = _pieces(cpu, sizes, strides, start, at)
    own = sum(rate.on(cpu) * count for rate, count in pieces)
    return own + _by_memcpy(cpu, sizes, strides, start, at)


def _pieces(cpu: Cpu, sizes: _Sizes, strides: _Sizes, start: int, at: int) -> Iterator[_Piece]:
    """How often each piece of the chosen path runs."""
    yield _BEGIN, 1
    blocks, rows, length = sizes[0], sizes[0] * sizes[1], sizes[2]
    apart = strides[2]
    if length == 2 and strides[1] == 1 and in_words(cpu, at, start, strides[0], apart, sizes[1]):
        fours, left = divmod(sizes[1], 4)
        yield from ((_LACED_BLOCK, blocks), (_LACED_FOUR, blocks * fours))
        yield _LACED_LEFT, blocks * left
    elif length == 2:
        yield from ((_TWO_BLOCK, blocks), (_TWO, rows))
    elif apart != 1:
        yield from ((_APART_ROW, rows), (_APART_PAIR, rows * (length // 2)))
        yield _APART_LAST, rows * (length % 2)
    elif _in_bytes(cpu, sizes, strides, start, at):
        yield _BYTES_BLOCK, blocks
        yield (_CALL, rows) if length > _MEMCPY else (_BYTES_ROW, rows)
        yield _BYTE, 0 if length > _MEMCPY else rows * length
    else:
        yield from _words(blocks, sizes[1], length)


def _words(blocks: int, rows: int, length: int) -> Iterator[_Piece]:
    """The path of short rows, two of them at once or one."""
    eights, four, left = length // 8, length // 4 % 2, length % 4
    if rows == 2:
        yield from ((_PAIR_BLOCK, blocks), (_PAIR_EIGHT, blocks * eights))
        yield from ((_PAIR_FOUR, blocks * four), (_PAIR_TAIL, blocks * (left > 0)))
        yield _PAIR_LEFT, blocks * left
        return
    yield from ((_ROW_BLOCK, blocks), (_ROW, blocks * rows))
    yield from ((_EIGHTS, blocks * rows * (eights > 0)), (_EIGHT, blocks * rows * eights))
    yield from ((_FOUR, blocks * rows * four), (_TAIL, blocks * rows * (left > 0)))
    yield _LEFT, blocks * rows * left


def _in_bytes(cpu: Cpu, sizes: _Sizes, strides: _Sizes, start: int, at: int) -> bool:
    words = in_words(cpu, at, start, strides[0], strides[1], sizes[2])
    return is_long(cpu, sizes[2]) or not words


def _by_memcpy(cpu: Cpu, sizes: _Sizes, strides: _Sizes, start: int, at: int) -> int:
    """The instructions of memcpy itself, where runs are copied by it."""
    length = sizes[2]
    if length <= _MEMCPY or strides[2] != 1 or not _in_bytes(cpu, sizes, strides, start, at):
        return 0
    places = ((a, b) for a in range(sizes[0]) for b in range(sizes[1]))
    return sum(
        copied(cpu, length, at + index * length, start + a * strides[0] + b * strides[1])
        for index, (a, b) in enumerate(places)
    )
