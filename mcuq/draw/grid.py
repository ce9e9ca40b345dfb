"""A matrix of counts, such as how often one class was taken for another."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.draw.svg import Picture, line, rect, text

LEFT, TOP = 56, 40
WIDTH = 504
WRITTEN = 16
"""Up to so many columns the counts themselves are written."""


def grid(
    title: str,
    told: str,
    counts: Sequence[Sequence[int]],
    across: str,
    down: str,
    width: float = WIDTH,
) -> Picture:
    """``counts[row][column]``; those off the diagonal have another colour."""
    size = len(counts)
    cell = min(40.0, (width - LEFT - 8) / max(1, size))
    each = max(1, round(18 / cell))
    body = [text(LEFT, 14, f"{across} →", "mute"), text(0, TOP - 6, f"{down} ↓", "mute")]
    for row, values in enumerate(counts):
        most = max(1, *values)
        y = TOP + cell * row
        if row % each == 0:
            body.append(text(LEFT - 6, y + cell / 2 + 4, str(row), "mute small", "end"))
            body.append(text(LEFT + cell * (row + 0.5), TOP - 6, str(row), "mute small", "middle"))
        body += [
            _cell(LEFT + cell * column, y, cell, count, count / most, (row, column))
            for column, count in enumerate(values)
            if count
        ]
        if size <= WRITTEN:
            body += [
                text(LEFT + cell * (c + 0.5), y + cell / 2 + 4, str(count), "small", "middle")
                for c, count in enumerate(values)
                if count
            ]
    edge = cell * size
    for at in (0.0, edge):
        body.append(line(LEFT, TOP + at, LEFT + edge, TOP + at))
        body.append(line(LEFT + at, TOP, LEFT + at, TOP + edge))
    return Picture(
        *(title, told, LEFT + edge + 8, TOP + edge + 8, "".join(body)),
        lambda other: grid(title, told, counts, across, down, min(other, WIDTH)),
    )


def _cell(x: float, y: float, size: float, count: int, share: float, place: tuple[int, int]) -> str:
    """A square in its cell, as large as its share of the row."""
    side = size * max(0.25, share**0.5)
    gap = (size - side) / 2
    told = f"{place[0]} taken for {place[1]}: {count}"
    kind = "tc" if place[0] == place[1] else "tb"
    return rect(x + gap, y + gap, side, side, kind, told)
