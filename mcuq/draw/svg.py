"""The elements of SVG that the pictures are made of, escaped, and the one style of them all."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from mcuq.errors import one_line

CHARACTER = 7.4
"""Pixels that a character of 12 pixels takes in a wide font; a Chinese one takes two of them."""

SMALL = 10 / 12
"""Of small text."""

KINDS = "abcdef"
"""The colours: of bars, and lighter ones of areas that are written on."""

_LIGHT = {
    "ink": "#1c2127", "mute": "#59636e", "line": "#c9d1d9", "paper": "#ffffff",
    "a": "#2f6fb3", "b": "#d2761c", "c": "#2e8653", "d": "#8657b3", "e": "#a68100", "f": "#77828d",
    "ta": "#cfe2f6", "tb": "#fbdfc1", "tc": "#cdead7", "td": "#e6d8f3", "te": "#f2e4ac",
    "tf": "#e1e5e9",
}  # fmt: skip
_DARK = {
    "ink": "#e6edf3", "mute": "#b3bdc7", "line": "#3d464f", "paper": "#14181d",
    "a": "#5b9bd9", "b": "#e29445", "c": "#4fae77", "d": "#a983d2", "e": "#c9a530", "f": "#8f9aa5",
    "ta": "#1f4266", "tb": "#5f3d15", "tc": "#1d4c30", "td": "#44305c", "te": "#52450f",
    "tf": "#39424c",
}  # fmt: skip


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


COLOURS = (
    f".mcuq{{{_variables(_LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{.mcuq{{{_variables(_DARK)}}}}}"
)
"""Of everything inside an element of the class ``mcuq``."""

STYLE = (
    COLOURS
    + "svg.mcuq{background:var(--paper)}"
    + ".mcuq text{font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:var(--ink)}"
    + ".mcuq text.mute{fill:var(--mute)}.mcuq text.small{font-size:10px}"
    + ".mcuq .edge{fill:none;stroke:var(--mute);stroke-width:1.5}"
    + ".mcuq .curve{fill:none;stroke-width:1.5}"
    + ".mcuq .grid{stroke:var(--line);stroke-width:1}"
    + "".join(
        f".mcuq .{k}{{fill:var(--{k})}}"
        f".mcuq .s{k}{{stroke:var(--{k})}}"
        f".mcuq .t{k}{{fill:var(--t{k});stroke:var(--paper);stroke-width:1}}"
        for k in KINDS
    )
)


@dataclass(frozen=True)
class Picture:
    """``told``: what it shows, in words; ``body``: its elements; sizes in pixels.

    ``again``: the same in about another width, drawn for it: letters keep their size.
    """

    title: str
    told: str
    width: float
    height: float
    body: str
    again: Callable[[float], Picture]

    @property
    def svg(self) -> str:
        """As an element, which is a file as well."""
        size = f'width="{number(self.width)}" height="{number(self.height)}"'
        box = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        label = escaped(f"{self.title}. {self.told}")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mcuq" {size} {box} role="img" '
            f'aria-label="{label}"><style>{STYLE}</style>{self.body}</svg>'
        )

    def _repr_html_(self) -> str:
        return self.svg


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is as fine as any screen shows.

    >>> number(3.0), number(1.25), number(-0.01)
    ('3', '1.2', '0')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def escaped(text: str) -> str:
    """``text`` as content, or as the value of an attribute; what does not print is spelled out."""
    return html.escape(one_line(text))


def width_of(text: str) -> float:
    """About so many pixels ``text`` takes."""
    return CHARACTER * sum(_cells(c) for c in text)


def fitting(text: str, width: float) -> str:
    """``text``, its middle left out where it takes more than ``width``; empty if that is hopeless.

    >>> fitting("a long name of a layer", 60)
    'a l…ayer'
    """
    if width_of(text) <= width:
        return text
    budget = int(width / CHARACTER) - 1
    if budget < 2:
        return ""
    head = _within(text, budget // 2)
    tail = _within(text[::-1], budget - budget // 2)[::-1]
    return f"{head}…{tail}"


def _within(text: str, cells: int) -> str:
    """The beginning of ``text`` that takes at most so many cells."""
    ends = accumulate(map(_cells, text))
    return text[: sum(end <= cells for end in ends)]


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def rect(x: float, y: float, width: float, height: float, kind: str, told: str = "") -> str:
    """A rectangle; ``told`` is shown where the pointer rests."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {place} class="{kind}">{_title(told)}</rect>'


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text whose base is at ``y``."""
    place = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escaped(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    ends = (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2))
    return f'<line {" ".join(_attribute(*end) for end in ends)} class="{kind}"/>'


def path(d: str, kind: str = "edge") -> str:
    return f'<path d="{d}" class="{kind}"/>'


def circle(x: float, y: float, radius: float, kind: str, told: str = "") -> str:
    ends = " ".join(_attribute(*end) for end in (("cx", x), ("cy", y), ("r", radius)))
    return f'<circle {ends} class="{kind}">{_title(told)}</circle>'


def _attribute(name: str, value: float) -> str:
    return f'{name}="{number(value)}"'


def _title(told: str) -> str:
    return f"<title>{escaped(told)}</title>" if told else ""


def legend(names: tuple[str, ...], x: float, y: float, width: float, light: str = "") -> str:
    """The names of the first colours, in one line; ``light``: "t" for those of areas.

    It begins at ``x``, or before it where it would end behind ``width``.
    """
    long = sum(15 + width_of(name) + 18 for name in names) - 18
    x = max(0.0, min(x, width - long))
    parts = []
    for kind, name in zip(KINDS, names, strict=False):
        parts += [rect(x, y - 9, 10, 10, f"{light}{kind}"), text(x + 15, y, name, "mute")]
        x += 15 + width_of(name) + 18
    return "".join(parts)
