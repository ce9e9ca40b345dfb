"""Generated C as a firmware engineer takes it: the same bytes every time, no warnings from any
compiler, a library by make and by CMake, a header that C++ reads.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import c_programs
import numpy as np
import onnx_models
import pytest
import random_networks
from every_kernel import EVERY_FEATURE, Every

from mcuq.config import Config
from mcuq.emulate import count, qemu
from mcuq.files import assets
from mcuq.firmware import image, toolchain
from mcuq.flows.compile import compile_model
from mcuq.measure import check, selftest
from mcuq.model import vectors
from mcuq.model.compiled import Compiled, generate
from mcuq.reference import run_int
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import FAMILIES

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits.onnx"
SEEDS = (0, 3, 9, 12)
FAST = Config(quantize={"effort": "fast"})
CROSS = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")


@functools.cache
def digits() -> Compiled:
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    return compile_model(DIGITS, calibration=rows, config=FAST)


@functools.cache
def artifacts(board: Board | None) -> dict[str, Mapping[str, str]]:
    """By name the files of the digits network and of all cases of the contract test.

    The latter hold every kernel that the core has, each with many parameters.
    """
    cpu = boards.cpu(board) if board else EVERY_FEATURE
    return {
        "digits": generate(digits().bundle, board).files,
        "operators": Every(cpu).compiled().files,
    }


HERE = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "TZ": "UTC"}
THERE = {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "2", "TZ": "Asia/Tokyo"}


def compile_in(folder: Path, seed: int, place: Mapping[str, str]) -> dict[str, bytes]:
    """What ``mcuq compile``, a process of its own, writes for a random network."""
    folder.mkdir(parents=True)
    proto = random_networks.model(seed)
    onnx_models.save(proto, folder)
    np.savez(folder / "calibration.npz", **random_networks.inputs(seed, proto))
    command = [sys.executable, "-m", "mcuq", "compile", "net.onnx", "--calib", "calibration.npz"]
    environment = {**place, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    toolchain.call(
        [*command, "--board", "mps3_an547", "-o", "out"], 100, folder, {**os.environ, **environment}
    )
    out = folder / "out"
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_the_same_input_gives_the_same_bytes(seed: int, tmp_path: Path) -> None:
    """In another folder and process, with another order of sets, locale, time zone and threads."""
    one = compile_in(tmp_path / "one", seed, HERE)
    two = compile_in(tmp_path / "another" / "folder", seed, THERE)
    assert "mcuq_model.npz" in one
    assert list(one) == list(two)
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.slow
def test_output_says_nothing_of_the_machine() -> None:
    files = {**digits().files, **artifacts(None)["operators"]}
    for name, text in files.items():
        for pattern in (r"\b20\d\d-\d\d-\d\d", r"\d\d:\d\d:\d\d", re.escape(str(ROOT)), "/tmp/"):
            assert not re.search(pattern, text), f"{name} holds {pattern}"


def test_every_file_names_its_licence_which_comes_along() -> None:
    for model in (digits().files, artifacts(None)["operators"]):
        assert model["LICENSE"] == (ROOT / "LICENSE").read_text()
        named = {n for n, t in model.items() if "SPDX-License-Identifier: Apache-2.0" in t[:50]}
        assert set(model) - named == {"LICENSE", "report.json"}


def strict(compiler: str, flags: tuple[str, ...], board: Board | None, folder: Path) -> None:
    """Compile all artifacts for a core."""
    for name, files in artifacts(board).items():
        place = c_programs.write(files, folder / name)
        command = [compiler, *flags, *c_programs.STRICT, "-I.", "-c"]
        c_programs.run([*command, *c_programs.sources(files)], place)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_host_compilers_find_nothing_to_warn_of(compiler: str, tmp_path: Path) -> None:
    strict(compiler, (), None, tmp_path)
    folder = tmp_path / "digits"
    traced = [*c_programs.STRICT, "-DMCUQ_TRACE", "-I."]
    c_programs.run([compiler, *traced, "-c", "digits.c"], folder)


@pytest.mark.emulated
@pytest.mark.parametrize("name", CROSS)
def test_cross_compilers_find_nothing_to_warn_of(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    flags = (*board.flags, *FAMILIES[board.toolchain].specs)
    strict(f"{board.toolchain}-gcc", flags, board, tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("name", CROSS)
def test_clang_finds_nothing_to_warn_of_for_any_core(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    target = {"arm-none-eabi": "arm-none-eabi", "riscv64-unknown-elf": "riscv32-unknown-elf"}
    found = c_programs.run(["arm-none-eabi-gcc", "-print-sysroot"], tmp_path).decode().strip()
    headers = ("-isystem", f"{found or '/usr'}/include/newlib")
    flags = (f"--target={target[board.toolchain]}", *board.flags, *headers, "-fsyntax-only")
    flags += ("-munaligned-access",) if "dsp" in board.features else ()
    files = artifacts(board)["operators"]
    folder = c_programs.write(files, tmp_path)
    command = ["clang", *flags, *c_programs.STRICT, "-I."]
    c_programs.run([*command, *c_programs.sources(files)], folder)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_an_input_that_nothing_reads_is_no_warning(compiler: str, tmp_path: Path) -> None:
    """Only the output depends on x: z is not read, and there is nothing in the arena."""
    nodes = [onnx_models.node("Relu", "x", "y"), onnx_models.node("Relu", "z", "aside")]
    proto = onnx_models.model(nodes, inputs={"x": (1, 4), "z": (1, 5)})
    rows = {n: onnx_models.random(8, length) for n, length in (("x", 4), ("z", 5))}
    path = onnx_models.save(proto, tmp_path, "net.onnx")
    made = compile_model(path, calibration=rows, config=FAST)
    folder = c_programs.write(made.files, tmp_path / "net")
    strict_run = [compiler, *c_programs.STRICT, "-I.", "-c", "net.c"]
    c_programs.run(strict_run, folder)
    assert [line.strip() for line in made.files["net.c"].splitlines() if "(void)" in line] == [
        "(void)arena;",
        "(void)in_z;",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_digits_is_exact_and_clean_under_the_sanitizers(compiler: str, tmp_path: Path) -> None:
    made = digits()
    program = image.compile_host(made.files, made.entry, tmp_path, True, compiler)
    rows = vectors.make(made.bundle, 20)
    traces = qemu.run_trace(program, vectors.to_bytes(made.bundle, rows), made.entry)
    assert check.compare(made, "", "", traces, run_int(made.program.qgraph, rows)).exact


def test_c_plus_plus_reads_the_headers(tmp_path: Path) -> None:
    folder = c_programs.write(digits().files, tmp_path)
    (folder / "use.cpp").write_text(
        '#include "digits.h"\n#include "digits_float.h"\n'
        "int8_t arena[DIGITS_ARENA_LEN], x[DIGITS_IN_IMAGE_LEN], y[DIGITS_OUT_LOGITS_LEN];\n"
        "float use() { digits_run(arena, x, y); return digits_out_logits_to_float(y[0]); }\n"
    )
    compilers = [name for name in ("clang++", "g++") if shutil.which(name)]
    assert compilers
    for compiler in compilers:
        c_programs.run([compiler, "-Wall", "-Wextra", "-Werror", "-c", "use.cpp"], folder)


def test_reals_become_the_integers_of_the_reference(tmp_path: Path) -> None:
    """On both sides of every tie (float32 is too coarse at a tie), beyond the ends, and NaN."""
    folder = c_programs.write(digits().files, tmp_path)
    (folder / "main.c").write_text(
        '#include "digits_float.h"\n#include <stdio.h>\n'
        "int main(void) { float real; while (fread(&real, sizeof real, 1, stdin) == 1) "
        "putchar(digits_in_image_from_float(real) & 0xff); return 0; }\n"
    )
    sanitize = ("-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    c_programs.run(["gcc", *c_programs.STRICT, *sanitize, "main.c", "-o", "main", "-lm"], folder)
    (port,) = digits().bundle.qgraph.inputs
    near = np.add.outer(np.arange(-150, 150) + 0.5, [-1e-3, 1e-3]).ravel()
    steps = np.concatenate([near, [1e30, -1e30, np.inf, -np.inf]])
    expected = np.clip(np.floor(steps + 0.5), -128, 127)
    reals = np.append((steps - port.offset[0]) * port.scale[0], np.nan).astype("<f4")
    found = c_programs.run([folder / "main"], folder, reals.tobytes())
    assert np.array_equal(np.frombuffer(found, np.int8), [*expected.astype(int), -128])


def linked_and_run(made: Compiled, library: Path, folder: Path) -> None:
    """A main program with ``library``, on known answers."""
    (folder / "main.c").write_text(c_programs.guarded_main([made.entry]))
    c_programs.run(["gcc", "-I.", "main.c", library, "-o", "main"], folder)
    known = selftest.known_answers(made)
    given = b"".join(part for vector in known for part in vector.inputs)
    expected = b"".join(part for vector in known for part in vector.outputs)
    assert c_programs.run([folder / "main"], folder, given) == expected


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_makefile_builds_the_library(compiler: str, tmp_path: Path) -> None:
    folder = c_programs.write(digits().files, tmp_path)
    c_programs.run(["make", "-s", f"CC={compiler}"], folder)
    linked_and_run(digits(), folder / "build" / "libdigits.a", folder)
    before = (folder / "build" / "libdigits.a").stat().st_mtime_ns
    c_programs.run(["make", "-s", f"CC={compiler}"], folder)
    assert (folder / "build" / "libdigits.a").stat().st_mtime_ns == before


@pytest.mark.emulated
def test_the_makefile_builds_with_a_cross_compiler(tmp_path: Path) -> None:
    folder = c_programs.write(digits().files, tmp_path)
    tools = ["CC=arm-none-eabi-gcc", "AR=arm-none-eabi-ar"]
    c_programs.run(["make", "-s", *tools, "CFLAGS=-mcpu=cortex-m4 -mthumb -O2"], folder)
    symbols = c_programs.run(["arm-none-eabi-nm", "build/libdigits.a"], folder).decode()
    assert re.search(r" T digits_run$", symbols, re.MULTILINE)


@pytest.mark.emulated
@pytest.mark.parametrize("level", ["-O0", "-Og", "-Os"])
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps2_an386", "mps3_an547"])
def test_every_kernel_builds_at_every_level(name: str, level: str, tmp_path: Path) -> None:
    """Assembly needs registers, of which less optimization leaves fewer."""
    shipped = assets.kernel_files().values()
    command = ["arm-none-eabi-gcc", *boards.load(name).flags, "-std=c99", level]
    includes = [f"-I{folder}" for folder in sorted({path.parent for path in shipped})]
    files = sorted(path for path in shipped if path.suffix == ".c")
    c_programs.run([*command, *includes, "-c", *files], tmp_path)


@pytest.mark.emulated
def test_a_debug_build_takes_the_instructions_of_an_optimised_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files of the folder at one level, as an IDE compiles them."""
    board = boards.load("mps2_an386")
    made = generate(digits().bundle, board)
    counts = {}
    for level in ("-O2", "-O0"):
        flags = tuple(level if f == "-O2" else f for f in image._MODEL_FLAGS)
        monkeypatch.setattr(image, "_MODEL_FLAGS", flags)
        plain = image.compile_image(made.files, made.entry, board, tmp_path / level, "plain")
        counts[level] = count.count_total(plain, vectors.typical(made.bundle))
        monkeypatch.undo()
    assert counts["-O2"] < counts["-O0"] < 1.1 * counts["-O2"]


