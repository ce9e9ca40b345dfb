"""Tables that fit a terminal: columns give way, numbers stay whole.

Marks before a column's name say what it may do: ``#`` holds numbers, which are right-aligned and
never cut; ``?`` may be left out, the last one first, and ``??`` before that; ``!`` holds names that
are worth more than those; ``~`` holds sentences, and those that are not shown whole stand below the
table. Other text is cut in its middle, the first column last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

BORDER = 1
PADDING = 3
"""Characters of the frame: before the first column, and for each."""

NAME, TEXT, SENTENCE = 24, 12, 40
"""Down to how many characters the first column, other text and sentences are cut."""

LEAST = 6
"""To how many where nothing else is left to give way."""


@dataclass(frozen=True)
class Column:
    """``width``: of its cells; a heading may take several lines. ``least``: it may be cut to."""

    heading: str
    marks: str
    width: int
    least: int
    cells: tuple[str, ...]

    @property
    def number(self) -> bool:
        return "#" in self.marks


@dataclass(frozen=True)
class Layout:
    """The columns that are shown, their cells cut; ``dropped``: the headings of the others.

    ``below``: the sentences that are not shown whole, a line each.
    """

    columns: tuple[Column, ...]
    dropped: tuple[str, ...]
    below: tuple[str, ...]


def arrange(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Layout:
    """The layout of ``rows`` under ``names`` in ``width`` characters."""
    columns = [_column(i, name, tuple(row[i] for row in rows)) for i, name in enumerate(names)]
    left = dict(enumerate(columns))
    for i in _order(columns):
        if _total(c.least for c in left.values()) > width:
            del left[i]
    left = {
        i: replace(c, least=min(c.least, TEXT)) if "!" in c.marks else c for i, c in left.items()
    }
    for i in sorted(range(1, len(columns) - 1), key=lambda i: (columns[i].number, -i)):
        if i in left and _total(c.least for c in left.values()) > width:
            del left[i]
    shown = dict(zip(left, _narrowed(list(left.values()), width), strict=True))
    gone = [c for i, c in enumerate(columns) if i not in left]
    return Layout(
        tuple(shown.values()),
        tuple(c.heading for c in gone if "~" not in c.marks or "?" in c.marks),
        tuple(
            f"{columns[0].cells[row]}: {text}"
            for i, c in enumerate(columns)
            if "~" in c.marks and "?" not in c.marks
            for row, text in enumerate(c.cells)
            if text and (i not in shown or shown[i].cells[row] != text)
        ),
    )


def _order(columns: Sequence[Column]) -> list[int]:
    """The columns that may be left out, those of least worth first."""
    able = [i for i, c in enumerate(columns) if "?" in c.marks or "~" in c.marks]
    return sorted(able, key=lambda i: (-columns[i].marks.count("?"), -i))


def _column(index: int, name: str, cells: tuple[str, ...]) -> Column:
    marks = name[: len(name) - len(name.lstrip("#?!~"))]
    heading = name[len(marks) :]
    widest = max((*map(len, cells), _longest_word(heading)))
    most = NAME if index == 0 else SENTENCE if "~" in marks else TEXT
    whole = "#" in marks or "!" in marks or "?~" in marks
    least = widest if whole else min(widest, most)
    return Column(heading, marks, widest, least, cells)


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _total(widths: Iterable[int]) -> int:
    return BORDER + sum(width + PADDING for width in widths)


def _narrowed(columns: list[Column], width: int) -> list[Column]:
    """The columns with the widest texts cut, as far as needed."""
    widths = [max(c.width, len(c.heading)) for c in columns]
    if _total(widths) <= width:
        return [_cut(column, new) for column, new in zip(columns, widths, strict=True)]
    widths = [c.width for c in columns]
    texts = [i for i, c in enumerate(columns) if not c.number]
    for floors in ([c.least for c in columns], [LEAST] * len(columns)):
        while _total(widths) > width:
            able = [i for i in texts if widths[i] > floors[i]]
            others = [i for i in able if i > 0] or able
            if not able:
                break
            widths[max(others, key=lambda i: (widths[i], i))] -= 1
    return [_cut(column, new) for column, new in zip(columns, widths, strict=True)]


def _cut(column: Column, width: int) -> Column:
    heading = " ".join(cut(word, width) for word in column.heading.split())
    cells = tuple(cut(cell, width) for cell in column.cells)
    return replace(column, heading=heading, width=width, cells=cells)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters, its middle left out.

    >>> cut("mcuq_conv2d_s8_dsp_winograd", 14)
    'mcuq_co…nograd'
    """
    if len(text) <= width:
        return text
    head = width // 2
    return f"{text[:head]}…{text[len(text) - (width - head - 1) :]}"
