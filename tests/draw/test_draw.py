"""Pictures: exact places, words for those who do not see them, and no harm by hostile names."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mcuq.draw import svg
from mcuq.draw.bars import Bar, bars
from mcuq.draw.curves import Curve, Mark, curves
from mcuq.draw.graph import Vertex, graph
from mcuq.draw.grid import grid
from mcuq.draw.html import table
from mcuq.draw.lifetimes import Box, lifetimes
from mcuq.draw.svg import Picture
from mcuq.draw.treemap import Tile, treemap

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("x")</script>&\n\x00\u202e"\'\ud800 漢字' + "x" * 90


def elements(picture: Picture, tag: str, kind: str = "") -> list[ElementTree.Element]:
    """Those of a class; the parser refuses what is no XML."""
    root = ElementTree.fromstring(picture.svg.encode())
    return [e for e in root.iter(f"{SVG}{tag}") if not kind or kind in e.get("class", "").split()]


def sizes(picture: Picture, tag: str, kind: str) -> list[tuple[float, ...]]:
    names = ("x", "y", "width", "height")
    return [tuple(float(e.get(n, "nan")) for n in names) for e in elements(picture, tag, kind)]


def test_curves_share_both_axes() -> None:
    """The first goes from corner to corner of the second's; a hostile mark stays inside."""
    rows = [Curve("a", [0.0, 2.0], [0.0, 4.0]), Curve("b", [1.0, 2.0], [2.0, 2.0])]
    shown = curves("T", "told", rows, [Mark(2.0, HOSTILE)], "s")
    first, second = (e.get("d", "")[1:].split("L") for e in elements(shown, "path", "curve"))
    assert first == ["44 266", "888 46"]
    assert second == ["466 156", "888 156"]
    assert [e.get("class") for e in elements(shown, "path")] == ["curve sa", "curve sb"]


def test_bars_are_as_long_as_their_values() -> None:
    rows = [Bar("a", (30.0, 10.0), "40"), Bar("b", (0.0, 20.0), "20")]
    shown = bars("T", "told", rows, ("first", "second"))
    first = [w for _, _, w, h in sizes(shown, "rect", "a") if h == 14]
    second = [w for _, _, w, h in sizes(shown, "rect", "b") if h == 14]
    assert len(first) == 1
    assert first[0] == pytest.approx(3 * second[0], abs=0.3)
    assert second[1] == pytest.approx(2 * second[0], abs=0.3)
    assert "first" in [e.text for e in elements(shown, "text")]


def test_a_treemap_has_areas_like_its_sizes_and_fills_its_room() -> None:
    tiles = [Tile(f"t{n}", n, "a", f"{n} B") for n in (6, 6, 4, 3, 2, 2, 1, 0)]
    found = sizes(treemap("T", "told", tiles, ("things",), 600, 400), "rect", "ta")[1:]
    areas = [w * h for _, _, w, h in found]
    assert areas == pytest.approx([n * 600 * 400 / 24 for n in (6, 6, 4, 3, 2, 2, 1)], rel=0.02)
    assert max(x + w for x, _, w, _ in found) == pytest.approx(600, abs=0.2)
    assert max(max(w / h, h / w) for _, _, w, h in found) < 4, "nearly squares"


def test_lifetimes_lie_where_and_when_they_are() -> None:
    boxes = [Box("x", 0, 1, 0, 100, "a", ""), Box("y", 1, 3, 100, 50, "b", "")]
    shown = lifetimes("T", "told", boxes, 4, ("tensors", "scratch"), width=482, height=150)
    (_, (x, y, w, h)), (_, other) = (sizes(shown, "rect", kind) for kind in ("ta", "tb"))
    assert (x, w, h) == (74, 200, 100)
    assert other == (174, y - 50, 300, 50)


