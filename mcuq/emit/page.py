"""A page of HTML: one file that asks for nothing from elsewhere and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from mcuq.draw.html import cell
from mcuq.draw.svg import COLOURS, Picture
from mcuq.files import assets


@dataclass(frozen=True)
class Table:
    """A column whose name begins with # holds numbers; ``folded``: shown when it is asked for."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """``lines``: sentences before the pictures; ``commands``: to copy, a line each."""

    title: str
    lines: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """``figures``: the few numbers at the top, each with its name."""

    title: str
    lead: str
    figures: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """The page as text; all of its words are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.folder("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    return environment.get_template("report.html.j2").render(page=page, colours=COLOURS)
