"""Horizontal bars, one a row, of one part or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcuq.draw.svg import KINDS, Picture, fitting, legend, line, rect, text, width_of

ROW = 22
LABEL = 190
"""Pixels at most for the names of the rows, and a third of a narrow picture."""


@dataclass(frozen=True)
class Bar:
    """A row: ``parts`` lie behind each other; ``note`` stands at the end."""

    label: str
    parts: tuple[float, ...]
    note: str


def bars(
    title: str,
    told: str,
    rows: Sequence[Bar],
    names: tuple[str, ...] = (),
    width: float = 700,
    most: float | None = None,
) -> Picture:
    """``names``: what the parts are, if there are several; ``most``: the length of a whole bar."""
    top = 26 if names else 6
    label = min(LABEL, width / 3, max((width_of(r.label) for r in rows), default=0)) + 18
    note = max((width_of(r.note) for r in rows), default=0) + 10
    room = max(60, width - label - note)
    whole = most or max((sum(r.parts) for r in rows), default=0) or 1
    height = top + ROW * len(rows) + 6
    body = [legend(names, label, 16, width) if names else "", line(label, top, label, height - 6)]
    for index, row in enumerate(rows):
        y = top + ROW * index
        body.append(text(label - 8, y + 15, fitting(row.label, label - 18), "", "end"))
        body.append(_row(row, label, y, room / whole, names))
        end = label + min(room, room / whole * sum(row.parts))
        body.append(text(end + 6, y + 15, row.note, "mute"))
    return Picture(
        *(title, told, label + room + note, height, "".join(body)),
        lambda other: bars(title, told, rows, names, other, most),
    )


def _row(row: Bar, x: float, y: float, scale: float, names: tuple[str, ...]) -> str:
    found = []
    for place, part in enumerate(row.parts):
        if part > 0:
            name = f" {names[place]}" if names else ""
            told = f"{row.label}:{name} {row.note}"
            found.append(rect(x, y + 4, max(0.5, scale * part), ROW - 8, KINDS[place], told))
            x += scale * part
    return "".join(found)
