"""The documentation: its snippets run, and pages that are made from the code are what it says."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import c_programs
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from cmake_projects import configured
from torch import nn

import mcuq
from mcuq import config, importers
from mcuq.cli import cli
from mcuq.passes import pipeline
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
PACKAGES = sorted(p.stem for p in (DOCS / "packages").glob("*.md") if p.stem != "index")
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


def names_of_guides() -> dict[str, object]:
    """What the guides' Python is about: a network, rows for it, and their classes."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    rows = np.random.default_rng(0).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    return {
        "network": network,
        "small": network,
        "typical": torch.from_numpy(rows),
        "batches": [(torch.from_numpy(rows), torch.arange(40) % 10)],
        "graph": pipeline.run(importers.load(DIGITS)),
        "calibration": {"image": rows.transpose(0, 2, 3, 1)},
        "cross_entropy": nn.functional.cross_entropy,
        "torch": torch,
    }


@pytest.mark.slow
def test_python_of_the_guides_runs(place: Path) -> None:
    for name in ("features.md", "quantization.md", "training.md"):
        names = names_of_guides()
        for block in blocks(name, "python"):
            exec(compile(block, name, "exec"), names)
        if name == "features.md":
            assert np.array_equal(names["q"], np.round(names["x"] * 256))  # type: ignore[operator]
        if name == "training.md":
            assert isinstance(names["model"], mcuq.Model)


def test_every_table_that_is_shown_is_one(tmp_path: Path) -> None:
    """Configurations, and parts of a board's file."""
    plain = (ROOT / "boards" / "nucleo_f446re.toml").read_text(encoding="utf-8")
    board = re.sub(r"\n\[flash_reads\].*?(?=\n\[|\Z)", "\n", plain, flags=re.DOTALL)
    seen = 0
    for page in DOCS.rglob("*.md"):
        for text in blocks(page.relative_to(DOCS).as_posix(), "toml"):
            seen += 1
            if "[memory" in text:
                continue  # a whole board, below
            if "[flash_reads]" in text:
                (tmp_path / "nucleo_f446re.toml").write_text(f"{board}\n{text}")
                assert boards.load(tmp_path / "nucleo_f446re.toml").reads
            else:
                config.parse(tomllib.loads(text), page.name)
    assert seen >= 10


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first page has compiled."""
    rows = np.random.default_rng(0).uniform(0, 1, (60, 1, 8, 8)).astype(np.float32)
    fast = config.Config(quantize={"effort": "fast"})
    made = mcuq.compile(DIGITS, calibration=rows, name="digits", board="microbit", config=fast)
    return made.write(tmp_path_factory.mktemp("first") / "digits")


def started(compiled: Path, folder: Path) -> None:
    shutil.copytree(compiled, folder / "build" / "digits")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_made_as_its_page_says(name: str, compiled: Path, place: Path) -> None:
    """Its commands run, and its C compiles with what they wrote."""
    started(compiled, place)
    page = f"packages/{name}.md"
    (lines,) = blocks(page, "sh")
    for command in commands(lines):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    assert command[command.index("--to") + 1] == name
    assert Path(command[command.index("-o") + 1]).exists()
    for number, block in enumerate(blocks(page, "c")):
        if "digits_run" in block:
            (place / f"{number}.c").write_text(block)
            compiler = ["gcc", "-fsyntax-only", "-Wall", "-Werror", "-I", place / "build/digits"]
            aligned = "-D__aligned(x)=__attribute__((aligned(x)))"
            c_programs.run([*compiler, aligned, place / f"{number}.c"], place)


def test_the_projects_of_the_cmake_page_are_built(compiled: Path, place: Path) -> None:
    started(compiled, place)
    for command in commands(*blocks("packages/cmake.md", "sh")):
        assert CliRunner().invoke(cli, command).exit_code == 0
    (project,), (main,) = (blocks("packages/cmake.md", kind) for kind in ("cmake", "c"))
    (place / "CMakeLists.txt").write_text(project)
    (place / "main.c").write_text(main)
    c_programs.run([configured(place, place / "app") / "app"], place)
    (example,) = (b for b in blocks("packages/cmake.md", "text") if "unzip" in b)
    zipfile.ZipFile("digits-1.0.0.zip").extractall()
    for line in example.splitlines()[1:]:
        shown = c_programs.run(shlex.split(line), place).decode()
    assert shown.startswith("digits: PASS")


@pytest.mark.emulated
@pytest.mark.slow
def test_the_workflows_run(place: Path) -> None:
    """The commands of both, in a repository that has what they read."""
    shutil.move("digits.onnx", "model.onnx")
    shutil.move("data.npz", "calibration.npz")
    (limits,) = blocks("ci.md", "toml")
    Path("mcuq.toml").write_text(limits)
    github, gitlab = (yaml.safe_load(text) for text in blocks("ci.md", "yaml"))
    steps = [step.get("run", "") for step in github["jobs"]["gates"]["steps"]]
    ours = [line for line in steps if line.startswith("mcuq ")]
    assert gitlab["gates"]["script"] == ours
    (first,) = (b for b in blocks("ci.md", "text") if "--json baseline.json" in b)
    (estimate,) = blocks("ci.md", "sh")
    for command in commands("\n".join([estimate, ours[0], first, *ours[1:]])):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    reports = gitlab["gates"]["artifacts"]
    for path in (reports["reports"]["junit"], *reports["paths"]):
        assert Path(path).exists()


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
    made = {DOCS / name for name in ("digits.onnx", "reference/cli.md", "reference/operators.md")}
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
