"""A page of HTML: one file that asks for nothing from elsewhere and runs no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from mcuq.draw.html import cell
from mcuq.draw.svg import COLOURS, Picture
from mcuq.files import assets

NARROW = 356
"""Pixels of a picture on a phone."""


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
    environment.filters["words"] = words
    template = environment.get_template("report.html.j2")
    return template.render(page=page, colours=COLOURS, narrow=NARROW)


def words(text: str) -> Markup:
    """Text whose lines do not end between a number and its unit, or within an option.

    >>> print(words("6,544 B with --effort <best>"))
    6,544&nbsp;B with <span>--effort</span> &lt;best&gt;
    """
    whole = re.sub(r"(?<=\d) (?=(?:B|[KM]iB|dB|ms|%|x)(?!\w))", "&nbsp;", str(escape(text)))
    return Markup(re.sub(r"(?<![\w-])--?[a-z][\w-]*", r"<span>\g<0></span>", whole))
