"""Curves over one axis, such as time, and marks on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcuq.draw.svg import KINDS, Picture, legend, line, number, path, text, width_of

LEFT, TOP, BOTTOM = 44, 46, 30
TICKS = 8


@dataclass(frozen=True, eq=False)
class Curve:
    """``x``, ``y``: as many numbers each, x ascending."""

    name: str
    x: Any
    y: Any


@dataclass(frozen=True)
class Mark:
    """A line at ``x``, with a word above."""

    x: float
    word: str


def curves(
    title: str,
    told: str,
    rows: Sequence[Curve],
    marks: Sequence[Mark] = (),
    unit: str = "",
    width: float = 900,
    height: float = 220,
) -> Picture:
    """All curves over one range of x, and of y from the least of all and 0 to the largest.

    ``unit``: what x is, written at its end.
    """
    left, right = min(float(r.x[0]) for r in rows), max(float(r.x[-1]) for r in rows)
    low = min(0.0, *(float(min(r.y)) for r in rows))
    high = max(float(max(r.y)) for r in rows)
    across = (width - LEFT - 12) / ((right - left) or 1.0)
    up = height / ((high - low) or 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - left) * across, TOP + (high - y) * up

    bottom = TOP + height
    body = [legend(tuple(r.name for r in rows), LEFT, 14, width)]
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        _, y = place(left, value)
        body += [line(LEFT, y, width - 12, y), text(LEFT - 6, y + 4, f"{value:.2g}", "mute", "end")]
    for index in range(TICKS + 1):
        value = left + (right - left) * index / TICKS
        x, _ = place(value, low)
        body += [text(x, bottom + 16, f"{value:.1f}", "mute small", "middle")]
    body += [text(width - 12, bottom + 28, unit, "mute small", "end")]
    for mark in marks:
        x, _ = place(mark.x, low)
        shift = min(0.0, width - x - width_of(mark.word))
        body += [line(x, TOP - 6, x, bottom, "grid"), text(x + shift, TOP - 10, mark.word, "small")]
    for kind, row in zip(KINDS, rows, strict=False):
        points = (place(float(x), float(y)) for x, y in zip(row.x, row.y, strict=True))
        d = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        body.append(path(d, f"curve s{kind}"))
    return Picture(
        *(title, told, width, bottom + BOTTOM + 4, "".join(body)),
        lambda other: curves(title, told, rows, marks, unit, other, height),
    )
