"""The report and the site in a browser, at two widths, light and dark: nothing is cut or pale."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser

from mcuq.config import Config
from mcuq.flows import report
from mcuq.flows.compile import compile_model

ROOT = Path(__file__).parents[2]
WIDTHS = (390, 1280)
SEEN = [(width, dark) for width in WIDTHS for dark in (False, True)]
pytestmark = pytest.mark.slow

TEXTS = """
document.querySelectorAll('details').forEach(d => d.open = true);
const rgb = c => c.match(/[\\d.]+/g).map(Number);
const solid = c => rgb(c).length < 4 || rgb(c)[3] > 0;
function light(c) {
  const [r, g, b] = rgb(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(node) {
  const at = node.getBoundingClientRect();
  const x = Math.min(innerWidth - 1, at.x + Math.min(4, at.width / 2)), y = at.y + at.height / 2;
  for (const other of document.elementsFromPoint(x, y)) {
    const style = getComputedStyle(other);
    if (other.tagName === 'rect' && solid(style.fill)) return style.fill;
    if (!(other instanceof SVGElement) || other.tagName === 'svg')
      if (solid(style.backgroundColor)) return style.backgroundColor;
  }
  return getComputedStyle(document.body).backgroundColor;
}
const found = [], kinds = 'h1,h2,p,a,dt,dd,th,td,li,summary,figcaption,pre,text';
for (const node of document.querySelectorAll(kinds)) {
  if (!node.checkVisibility() || !node.textContent.trim()) continue;
  node.scrollIntoView({block: 'center', inline: 'center'});
  const style = getComputedStyle(node), svg = node.tagName === 'text';
  const [a, b] = [light(svg ? style.fill : style.color), light(behind(node))];
  found.push([node.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return found;
"""
"""The visible texts of a page, each with its contrast as WCAG 2 defines it."""

PLACES = """
function places(node) {
  const r = node.getBoundingClientRect();
  return [r.left, r.top, r.right, r.bottom];
}
return [...document.querySelectorAll('figure svg')].filter(s => s.checkVisibility()).map(s => ({
  name: s.getAttribute('aria-label'), box: places(s),
  scale: s.getBoundingClientRect().width / s.viewBox.baseVal.width,
  texts: [...s.querySelectorAll('text')].map(t => [t.textContent, ...places(t)]),
}));
"""
"""The visible pictures of a page: where they are, how large, and where their texts are."""

WIDE = """
return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() &&
    e.getBoundingClientRect().right > innerWidth + 1 &&
    !e.closest('.scroll,pre,.md-typeset__scrollwrap,.md-sidebar,.md-search,code'))
  .map(e => e.outerHTML.slice(0, 80));
"""
"""What is cut at the right edge, and does not lie in something that scrolls."""


@pytest.fixture(scope="module")
def shown() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a compressed network, judged on labelled rows: every section is there."""
    folder = tmp_path_factory.mktemp("report")
    rows = np.random.default_rng(3).uniform(0, 1, (60, 1, 8, 8)).astype(np.float32)
    np.savez(folder / "test.npz", x=rows[:30], y=np.arange(30) % 10)
    made = compile_model(
        ROOT / "examples" / "digits.onnx",
        calibration=rows,
        board="nucleo_f446re",
        config=Config(quantize={"effort": "fast"}),
        compress="cluster:4bit",
    )
    found = report.gather(made.write(folder / "out"), data=folder / "test.npz")
    (folder / "report.html").write_text(found.html, encoding="utf-8")
    return folder / "report.html"


@pytest.mark.parametrize(("width", "dark"), SEEN)
def test_the_report_is_readable(shown: Browser, page: Path, width: int, dark: bool) -> None:
    shown.open(page, width=width, dark=dark)
    texts = shown.run(TEXTS)
    assert len(texts) > 300
    assert [(text, ratio) for text, ratio in texts if ratio < 4.5] == []
    background = shown.run("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert shown.said() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_in_the_report_is_cut_or_covered(shown: Browser, page: Path, width: int) -> None:
    shown.open(page, width=width, dark=False)
    assert shown.run("return document.documentElement.scrollWidth") == width
    assert shown.run(WIDE) == []
    pictures = shown.run(PLACES)
    assert len(pictures) == 9, "each once, for this width"
    for drawn in pictures:
        assert drawn["scale"] >= 0.95, f"letters of {drawn['name']} are small"
        left, top, right, bottom = drawn["box"]
        for text, x1, y1, x2, y2 in drawn["texts"]:
            assert x1 >= left - 1, (drawn["name"], text)
            assert y1 >= top - 1, (drawn["name"], text)
            assert x2 <= right + 1, (drawn["name"], text)
            assert y2 <= bottom + 1, (drawn["name"], text)
        assert list(covered(drawn["texts"])) == []


def covered(texts: list[tuple[str, float, float, float, float]]) -> Iterator[tuple[str, str]]:
    """Pairs of texts of which one lies on the other; a box has some room above its letters."""
    for (one, *a), (other, *b) in combinations(texts, 2):
        wide, high = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
        if wide > 1 and high > 4:
            yield one, other


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy: pages that are made from the code are made anew."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(folder / "docs")
    places = {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=folder, env=os.environ | places, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder / "build" / "site"


def test_the_site_is_readable(shown: Browser, site: Path) -> None:
    """Every page, on a phone and on a desk: nothing is cut, nothing is missing."""
    pages = sorted(site.rglob("index.html"))
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert len(pages) == len(listed)
    for page in pages:
        for width, dark in ((390, True), (1280, False)):
            shown.open(page, width=width, dark=dark)
            name = page.parent.relative_to(site)
            assert shown.run("return document.documentElement.scrollWidth") == width, name
            assert shown.run(WIDE) == [], name
            assert shown.run("return document.querySelectorAll('article h1').length") == 1, name
            scheme = shown.run("return document.body.getAttribute('data-md-color-scheme')")
            assert scheme == ("slate" if dark else "default"), name
            assert shown.said() == [], name
