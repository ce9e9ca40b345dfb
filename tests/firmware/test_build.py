from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import ENTRY, FILES, affine, with_kernel

from mcuq.emulate import qemu
from mcuq.errors import DataError, FitError, ToolError
from mcuq.firmware import elf
from mcuq.firmware import image as build
from mcuq.firmware.harness import Vector, linker_script, model_header, selftest
from mcuq.targets import boards
from mcuq.targets.boards import Region


def test_the_header_holds_the_models_buffers_and_its_call() -> None:
    text = model_header(ENTRY, bytes(range(16)))
    assert "static int8_t model_arena[8]" in text
    assert "tiny_run(model_arena, (void *)model_in_0, (void *)model_out_0)" in text


@pytest.mark.parametrize("vectors", [[], [Vector((b"1234567",), (bytes(8),))]])
def test_a_selftest_refuses_vectors_that_do_not_fit(vectors: list[Vector]) -> None:
    with pytest.raises(DataError):
        selftest(ENTRY, vectors)


def test_the_linker_script_has_the_boards_regions() -> None:
    board = replace(boards.load("microbit"), vectors=Region(0x100, 0x40))
    text = linker_script(board, 512)
    assert "FLASH (rx) : ORIGIN = 0x00000000, LENGTH = 0x40000" in text
    assert "VECTORS (rx) : ORIGIN = 0x00000100, LENGTH = 0x40" in text
    assert "mcuq_stack_top - 0x200" in text


def test_a_host_program_that_does_not_compile_says_why(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"gcc: .*error: unknown type name"):
        build.compile_host(with_kernel("nonsense x;"), ENTRY, tmp_path)


def test_objects_are_compiled_once(tmp_path: Path) -> None:
    build.compile_host(FILES, ENTRY, tmp_path)
    objects = {p: p.stat().st_mtime_ns for p in (tmp_path / "host" / "objects").iterdir()}
    build.compile_host(FILES, ENTRY, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in objects} == objects


def test_a_changed_header_is_noticed(tmp_path: Path) -> None:
    build.compile_host(FILES, ENTRY, tmp_path)
    broken = {**FILES, "kernels/mcuq_affine.h": "#error no"}
    with pytest.raises(ToolError, match="#error no"):
        build.compile_host(broken, ENTRY, tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps2_an386", "riscv32_virt"])
def test_sizes_are_the_models_alone(name: str, tmp_path: Path) -> None:
    """The sum over the symbols that the model reaches, up to alignment between them."""
    image = build.compile_image(FILES, ENTRY, boards.load(name), tmp_path, "plain")
    sizes = image.sizes
    assert sizes is not None
    alone = elf.read(tmp_path / name / "alone" / "tiny.elf")
    symbols = sum(s.size for s in alone.symbols if s.kind != "other")
    assert sizes.flash == sizes.code + sizes.constants
    assert symbols <= sizes.flash <= symbols + 64
    assert 4 <= sizes.constants <= 16
    assert sizes.ram == ENTRY.arena
    assert sizes.flash < image.image_flash


@pytest.mark.emulated
def test_statics_count_as_ram_and_initial_values_as_flash_too(tmp_path: Path) -> None:
    board = boards.load("mps2_an386")
    before = build.compile_image(FILES, ENTRY, board, tmp_path / "a", "plain").sizes
    statics = (
        "static int8_t kept[100], set[40] = {1}; kept[length] += set[length]++; out[0] = in[0];"
    )
    body = f"{statics} out[1] = kept[length];"
    after = build.compile_image(with_kernel(body), ENTRY, board, tmp_path / "b", "plain").sizes
    assert before is not None
    assert after is not None
    assert after.ram - before.ram == 140
    assert after.constants == 40


@pytest.mark.emulated
def test_a_division_counts_with_its_library_function(tmp_path: Path) -> None:
    """Cortex-M0 has no divide instruction: libgcc's function is the model's, not the harness's."""
    image = build.compile_image(FILES, ENTRY, boards.load("microbit"), tmp_path, "plain")
    alone = elf.read(tmp_path / "microbit" / "alone" / "tiny.elf")
    assert "__aeabi_idiv" in {symbol.name for symbol in alone.symbols}
    assert image.sizes is not None
    assert image.sizes.code > 400


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("flash", "ram", "reason"),
    [
        (0x100, 0x4000, "bytes more than the 256 bytes of flash"),
        (0x4000, 0x500, "tiny and 2048 bytes of stack do not fit the 1280 bytes of ram"),
        (0x4000, 0x10, "bytes more than the 16 bytes of ram"),
    ],
)
def test_a_model_that_does_not_fit(flash: int, ram: int, reason: str, tmp_path: Path) -> None:
    board = replace(
        boards.load("nucleo_f446re"),
        flash=Region(0x08000000, flash),
        ram=Region(0x20000000, ram),
    )
    entry = replace(ENTRY, arena=64)
    with pytest.raises(FitError, match=reason):
        build.compile_image(FILES, entry, board, tmp_path, "fits")


@pytest.mark.emulated
def test_fits_is_linked_for_the_boards_own_memory(tmp_path: Path) -> None:
    board = boards.load("nucleo_f446re")
    own = build.compile_image(FILES, ENTRY, board, tmp_path, "fits")
    assert elf.read(own.elf).address("tiny_run") >= board.flash.origin
    assert own.image_ram <= board.ram.length
    twin = build.compile_image(FILES, ENTRY, board, tmp_path, "plain")
    assert twin.machine.name == board.emulate_board


@pytest.mark.emulated
def test_images_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    board = boards.load("mps2_an386")
    vectors = [Vector((bytes(8),), (affine(bytes(8)),))]
    first, second = (
        build.compile_image(FILES, ENTRY, board, tmp_path / n, "selftest", vectors=vectors)
        for n in "ab"
    )
    assert [p.suffix for p in first.listings] == [".hex", ".bin"]
    for a, b in zip(first.listings, second.listings, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert first.listings[0].read_text().startswith(":")
    assert "tiny_run" in first.map.read_text()
    assert elf.read(first.elf).symbol("mcuq_verdict").size == 16


@pytest.mark.emulated
def test_extra_sources_are_linked_in(tmp_path: Path) -> None:
    extra = {"main.c": '#include "mcuq_model.h"\nint main(void) { MCUQ_MODEL_RUN(); return 0; }'}
    board = boards.load("mps2_an385")
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "custom", extra=extra)
    assert image.sizes is None
    assert elf.read(image.elf).symbol("main").size > 0


@pytest.mark.emulated
@pytest.mark.parametrize("place", ["a,b", "a%m", "a b"])
def test_the_path_of_the_folder_may_hold_what_linkers_give_a_meaning(
    tmp_path: Path, place: str
) -> None:
    folder = tmp_path / place
    folder.mkdir()
    qemu.run_trace(build.compile_host(FILES, ENTRY, folder), [bytes(8)], ENTRY)
    image = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), folder, "plain")
    assert "tiny_run" in image.map.read_text()
    assert sorted(tmp_path.iterdir()) == [folder]
    assert qemu.run_watermark(image) > 0
