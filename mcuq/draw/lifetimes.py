"""Which bytes are in use when: steps from left to right, memory from bottom to top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcuq.draw.svg import SMALL, Picture, fitting, legend, line, rect, text, width_of

LEFT, TOP, BOTTOM = 74, 26, 34
LINE = 14
"""Pixels from one line of small text to the next."""


@dataclass(frozen=True)
class Box:
    """``size`` bytes at ``offset``, from step ``first`` to step ``last``, counted from 0."""

    label: str
    first: int
    last: int
    offset: int
    size: int
    kind: str
    note: str


def lifetimes(
    title: str,
    told: str,
    boxes: Sequence[Box],
    steps: int,
    names: tuple[str, ...],
    width: float = 700,
    height: float = 260,
) -> Picture:
    """``names``: of the colours a, b in the legend."""
    most = max((b.offset + b.size for b in boxes), default=0) or 1
    across, up = (width - LEFT - 8) / max(1, steps), height / most
    body = [legend(names, LEFT, 16, width, "t")]
    for share in (0.0, 0.5, 1.0):
        y = TOP + height * (1 - share)
        body += [line(LEFT, y, width - 8, y)]
        body += [text(LEFT - 8, y + 4, f"{round(most * share):,} B", "mute small", "end")]
    areas, labels = [], _Labels()
    for box in sorted(boxes, key=lambda b: (-b.size, b.first, b.offset)):
        x, y = LEFT + across * box.first, TOP + height - up * (box.offset + box.size)
        wide, high = across * (box.last - box.first + 1), up * box.size
        areas.append(rect(x, y, wide, high, f"t{box.kind}", f"{box.label}: {box.note}"))
        if high >= LINE:
            labels.put(x + 4, y + high / 2 + 4, fitting(box.label, (wide - 8) / SMALL))
    body += [*areas, *labels.shown, *_steps(steps, across, height)]
    return Picture(
        *(title, told, width, TOP + height + BOTTOM, "".join(body)),
        lambda other: lifetimes(title, told, boxes, steps, names, other, height),
    )


class _Labels:
    """Small labels of which none lies on another: boxes that share bytes lie on each other."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self._ends: list[tuple[float, float, float]] = []

    def put(self, x: float, y: float, label: str) -> None:
        """Show ``label``, if there is one and there is room for it."""
        end = x + SMALL * width_of(label)
        if label and not any(x < e and s < end and abs(y - at) < LINE for s, e, at in self._ends):
            self._ends.append((x, end, y))
            self.shown.append(text(x, y, label, "small"))


def _steps(count: int, across: float, height: float) -> list[str]:
    """The numbers of the steps, as many as there is room for."""
    each = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if n * across >= 22)
    y = TOP + height + 14
    shown = [
        text(LEFT + across * (i + 0.5), y, str(i + 1), "mute small", "middle")
        for i in range(count)
        if (i + 1) % each == 0 or i == 0
    ]
    return [*shown, text(LEFT, y + 15, "step", "mute small")]