def test_every_kernel_is_optimised_from_its_first_function_on(tmp_path: Path) -> None:
    """What gcc compiles without a level: the pragma stands before all code of ours."""
    shipped = assets.kernel_files().values()
    includes = [f"-I{folder}" for folder in sorted({path.parent for path in shipped})]
    for path in sorted(path for path in shipped if path.suffix == ".c"):
        text = c_programs.run(["gcc", "-O0", "-E", *includes, path], tmp_path).decode()
        first = re.search(r"^(static inline|static|void) [^;{]*\bmcuq_\w+\([^;{]*\{", text, re.M)
        assert first is not None, path.name
        assert 0 <= text.find('#pragma GCC optimize("O2")') < first.start(), path


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_make_and_cmake_have_the_last_word_on_the_level(compiler: str, tmp_path: Path) -> None:
    folder = c_programs.write(digits().files, tmp_path)
    plan = c_programs.run(["make", "-n", f"CC={compiler}", "CFLAGS=-O0 -g"], folder).decode()
    commands = [line for line in plan.splitlines() if line.startswith(compiler)]
    if shutil.which("cmake"):
        for kind in ("", "Debug", "Release"):
            options = [f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_BUILD_TYPE={kind}"]
            build = f"build{kind}"
            options += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCMAKE_C_FLAGS=-O0"]
            c_programs.run(["cmake", "-S", ".", "-B", build, *options], folder)
            listed = json.loads((folder / build / "compile_commands.json").read_text())
            commands += [entry["command"] for entry in listed]
    levels = [re.findall(r" (-O\S*)", command)[-1] for command in commands]
    assert len(levels) >= len(c_programs.sources(digits().files))
    assert set(levels) == {"-O2"}


def test_the_cmake_file_builds_the_library(tmp_path: Path) -> None:
    """It names the Makefile's sources, all of them; where CMake is installed, it builds them."""
    files = digits().files
    names = c_programs.sources(files)
    for name in ("Makefile", "CMakeLists.txt"):
        assert sorted(re.findall(r"^ *(?:SOURCES := )?([\w/]+\.c)\b", files[name], re.M)) == names
    if shutil.which("cmake"):
        folder = c_programs.write(files, tmp_path)
        c_programs.run(["cmake", "-S", ".", "-B", "build"], folder)
        c_programs.run(["cmake", "--build", "build"], folder)
        linked_and_run(digits(), folder / "build" / "libdigits.a", folder)
