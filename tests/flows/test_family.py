"""One folder for several cores: the compiler's macros choose, and each gets what it gets alone."""

from __future__ import annotations

import functools
from pathlib import Path

import c_programs
import numpy as np
import pytest
from click.testing import CliRunner

from mcuq.cli import cli
from mcuq.config import Config
from mcuq.emit import family
from mcuq.errors import FitError
from mcuq.firmware import toolchain
from mcuq.flows.compile import compile_model
from mcuq.flows.retarget import retarget
from mcuq.measure import bench, check, selftest
from mcuq.model.compiled import Compiled, generate, load_compiled
from mcuq.targets import boards
from mcuq.targets.cores import CORES, FAMILIES

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
BOARDS = "microbit,nucleo_f446re,cortex-m55,riscv32_virt,cortex-m3,arduino_nano_33_ble"
MEMBERS = ("cortex-m55", "nucleo_f446re", "cortex-m3", "riscv32_virt", "microbit")


@functools.cache
def digits() -> Compiled:
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    settings = Config(quantize={"effort": "fast"})
    return compile_model(DIGITS, calibration=rows, board=BOARDS, config=settings)


def test_there_is_a_variant_for_every_kind_of_core() -> None:
    made = digits()
    assert tuple(board.name for board in made.bundle.family) == MEMBERS
    report = made.report
    assert [row.core for row in report.family] == [
        *("cortex-m55", "cortex-m4", "cortex-m3", "rv32imc", "cortex-m0"),
    ]
    assert report.family[-1].condition == "", "the last one is for all others"
    assert sorted(report.boards) == [
        *("arduino_nano_33_ble", "microbit", "nucleo_f446re", "riscv32_virt"),
    ]
    for member in made.bundle.family:
        alone = generate(made.bundle, member)
        symbols = [step.variant.symbol for step in made.on(member).program.steps]
        assert symbols == [step.variant.symbol for step in alone.program.steps]
        kernels = {name for name in alone.files if name.startswith("kernels/")}
        assert kernels <= set(made.files)
        assert all(made.files[name] == alone.files[name] for name in kernels)


@pytest.mark.parametrize(
    ("target", "core"),
    [("cortex-m55", "cortex-m55"), ("cortex-m7", "cortex-m4"), ("cortex-m33", "cortex-m4"),
     ("cortex-m0plus", "cortex-m0"), ("rv32imac", "rv32imc"), ("cortex-m3", "cortex-m3")],
)  # fmt: skip
def test_the_compiler_chooses_as_mcuq_does(target: str, core: str, tmp_path: Path) -> None:
    """The preprocessor sees the variant of that core and no other; without a warning."""
    board, files = boards.load(target), digits().files
    assert digits().on(board).program.cpu.name == core
    folder = c_programs.write(files, tmp_path)
    tool, specs = f"{board.toolchain}-gcc", FAMILIES[board.toolchain].specs
    command = [tool, *board.flags, *specs, "-std=c99", "-O2", "-Werror", "-I."]
    toolchain.call([*command, "-M", "digits.c", "-MF", "used.d"], 60, folder)
    used = (folder / "used.d").read_text()
    names = {row.core: f"digits_{row.core.replace('-', '_')}.h" for row in digits().report.family}
    assert [c for c, name in names.items() if f" {name}" in used] == [core]
    c_programs.run([*command, "-fsyntax-only", "digits.c"], folder)


def test_this_computer_takes_the_last() -> None:
    cpus = [CORES[name].cpu(*CORES[name].options) for name in ("cortex-m55", "cortex-m4")]
    assert family.chosen(cpus, None) == 1
    assert family.chosen(cpus, CORES["cortex-m0"].cpu()) == 1
    assert family.chosen(cpus, cpus[0]) == 0


@pytest.mark.emulated
def test_every_member_is_exact_and_as_fast_as_alone(tmp_path: Path) -> None:
    folder = digits().write(tmp_path / "out")
    made = load_compiled(folder)
    several = [boards.load(name) for name in ("cortex-m55", "cortex-m7", "microbit", "rv32imac")]
    assert all(verdict.exact for verdict in check.check(made, several, 2))
    board = next(member for member in made.bundle.family if member.cpu == "cortex-m4")
    alone = generate(made.bundle, board)
    assert bench.bench(made, board).instructions == bench.bench(alone, board).instructions
    built = selftest.build_selftest(made, boards.load("nucleo_f446re"), tmp_path / "image")
    assert len(built) == 4


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_folder_is_clean_on_this_computer(compiler: str, tmp_path: Path) -> None:
    folder = c_programs.write(digits().files, tmp_path)
    sources = ["digits.c", "digits_selftest.c"]
    c_programs.run([compiler, *c_programs.STRICT, "-I.", "-fsyntax-only", *sources], folder)
    c_programs.run(["make", "-s", f"CC={compiler}"], folder)


def test_boards_of_one_kind_are_no_family(tmp_path: Path) -> None:
    folder = digits().write(tmp_path / "out")
    made = retarget(folder, "cortex-m4,nucleo_f446re,arduino_nano_33_ble")
    assert made.variants == ()
    assert sorted(made.report.boards) == ["arduino_nano_33_ble", "nucleo_f446re"]
    alone = generate(made.bundle, boards.load("cortex-m4")).files
    assert {n: t for n, t in made.files.items() if n != "report.json"} == {
        n: t for n, t in alone.items() if n != "report.json"
    }


def test_all_boards_must_be_known_and_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = digits().write(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    run(cli, ["boards", "--new", "tiny", "--from", "nucleo_f446re"])
    text = Path("tiny.toml").read_text()
    Path("tiny.toml").write_text(text.replace("length = 0x20000 ", "length = 0x1000 "))
    with pytest.raises(FitError, match="tiny has"):
        retarget(folder, "microbit,cortex-m4,tiny.toml")
    done = run(cli, ["retarget", str(folder), "--board", "microbit,cortex-m44", "-o", "new"])
    assert str(done.exception) == "cortex-m44: no such board. Did you mean 'cortex-m4'."
    assert not Path("new").exists()
    done = run(cli, ["retarget", str(folder), "--board", "microbit,cortex-m4", "-o", "new"])
    assert "new: kernels for cortex-m4, cortex-m0, of which the compiler's macros" in done.stdout
