from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import ENTRY, FILES, affine, with_kernel

from mcuq.emulate.qemu import run_outputs, run_selftest, run_trace
from mcuq.errors import DataError, ToolError
from mcuq.firmware import image as build
from mcuq.firmware.harness import Vector
from mcuq.targets import boards

VECTORS = [bytes(range(8)), bytes(8), bytes([127, 128, 255, 1, 64, 192, 2, 3])]
EXPECTED = [[vector, affine(vector)] for vector in VECTORS]
MACHINES = (
    *("microbit", "mps2_an385", "mps2_an385_m0", "mps2_an386", "mps2_an500", "mps2_an505"),
    *("mps3_an547", "stm32vldiscovery", "riscv32_virt", "sifive_e"),
)


@pytest.mark.parametrize("sanitize", [False, True])
def test_the_host_traces_every_step(sanitize: bool, tmp_path: Path) -> None:
    program = build.compile_host(FILES, ENTRY, tmp_path, sanitize=sanitize)
    assert run_trace(program, VECTORS, ENTRY) == EXPECTED
    assert run_outputs(program, VECTORS, ENTRY) == [[steps[-1]] for steps in EXPECTED]


def test_clang_gives_the_same_trace(tmp_path: Path) -> None:
    program = build.compile_host(FILES, ENTRY, tmp_path, compiler="clang")
    assert run_trace(program, VECTORS, ENTRY) == EXPECTED


def test_no_vectors_give_no_results(tmp_path: Path) -> None:
    assert run_trace(build.compile_host(FILES, ENTRY, tmp_path), [], ENTRY) == []


def test_a_vector_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    program = build.compile_host(FILES, ENTRY, tmp_path)
    with pytest.raises(DataError, match="vector 1 has 7 bytes, not 8"):
        run_outputs(program, [bytes(8), bytes(7)], ENTRY)


def test_the_sanitizer_stops_a_write_beyond_the_output(tmp_path: Path) -> None:
    files = with_kernel("out[length] = in[0];")
    program = build.compile_host(files, ENTRY, tmp_path, sanitize=True)
    with pytest.raises(ToolError, match="global-buffer-overflow"):
        run_outputs(program, [bytes(8)], ENTRY)


def test_a_trace_that_is_not_the_entrys_is_of_changed_c(tmp_path: Path) -> None:
    files = {**FILES, "tiny.c": FILES["tiny.c"].replace("(0, arena, 8)", "(0, arena, 7)")}
    with pytest.raises(ToolError, match=r"tiny: its C traces other steps .* It was changed"):
        run_trace(build.compile_host(files, ENTRY, tmp_path), [bytes(8)], ENTRY)


@pytest.mark.emulated
@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_gives_the_hosts_numbers(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "trace")
    assert run_trace(image, VECTORS, ENTRY) == EXPECTED
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "run")
    assert run_outputs(image, VECTORS, ENTRY) == [[steps[-1]] for steps in EXPECTED]


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["microbit", "mps3_an547", "sifive_e"])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_selftest_finds_a_wrong_answer(name: str, wrong: bool, tmp_path: Path) -> None:
    last = affine(VECTORS[2])
    last = last[:7] + bytes([last[7] ^ 1]) if wrong else last
    known = [Vector((VECTORS[0],), (affine(VECTORS[0]),)), Vector((VECTORS[2],), (last,))]
    board = boards.load(name)
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "selftest", vectors=known)
    assert run_selftest(image) is not wrong


@pytest.mark.emulated
def test_an_endless_loop_is_stopped(tmp_path: Path) -> None:
    files = with_kernel("volatile int8_t x = in[0]; while (x == in[0]) {} out[0] = (int8_t)length;")
    image = build.compile_image(files, ENTRY, boards.load("mps2_an386"), tmp_path, "run")
    with pytest.raises(ToolError, match="did not end within 2 s"):
        run_outputs(image, [bytes(8)], ENTRY, seconds=2)


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385", "riscv32_virt"])
def test_a_fault_names_the_function(name: str, tmp_path: Path) -> None:
    files = with_kernel("*(volatile int8_t *)0xF0000000u = in[0]; out[0] = (int8_t)length;")
    image = build.compile_image(files, ENTRY, boards.load(name), tmp_path, "run")
    with pytest.raises(ToolError, match=r"fault at 0x[0-9a-f]{8} in mcuq_affine"):
        run_outputs(image, [bytes(8)], ENTRY)


@pytest.mark.emulated
def test_an_image_for_real_memory_is_not_run_elsewhere(tmp_path: Path) -> None:
    board = boards.load("nucleo_f446re")
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "run", own_memory=True)
    with pytest.raises(ToolError, match="not emulated"):
        run_outputs(image, [bytes(8)], ENTRY)
