"""A network from top to bottom: a row for each node, a lane for each value that is still needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcuq.draw.svg import Picture, circle, fitting, number, path, rect, text

ROW, MOST_LANES = 24, 140
"""Pixels of a row, and of all lanes side by side, which take a fifth of a narrow picture."""


@dataclass(frozen=True)
class Vertex:
    """``reads``: the outputs of others; ``cost``: a share of the whole; ``note``: it in words."""

    label: str
    detail: str
    reads: tuple[str, ...]
    output: str
    cost: float
    note: str


def graph(title: str, told: str, rows: Sequence[Vertex], width: float = 700) -> Picture:
    """The rows in an order of execution, with a bar for the cost of each."""
    lanes = _lanes(rows)
    count = max(lanes, default=0) + 1
    pitch = min(18.0, min(MOST_LANES, width / 5) / count)
    left = count * pitch + 14
    name, bar = left + 0.32 * (width - left), left + 0.72 * (width - left)
    most = max((row.cost for row in rows), default=0) or 1
    place = {row.output: i for i, row in enumerate(rows)}
    body = []
    for index, row in enumerate(rows):
        spots = [(lanes[place[n]], place[n]) for n in row.reads if n in place]
        body += [_edge(spot, (lanes[index], index), pitch) for spot in spots]
    for index, row in enumerate(rows):
        y = ROW * index + ROW / 2 + 4
        told_of = f"{row.label}: {row.detail}, {row.note}"
        body.append(circle(_x(lanes[index], pitch), y, 4.5, "a" if row.cost > 0 else "f", told_of))
        body.append(text(left, y + 4, fitting(row.label, name - left - 10)))
        body.append(text(name, y + 4, fitting(row.detail, bar - name - 10), "mute"))
        body.append(_cost(row, bar, y, (width - bar - 64) / most))
    return Picture(
        *(title, told, width, ROW * len(rows) + 8, "".join(body)),
        lambda other: graph(title, told, rows, other),
    )


def _cost(row: Vertex, x: float, y: float, scale: float) -> str:
    """A bar, and its note behind it."""
    if not row.note:
        return ""
    wide = max(1.0, scale * row.cost)
    told = f"{row.label}: {row.note}"
    return rect(x, y - 6, wide, 12, "a", told) + text(x + wide + 6, y + 4, row.note, "mute small")


def _x(lane: int, pitch: float) -> float:
    return 8 + pitch * lane


def _edge(source: tuple[int, int], target: tuple[int, int], pitch: float) -> str:
    """Down the lane of the source, and over to the target in the last row."""
    (from_lane, from_row), (to_lane, to_row) = source, target
    x1, x2 = _x(from_lane, pitch), _x(to_lane, pitch)
    y1, y2 = (ROW * row + ROW / 2 + 4 for row in (from_row, to_row))
    bend = y2 - ROW
    points = [number(v) for v in (x1, y1, bend, bend + ROW / 2, y2, x2)]
    ax, ay, by, mid, cy, cx = points
    return path(f"M{ax} {ay}V{by}C{ax} {mid} {cx} {mid} {cx} {cy}")


def _lanes(rows: Sequence[Vertex]) -> list[int]:
    """The lane of each row: that of an input which ends there, else the first that is free."""
    last = _last_rows(rows)
    free_from: list[int] = []  # by lane: the first row that may take it
    taken: dict[str, int] = {}
    found = []
    for index, row in enumerate(rows):
        ending = [taken[n] for n in row.reads if n in taken and last[n] == index]
        free = [lane for lane, start in enumerate(free_from) if start <= index]
        lane = min([*ending, *free], default=len(free_from))
        if lane == len(free_from):
            free_from.append(0)
        free_from[lane] = max(index + 1, last.get(row.output, index))
        taken[row.output] = lane
        found.append(lane)
    return found


def _last_rows(rows: Sequence[Vertex]) -> Mapping[str, int]:
    """By value, the last row that reads it."""
    return {name: index for index, row in enumerate(rows) for name in row.reads}
