"""Areas as large as what they stand for, the largest first ("squarified" treemaps).

Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mcuq.draw.svg import Picture, fitting, legend, rect, text

TOP = 26
_LEAST = 6
"""Characters of a name that is cut: fewer say nothing."""


@dataclass(frozen=True)
class Tile:
    """``kind``: one of the colours; ``note``: its size in words."""

    label: str
    size: float
    kind: str
    note: str


@dataclass(frozen=True)
class _Area:
    x: float
    y: float
    width: float
    height: float


def treemap(
    title: str,
    told: str,
    tiles: Sequence[Tile],
    names: tuple[str, ...],
    width: float = 700,
    height: float = 300,
) -> Picture:
    """``names``: of the colours a, b, c in the legend."""
    shown = sorted((t for t in tiles if t.size > 0), key=lambda t: (-t.size, t.label))
    places = _squarified([t.size for t in shown], _Area(0, TOP, width, height))
    body = [legend(names, 0, 16, width, "t")]
    for tile, area in zip(shown, places, strict=True):
        body.append(_tile(tile, area))
    return Picture(
        *(title, told, width, height + TOP, "".join(body)),
        lambda other: treemap(title, told, tiles, names, other, height),
    )


def _tile(tile: Tile, area: _Area) -> str:
    told = f"{tile.label}: {tile.note}"
    drawn = rect(area.x, area.y, area.width, area.height, f"t{tile.kind}", told)
    name = fitting(tile.label, area.width - 10)
    if area.height < 18 or not name or (name != tile.label and len(name) < _LEAST):
        return drawn
    drawn += text(area.x + 5, area.y + 15, name)
    if area.height >= 34 and fitting(tile.note, area.width - 10) == tile.note:
        drawn += text(area.x + 5, area.y + 30, tile.note, "mute")
    return drawn


def _squarified(sizes: Sequence[float], area: _Area) -> Iterator[_Area]:
    """An area for each of ``sizes``, which fall, all within ``area``."""
    left, total = list(sizes), sum(sizes)
    while left:
        scale = area.width * area.height / total
        count = _row_length(left, min(area.width, area.height), scale)
        row, left = left[:count], left[count:]
        total = sum(left)
        thick = sum(row) * scale / max(1e-9, min(area.width, area.height))
        yield from _row(row, area, thick, scale)
        area = (
            _Area(area.x + thick, area.y, max(0.0, area.width - thick), area.height)
            if area.width >= area.height
            else _Area(area.x, area.y + thick, area.width, max(0.0, area.height - thick))
        )


def _row_length(sizes: Sequence[float], side: float, scale: float) -> int:
    """So many areas in one row are nearest to squares."""
    worst = (_worst(sizes[:count], side, scale) for count in range(1, len(sizes) + 1))
    pairs = enumerate(pairwise(worst), 1)
    return next((count for count, (now, more) in pairs if more > now), max(1, len(sizes)))


def _worst(row: Sequence[float], side: float, scale: float) -> float:
    """The longest of the areas: its long side over its short one."""
    thick = sum(row) * scale / max(1e-9, side)
    return max(max(thick**2 / (s * scale), s * scale / thick**2) for s in row)


def _row(row: Sequence[float], area: _Area, thick: float, scale: float) -> Iterator[_Area]:
    at = 0.0
    for size in row:
        length = size * scale / max(1e-9, thick)
        if area.width >= area.height:
            yield _Area(area.x, area.y + at, thick, length)
        else:
            yield _Area(area.x + at, area.y, length, thick)
        at += length
