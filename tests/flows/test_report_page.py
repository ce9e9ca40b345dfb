"""mcuq report: one page, well formed, complete, the same bytes each time, safe with any name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from onnx_models import model, node, random, save

from mcuq.cli import cli
from mcuq.config import Config
from mcuq.flows import report
from mcuq.flows.compile import _beside, compile_model
from mcuq.measure.confusion import mixed_up, picture
from mcuq.model.bundle import load as load_bundle

BOARD = "nucleo_f446re"
SECTIONS = [
    "Verdict", "Network", "Instructions", "Arena over time", "Flash", "Error by layer and cause",
    "On your data", "Boards", "Compression", "How to reproduce",
]  # fmt: skip
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What is in a page; a tag that is not closed in its place is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def rows(count: int = 60) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 1, (count, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compressed network, so that there is something in every section."""
    digits = Path(__file__).parents[2] / "examples" / "digits.onnx"
    settings = Config(quantize={"effort": "fast"})
    made = compile_model(
        digits, calibration=rows(), board=BOARD, config=settings, compress="cluster:4bit"
    )
    return made.write(tmp_path_factory.mktemp("report") / "out")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "test.npz"
    np.savez(path, x=rows(30), y=np.arange(30) % 10)
    return path


@pytest.fixture(scope="module")
def evidence(folder: Path, data: Path) -> report.Evidence:
    return report.gather(folder, data=data)


def test_the_page_is_whole_and_well_formed(evidence: report.Evidence) -> None:
    text = evidence.html
    page = Page(text)
    assert page.headings == SECTIONS
    for shown in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(shown)
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) == 18, "nine, each for phones and for desks"
    assert all(p["role"] == "img" and len(p["aria-label"] or "") > 20 for p in pictures)
    anchors = {attrs.get("id") for tag, attrs in page.tags if tag == "section"}
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert links == {f"#{anchor}" for anchor in anchors}


def test_it_needs_nothing_from_elsewhere(evidence: report.Evidence) -> None:
    text = evidence.html
    assert not [tag for tag, _ in Page(text).tags if tag in ("script", "link", "img", "iframe")]
    assert set(re.findall(r"https?://[^\s\"<]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\son\w+=|@import|url\(", text)
    assert "default-src 'none'" in text
    assert text.count("prefers-color-scheme:dark") == 19, "the page's own and each picture's"


def test_the_same_folder_gives_the_same_bytes(
    folder: Path, data: Path, evidence: report.Evidence, tmp_path: Path
) -> None:
    out = tmp_path / "r.html"
    command = ["report", str(folder), "-o", str(out), "--data", str(data)]
    done = CliRunner().invoke(cli, [*command, "--svg", str(tmp_path / "pictures")])
    assert done.exit_code == 0, done.output
    assert out.read_text(encoding="utf-8") == evidence.html
    names = {p.stem for p in (tmp_path / "pictures").glob("*.svg")}
    assert names == set(evidence.pictures)
    assert str(folder) not in out.read_text(), "no path of this machine"
    for path in (tmp_path / "pictures").glob("*.svg"):
        ElementTree.fromstring(path.read_bytes())


def test_it_shows_what_the_report_says(evidence: report.Evidence) -> None:
    text, facts = evidence.html, evidence.compiled.report
    for step in facts.steps:
        assert f">{step.kernel}<" in text
        assert f"{step.estimated_instructions:,}" in text
    assert f"{facts.arena:,} bytes" in text
    assert facts.source_sha256 in text
    assert evidence.confusion is not None
    assert evidence.confusion.sum() == 30
    assert [evidence.confusion[i].sum() for i in range(10)] == [3] * 10
    right = np.trace(evidence.confusion) / 30
    assert evidence.evaluation is not None
    assert evidence.evaluation.int8_top1 == pytest.approx(right)
    words = Page(text).words
    assert "mcuq compile digits.onnx --calib CALIBRATION" in words
    assert "--compress cluster:4bit -o out" in words


def test_classes_that_are_mixed_up() -> None:
    counts = np.array([[8, 2, 0], [0, 9, 1], [0, 5, 5]])
    assert mixed_up(counts) == [(2, 1, 5), (0, 1, 2), (1, 2, 1)]
    shown = picture(counts)
    assert shown
    assert shown.told == (
        "22 of 30 rows right; mixed up most often: "
        "2 for 1 (5 times), 0 for 1 (2 times), 1 for 2 (1 times)"
    )
    assert picture(np.eye(41, dtype=int)) is None, "too many to see"


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    name = "</svg></style><script>alert(1)</script><img/src=x/onerror=alert(1)>&\"'"
    proto = model([node("Relu", "x", name)], inputs={"x": (1, 4)}, outputs=name)
    made = compile_model(
        save(proto, tmp_path), calibration=random(40, 4), config=Config(quantize={"effort": "fast"})
    )
    text = report.gather(made.write(tmp_path / "out")).html
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "img")]
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert "&lt;script&gt;alert(1)" in text
    for shown in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(shown)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "there is nothing to write. Pass -o report.html"),
        (["-o", "r.txt"], "is not called .html"),
        (["-o", "r.html", "--data", "none.npz"], "none.npz"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, options: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, ["report", str(folder), *options])
    assert done.exit_code == 1 or done.exception
    assert words in f"{done.output}{done.exception}"


@pytest.mark.emulated
@pytest.mark.slow
def test_what_is_measured_is_shown(folder: Path) -> None:
    found = report.gather(folder, measure=True)
    text = found.html
    assert [v.exact for v in found.verdicts] == [True, True]
    assert found.counted
    assert f"Counted in emulation on {BOARD}: {found.counted.instructions:,} in all" in text
    assert json.dumps(found.counted.instructions) not in text, "with commas"
    assert "Nothing was measured" not in text


@pytest.mark.parametrize(
    "options",
    [
        ["--prefer", "size", "--ranges", "mse", "--name", "numbers"],
        ["--bits", "16", "--weights", "blob", "--weights-version", "3"],
        ["--compress", "cluster:4bit", "--config", "own.toml"],
    ],
)
def test_what_is_said_to_reproduce_gives_the_same_bytes(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell runs the lines as they stand, but for the place of the data."""
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    shutil.copy(root / "examples" / "digits.onnx", "digits.onnx")
    np.savez("rows.npz", x=rows())
    names = ", ".join(f'"{word}"' for word in ("a 'b'", "$1", *"cdefghij"))
    text = f"[quantize]\nseed = 7\n\n[output.logits]\nlabels = [{names}]\n"
    Path("own.toml").write_text(text)
    command = ["compile", "digits.onnx", "--calib", "rows.npz", "--board", BOARD]
    done = CliRunner().invoke(cli, [*command, "--effort", "fast", *options, "-o", "first"])
    assert done.exit_code == 0, done.output
    lines = list(report.commands(load_bundle(Path("first"))))
    assert lines.pop() == "mcuq report out -o report.html"
    script = "\n".join(lines).replace("CALIBRATION", "rows.npz")
    tool = f'mcuq() {{ "{sys.executable}" -m mcuq "$@"; }}\n'
    places = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run(["sh", "-ec", tool + script], check=True, env=places, capture_output=True)
    digests = [
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
        for folder in ("first", "out")
    ]
    assert digests[0] == digests[1]


def test_what_a_shell_cannot_say_is_said() -> None:
    settings = Config(quantize={"effort": "fast", "fracs": {"conv": 4}})
    assert _beside(settings)
    assert not _beside(Config(quantize={"effort": "fast", "bits": 16}))
