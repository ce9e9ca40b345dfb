"""One #warning of a model's C where its compiler's target is not what kernels were chosen for."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

import c_programs
import numpy as np
import pytest

from mcuq.config import Config
from mcuq.files import temporary
from mcuq.firmware import toolchain
from mcuq.flows.compile import compile_model
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards
from mcuq.targets.cores import FAMILIES

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
CLANG = ("clang", "--target=arm-none-eabi")
ALIGNED, ANYWHERE = "-mno-unaligned-access", "-munaligned-access"


@functools.cache
def digits(core: str | None) -> Compiled:
    if core:
        return generate(digits(None).bundle, boards.load(core))
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    return compile_model(DIGITS, calibration=rows, config=Config(quantize={"effort": "fast"}))


def warnings(core: str | None, target: str, *flags: str, clang: bool = False) -> list[str]:
    """What compiling digits for ``target``, with the kernels of ``core``, warns of."""
    board, files = boards.load(target), digits(core).files
    with temporary() as folder:
        c_programs.write(files, folder)
        headers = f"-isystem{toolchain.library_headers(board.toolchain)}"
        gcc = (f"{board.toolchain}-gcc", *FAMILIES[board.toolchain].specs)
        compiler = (*CLANG, headers) if clang else gcc
        command = [*compiler, *board.flags, *(flags or ("-O2",)), "-std=c99", "-fsyntax-only"]
        done = subprocess.run([*command, "digits.c"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return re.findall(r"warning: .*?(digits: [^\"\]]+[^\"\] ])", done.stderr)


SLOW = "digits: without optimization kernels take many times their instructions: give it -O2"
LACKS = "digits: kernels for cortex-m4, but this target lacks DSP: use mcuq retarget"
APART = "digits: without unaligned access slower C runs: give the compiler -munaligned-access"


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("core", "target", "flags", "expected"),
    [
        ("cortex-m4", "cortex-m4", (), ""),
        ("cortex-m4", "cortex-m7", (), ""),
        ("cortex-m4", "cortex-m4", ("-O0",), ""),
        ("cortex-m4", "cortex-m0", (), LACKS),
        ("cortex-m4", "rv32imc", (), LACKS),
        ("cortex-m4", "cortex-m4", ("-O2", ALIGNED), APART),
        ("cortex-m4", "cortex-m55", (), r"cortex-m4 take about \d.\d x the cycles of cortex-m55's"),
        ("cortex-m55", "cortex-m33", (), "cortex-m55, but this target lacks MVE"),
        ("cortex-m55", "cortex-m55", (), ""),
        (None, "cortex-m55", (), r"any core take about \d+.\d x the cycles of cortex-m55's own"),
        (None, "cortex-m33", (), r"any core take about \d.\d x the cycles of cortex-m4's own"),
        (None, "cortex-m3", (), ""),
        (None, "cortex-m0", (), ""),
        (None, "rv32imc", (), ""),
    ],
)
def test_gcc_warns_once(
    core: str | None, target: str, flags: tuple[str, ...], expected: str
) -> None:
    found = warnings(core, target, *flags)
    assert len(found) == bool(expected)
    assert all(re.search(expected, text) for text in found)
    quiet = (*(flags or ("-O2",)), "-DMCUQ_NO_TARGET_WARNING", "-Werror")
    assert warnings(core, target, *quiet) == []


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("core", "target", "flags", "expected"),
    [
        ("cortex-m4", "cortex-m4", ("-O2", ANYWHERE), []),
        ("cortex-m4", "cortex-m4", ("-O2",), [APART]),
        ("cortex-m4", "cortex-m4", ("-O0", ANYWHERE), [SLOW]),
        ("cortex-m0", "cortex-m0", ("-O0",), [SLOW]),
        ("cortex-m0", "cortex-m0", ("-Os",), []),
    ],
)
def test_clang_warns_once(
    core: str, target: str, flags: tuple[str, ...], expected: list[str]
) -> None:
    """It has no pragma for the level, and assumes that words are aligned unless told otherwise."""
    assert warnings(core, target, *flags, clang=True) == expected


def test_only_the_model_warns() -> None:
    for core in (None, "cortex-m55"):
        files = digits(core).files
        assert [name for name, text in files.items() if "#warning" in text] == ["digits.c"]


def test_this_computer_is_no_target(tmp_path: Path) -> None:
    """Tests of firmware on a desk warn of nothing, whatever the kernels and the level."""
    for core in (None, "cortex-m55"):
        folder = c_programs.write(digits(core).files, tmp_path / str(core))
        for compiler in ("gcc", "clang"):
            command = [compiler, "-O0", "-Werror", "-std=c99", "-I.", "-fsyntax-only", "digits.c"]
            c_programs.run(command, folder)
