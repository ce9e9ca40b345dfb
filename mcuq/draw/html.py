"""Tables in HTML for notebooks and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcuq.draw.svg import escaped
from mcuq.errors import one_line


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a column whose name begins with # holds numbers; no names, no head."""
    numbers = [name.startswith("#") for name in columns]
    head = "".join(f"<th>{escaped(name.removeprefix('#'))}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(_cell(*pair) for pair in zip(row, numbers, strict=True))}</tr>"
        for row in rows
    )
    top = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _cell(value: object, number: bool) -> str:
    style = ' style="text-align:right"' if number else ""
    return f"<td{style}>{escaped(cell(value))}</td>"


def cell(value: object) -> str:
    """A value as people read it.

    >>> cell(1234567), cell(0.98765), cell(None)
    ('1,234,567', '0.988', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else one_line(str(value))
