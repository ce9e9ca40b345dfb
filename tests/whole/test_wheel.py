"""The wheel works in an environment of its own, away from the checkout."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def run(command: list[str | Path], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=dict(environment), timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def clean() -> dict[str, str]:
    """The environment without anything that leads Python to the checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, clean: dict[str, str]) -> Path:
    """Built from a copy of the checkout, in which building may leave what it likes."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = run(["git", "ls-files", "-z"], ROOT, clean).split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", "made"]
    run([sys.executable, "-m", "pip", "wheel", *options, "./source"], folder, clean)
    (made,) = (folder / "made").glob("mcuq-*.whl")
    return made


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path, clean: dict[str, str]) -> Path:
    """A new virtual environment with the wheel in it.

    Its dependencies are large: they are read from where the tests' own are, behind its packages.
    """
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", "env"], folder, clean)
    found = folder / "env" / "bin" / "python"
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    target = ["--target", str(packages), "--no-deps", "--no-index", "-q"]
    run([sys.executable, "-m", "pip", "install", *target, wheel], folder, clean)
    paths = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "dependencies.pth").write_text("\n".join(paths) + "\n")
    return found


def shipped(folder: str) -> set[str]:
    """The checkout's files below ``folder``, as the wheel names them."""
    names = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    prefix = "" if folder == "mcuq" else "mcuq/_assets/"
    return {prefix + name for name in names if (ROOT / name).is_file()}


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_files_and_nothing_else(wheel: Path) -> None:
    wanted = set().union(*map(shipped, ("mcuq", "templates", "runtime_c", "boards", "LICENSE")))
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == wanted


@pytest.mark.slow
def test_a_model_compiles_and_checks_away_from_the_checkout(
    python: Path, clean: dict[str, str], tmp_path: Path
) -> None:
    where = run([python, "-c", "import mcuq; print(mcuq.__file__)"], tmp_path, clean).strip()
    assert Path(where).is_relative_to(python.parents[1])
    (tmp_path / "digits.onnx").write_bytes((ROOT / "examples" / "digits.onnx").read_bytes())
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    mcuq: list[str | Path] = [python, "-m", "mcuq"]
    effort = ["--effort", "fast", "-o", "out"]
    run([*mcuq, "compile", "digits.onnx", "--calib", "rows.npy", *effort], tmp_path, clean)
    assert (tmp_path / "out" / "digits.c").is_file()
    program = (
        "import mcuq; (host,) = mcuq.load('out').check(on=[], vectors=8); "
        "print(host.board, host.tensors, host.mismatches)"
    )
    board, tensors, mismatches = run([python, "-c", program], tmp_path, clean).split()
    assert (board, mismatches) == ("host", "0")
    assert int(tensors) > 0


@pytest.mark.slow
def test_the_command_is_installed(python: Path, clean: dict[str, str], tmp_path: Path) -> None:
    program = "from importlib.metadata import entry_points as e; print(e(name='mcuq'))"
    assert "mcuq.__main__:main" in run([python, "-c", program], tmp_path, clean)
    assert "nucleo_f446re" in run([python, "-m", "mcuq", "boards"], tmp_path, clean)
