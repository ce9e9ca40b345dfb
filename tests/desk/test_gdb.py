"""Images that a debugger loads, runs and reads: QEMU's gdb server, machine by machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from desks import debugged
from tiny_model import ENTRY, FILES, affine, with_kernel

from mcuq.desk import link
from mcuq.desk.gdb import GdbLink, _covering, _flash_blocks
from mcuq.desk.place import parse
from mcuq.emit.entry import StepInfo
from mcuq.errors import ToolError
from mcuq.firmware import image as build
from mcuq.firmware.elf import Segment
from mcuq.targets import boards

VECTORS = [bytes(range(8)), bytes(8), bytes([127, 128, 255, 1, 64, 192, 2, 3])]
EXPECTED = [[vector, affine(vector)] for vector in VECTORS]


@contextmanager
def linked(
    name: str, folder: Path, files: dict[str, str] = FILES, seconds: float = 20
) -> Iterator[GdbLink]:
    board = boards.load(name)
    image = build.compile_image(files, ENTRY, board, folder, "gdb")
    with (
        debugged(name, folder) as (where, _),
        closing(GdbLink(parse(where), image, seconds)) as opened,
    ):
        opened.start()
        yield opened


@pytest.mark.emulated
@pytest.mark.parametrize(
    "name", ["microbit", "mps2_an385_m0", "mps2_an386", "netduinoplus2", "mps3_an547", "sifive_e"]
)
def test_every_tensor_comes_back(name: str, tmp_path: Path) -> None:
    with linked(name, tmp_path) as board:
        assert link.trace(board, VECTORS, ENTRY) == EXPECTED
        spent = link.cycles(board, VECTORS[0], ENTRY)
        assert link.trace(board, VECTORS[:1], ENTRY) == EXPECTED[:1]
    assert spent is not None
    assert 0 < spent[0] < spent[1]


@pytest.mark.emulated
def test_a_step_is_timed_without_the_hook(tmp_path: Path) -> None:
    """40 ns a tick of SysTick, 64 ns an instruction: twice the loop is twice the ticks."""
    found = []
    for rounds in (1000, 2000):
        loop = f"for (volatile int i = 0; i < {rounds}; i++) {{}} memcpy(out, in, length);"
        with linked("mps2_an386", tmp_path / str(rounds), with_kernel(loop)) as board:
            spent = link.cycles(board, bytes(8), ENTRY)
        assert spent is not None
        found.append(spent)
    assert abs(found[0][0] - found[1][0]) <= 1
    assert found[1][1] - found[0][1] == pytest.approx(1000 * 6 * 1.6, rel=0.05)


@pytest.mark.emulated
def test_a_board_that_holds_the_image_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), tmp_path, "gdb")
    with debugged("mps2_an386", tmp_path) as (where, _):
        for expected in (True, False):
            with closing(GdbLink(parse(where), image)) as board:
                assert board._load() is expected
                board.start()
                assert link.trace(board, VECTORS[:1], ENTRY) == EXPECTED[:1]


FAULTY = {
    "an endless loop": ("for (;;) {}", "does not end a step within 1 s; it is at 0x"),
    "a fault": ("*(volatile int *)0xdffffffc = 0; __builtin_trap();", "took a fault at 0x"),
}


@pytest.mark.emulated
@pytest.mark.parametrize("kind", FAULTY)
@pytest.mark.parametrize("name", ["mps2_an386", "riscv32_virt"])
def test_what_goes_wrong_on_the_board_is_one_line(kind: str, name: str, tmp_path: Path) -> None:
    body, words = FAULTY[kind]
    with (
        linked(name, tmp_path, with_kernel(body), seconds=1) as board,
        pytest.raises(ToolError, match=words) as caught,
    ):
        link.trace(board, VECTORS, ENTRY)
    assert "mcuq_affine" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.emulated
def test_a_debugger_that_goes_away_is_one_line(tmp_path: Path) -> None:
    image = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), tmp_path, "gdb")
    with debugged("mps2_an386", tmp_path) as (where, process):
        with closing(GdbLink(parse(where), image)) as board:
            board.start()
            process.kill()
            process.wait()
            with pytest.raises(ToolError, match="ended the connection"):
                link.trace(board, VECTORS, ENTRY)
        with pytest.raises(ToolError, match="cannot be reached"):
            GdbLink(parse(where), image)


@pytest.mark.emulated
def test_other_steps_than_the_reports_are_refused(tmp_path: Path) -> None:
    with linked("mps2_an386", tmp_path) as board:
        fewer = replace(ENTRY, steps=(*ENTRY.steps, StepInfo("more", 8)))
        with pytest.raises(ToolError, match="runs other steps"):
            link.trace(board, VECTORS, fewer)


def test_the_blocks_of_flash_are_those_of_the_memory_map() -> None:
    document = b"""<memory-map><memory type="ram" start="0x20000000" length="0x100"/>
        <memory type="flash" start="0x08000000" length="0x3000">
        <property name="blocksize">0x800</property></memory></memory-map>"""
    blocks = _flash_blocks(document)
    assert [b.start for b in blocks] == [0x08000000 + i * 0x800 for i in range(6)]
    assert _covering(blocks, Segment(0x08000700, bytes(0x200))) == blocks[:2]
    assert _covering(blocks, Segment(0x20000000, bytes(4))) == []
    assert _flash_blocks(b"") == []
