"""The documentation: its snippets run, and pages that are made from the code are what it says."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from mcuq import config
from mcuq.cli import cli
from mcuq.targets import boards

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DIGITS = ROOT / "examples" / "digits.onnx"
NOTEBOOK = ROOT / "examples" / "digits.ipynb"
RUN = (
    "index.md", "concepts.md", "tutorials/digits.md", "tutorials/size-gate.md",
    "tutorials/fit-64k.md",
)  # fmt: skip
"""Pages whose python and sh blocks run; text blocks are only shown."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(name: str, kind: str) -> list[str]:
    return [b for k, b in BLOCK.findall((DOCS / name).read_text(encoding="utf-8")) if k == kind]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the first page has made: a network, and data for it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DIGITS, tmp_path)
    rows = np.random.default_rng(0).uniform(0, 1, (60, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=rows)
    np.savez(tmp_path / "test.npz", x=rows[:20], y=np.arange(20) % 10)
    return tmp_path


def run(code: str, names: dict[str, object]) -> None:
    """Python as a notebook runs it; a last expression is shown, so it must have a picture."""
    tree = ast.parse(code)
    last = tree.body[-1]
    exec(compile(tree, "<snippet>", "exec"), names)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name):
        shown = names[last.value.id]
        assert "<" in shown._repr_html_()  # type: ignore[attr-defined]
        assert len(repr(shown)) < 200


def commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "mcuq"
            yield words[1:]


@pytest.mark.emulated
@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_snippets_run(name: str, place: Path) -> None:
    names: dict[str, object] = {"__name__": name}
    for kind, block in BLOCK.findall((DOCS / name).read_text(encoding="utf-8")):
        if kind == "python":
            run(block, names)
        elif kind == "sh":
            for command in commands(block):
                done = CliRunner().invoke(cli, command)
                assert done.exit_code == 0, f"{command}: {done.output}"


@pytest.mark.emulated
@pytest.mark.slow
def test_the_notebook_runs(place: Path) -> None:
    """Its cells, in order, as a kernel would run them; it is stored without outputs."""
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert book["nbformat"] == 4
    names: dict[str, object] = {"__name__": "__main__"}
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6
    for cell in cells:
        assert cell["outputs"] == []
        run("".join(cell["source"]), names)


def test_the_configuration_that_is_shown_is_one() -> None:
    (text,) = blocks("reference/config.md", "toml")
    found = config.parse(tomllib.loads(text), "config.md")
    assert found.inputs["image"].std == (58.4, 57.1, 57.4)


def test_the_board_that_is_shown_is_one(tmp_path: Path) -> None:
    (text,) = blocks("reference/board.md", "toml")
    (tmp_path / "my_board.toml").write_text(text)
    assert boards.load(tmp_path / "my_board.toml").ram.length == 128 * 1024


def test_every_page_is_in_the_site() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert listed == pages | {"reference/cli.md", "reference/operators.md"}


def test_links_lead_somewhere() -> None:
    made = {DOCS / "reference" / name for name in ("cli.md", "operators.md")}
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            there = (page.parent / target).resolve()
            assert there.exists() or there in made, f"{page.name}: {target}"


def test_the_schema_is_what_the_code_says() -> None:
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert text == generator().report(), "run 'python docs/generate.py'"


def test_pages_of_the_site_name_every_command_and_operator() -> None:
    from mcuq.ops import OPS

    made = generator()
    text = made.command_line()
    assert [name for name in cli.commands if f"\n## mcuq {name}\n" not in text] == []
    assert text.count('| <code><span class="whole">--json</span> PATH</code> |') >= 8
    listed = made.operators()
    assert [op.name for op in OPS if f"\n## {op.name}\n" not in listed] == []
