"""Does it fit? What is decided before anything is built, against what the linker makes of it."""

from __future__ import annotations

import functools
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx_models
import pytest
import random_networks

from benchmarks import kernel_sizes
from mcuq.config import Config
from mcuq.emulate import stack
from mcuq.errors import FitError, McuqError
from mcuq.firmware import image as build
from mcuq.flows.compile import compile_model
from mcuq.kernels import sizes
from mcuq.model.compiled import Compiled, generate
from mcuq.program import fit
from mcuq.targets import boards, cores
from mcuq.targets.boards import Region

CORES = ("mps2_an385_m0", "mps2_an385", "mps2_an386", "mps3_an547", "riscv32_virt")
SEEDS = (0, 1, 2, 7)
BOARD = boards.load("mps2_an386")


@functools.cache
def compiled(seed: int) -> Compiled:
    proto = random_networks.model(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(proto, Path(folder))
        rows = random_networks.inputs(seed, proto)
        return compile_model(path, calibration=rows, config=Config(quantize={"effort": "fast"}))


def needs(seed: int = 0) -> tuple[Compiled, dict[str, int]]:
    made = generate(compiled(seed).bundle, BOARD)
    return made, fit.estimate(made.program, made.plan, BOARD)


def test_the_kernels_sizes_are_those_of_the_kernels() -> None:
    """After a change of a kernel: python -m benchmarks.kernel_sizes."""
    table = json.loads(sizes.FILE.read_text())
    assert table.pop("sources") == kernel_sizes.sources()
    assert set(table) == set(cores.CORES)
    assert all(set(core) == set(kernel_sizes.sources()) for core in table.values())


@pytest.mark.emulated
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CORES)
def test_estimates_are_near_and_never_below(name: str, seed: int, tmp_path: Path) -> None:
    """Flash up to 10 % and 1 KiB above what is linked: library code that kernels share counts
    for each of them, and a call's code is rounded up. The arena is exact, the stack a bound.
    """
    board = boards.load(name)
    made = generate(compiled(seed).bundle, board)
    estimate = fit.estimate(made.program, made.plan, board)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "plain")
    assert image.sizes is not None
    assert image.sizes.flash <= estimate.flash <= 1.1 * image.sizes.flash + 1024
    assert image.sizes.ram == max(1, estimate.ram)
    worst = stack.worst_case(image).bytes
    assert worst <= estimate.stack <= worst + 256


@pytest.mark.parametrize("memory", ["flash", "ram"])
def test_the_last_byte_decides(memory: str) -> None:
    made, estimate = needs()
    exact = estimate.flash
    if memory == "ram":
        exact = estimate.ram + estimate.stack + estimate.io
    enough, less = (
        replace(BOARD, **{memory: Region(0x20000000, size)}) for size in (exact, exact - 1)
    )
    assert fit.check(made.program, made.plan, enough) == estimate
    assert generate(compiled(0).bundle, enough).report.boards[BOARD.name] == estimate
    with pytest.raises(FitError) as refused:
        generate(compiled(0).bundle, less)
    assert f" {'RAM' if memory == 'ram' else 'flash'}, " in str(refused.value)


def test_the_sentence_names_what_is_over_and_by_how_much() -> None:
    made, _ = needs()
    small = replace(BOARD, flash=Region(0, 1024), ram=Region(0x20000000, 256))
    with pytest.raises(McuqError) as refused:
        fit.check(made.program, made.plan, small)
    flash, ram = str(refused.value).splitlines()
    number = r"\d+(\.\d)? (B|KiB)"
    for line, kind, has, largest in (
        (flash, "flash", "1.0 KiB", rf"\S.* weights {number}"),
        (ram, "RAM", "256 B", rf"\S.* {number}"),
    ):
        pattern = (
            rf"\w+: needs {number} {kind}, mps2_an386 has {has} "
            rf"\(over by {number}\); largest: {largest}\. "
            "Choose a larger board or a smaller network\\."
        )
        assert re.fullmatch(pattern, line), line


@pytest.mark.emulated
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_what_is_said_to_fit_links(seed: int, tmp_path: Path) -> None:
    """With nothing but startup code around it, for which the linked image is given 1 KiB more."""
    made, estimate = needs(seed)
    spare = 1024
    board = replace(
        BOARD,
        flash=Region(BOARD.flash.origin, (estimate.flash + spare) // 4 * 4),
        ram=Region(
            BOARD.ram.origin, (estimate.ram + estimate.stack + estimate.io) // 4 * 4 + spare
        ),
        stack=(estimate.stack + 7) // 8 * 8,
    )
    build.compile_image(made.files, made.entry, board, tmp_path, "fits")