def test_labels_do_not_lie_on_each_other() -> None:
    """Two buffers that share their bytes: one is written in place of the other."""
    boxes = [Box("input", 0, 1, 0, 100, "a", ""), Box("output", 0, 1, 0, 100, "a", "")]
    labels = [e.text for e in elements(lifetimes("T", "", boxes, 2, ()), "text", "small")]
    assert [label for label in labels if label in ("input", "output")] == ["input"]


def test_a_graph_keeps_a_lane_for_what_is_still_needed() -> None:
    """x is read by a and by the sum: b, which continues a, keeps beside it."""
    rows = [
        Vertex("x", "", (), "x", 0.0, ""),
        Vertex("a", "", ("x",), "a", 0.2, "20%"),
        Vertex("b", "", ("a",), "b", 0.2, "20%"),
        Vertex("sum", "", ("x", "b"), "s", 0.6, "60%"),
    ]
    shown = graph("T", "told", rows)
    lanes = [float(e.get("cx", "nan")) for e in elements(shown, "circle")]
    assert lanes == [8, 26, 26, 8]
    assert len(elements(shown, "path", "edge")) == 4


def test_a_grid_colours_what_is_wrong_differently() -> None:
    shown = grid("T", "told", [[5, 1], [0, 4]], "taken for", "class")
    assert [e.find(f"{SVG}title").text for e in elements(shown, "rect", "tb")] == [
        "0 taken for 1: 1"
    ]
    assert len(elements(shown, "rect", "tc")) == 2


PICTURES = {
    "bars": lambda name: bars(name, name, [Bar(name, (1.0,), name)], (name,)),
    "treemap": lambda name: treemap(name, name, [Tile(name, 3.0, "a", name)], (name,)),
    "lifetimes": lambda name: lifetimes(name, name, [Box(name, 0, 0, 0, 8, "a", name)], 1, (name,)),
    "graph": lambda name: graph(name, name, [Vertex(name, name, (name,), name, 1.0, name)]),
    "grid": lambda name: grid(name, name, [[1]], name, name),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_names_do_no_harm(kind: str) -> None:
    shown = PICTURES[kind](HOSTILE)
    assert not elements(shown, "script")
    root = ElementTree.fromstring(shown.svg.encode())
    assert {e.tag for e in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "style", "rect", "text", "line", "path", "circle", "title")
    }
    assert root.get("role") == "img"
    assert "script" in root.get("aria-label", ""), "it is told what it says"


@pytest.mark.parametrize("kind", PICTURES)
def test_nothing_comes_from_elsewhere(kind: str) -> None:
    text = PICTURES[kind]("name").svg
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme:dark" in text
    assert "url(" not in text


@pytest.mark.parametrize(
    "empty",
    [
        lambda: bars("T", "", []),
        lambda: treemap("T", "", [], ()),
        lambda: lifetimes("T", "", [], 0, ()),
        lambda: graph("T", "", []),
        lambda: grid("T", "", [], "", ""),
    ],
)
def test_nothing_to_draw_is_an_empty_picture(empty) -> None:
    ElementTree.fromstring(empty().svg)


def luminance(colour: str) -> float:
    """Of WCAG 2, relative."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [svg._LIGHT, svg._DARK], ids=["light", "dark"])
def test_text_can_be_read(colours: dict[str, str]) -> None:
    """Contrast of 4.5 on paper and on every colour that is written on; 3 for bars."""

    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(colours[a]), luminance(colours[b])))
        return (high + 0.05) / (low + 0.05)

    for ground in ("paper", "ta", "tb", "tc", "td", "te", "tf"):
        assert contrast("ink", ground) >= 4.5
        assert contrast("mute", ground) >= 4.5 or ground not in ("paper", "ta", "tb", "tc")
    assert all(contrast(kind, "paper") >= 3 for kind in svg.KINDS)


def test_a_table_is_escaped() -> None:
    text = table(("a", "#b"), [("<b>", 1234), (None, 0.5)])
    assert "<td>&lt;b&gt;</td>" in text
    assert '<td style="text-align:right">1,234</td>' in text
