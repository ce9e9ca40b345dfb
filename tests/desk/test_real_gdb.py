"""What mcuq does by gdb's protocol, done by gdb itself: the same image and board, equal bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from desks import debugged
from tiny_model import ENTRY, FILES, affine

from mcuq.desk.place import parse
from mcuq.firmware import harness
from mcuq.firmware import image as build
from mcuq.targets import boards
from mcuq.targets.cores import ARM, CORES

VECTOR = bytes([127, 128, 255, 1, 64, 192, 2, 3])

START = """
set $sp = &mcuq_stack_top
{xpsr}
set $pc = &mcuq_reset
"""
# Arguments of mcuq_desk_stop: the step, and where its tensor lies, and its size.
SESSION = """
tbreak mcuq_semihost_probe
continue
set {{int}} &mcuq_semihost_present = 0
tbreak mcuq_desk_stop
set $pc = {back}
continue
restore {vector} binary &{buffer}
set {{int}} &mcuq_desk_quiet = 0
tbreak mcuq_desk_stop
set $pc = {back}
continue
dump binary memory {folder}/first {data} {data}+{size}
tbreak mcuq_desk_stop
set $pc = {back}
continue
dump binary memory {folder}/second {data} {data}+{size}
"""
ARGUMENTS = {
    True: {"back": "$lr & ~1", "data": "$r1", "size": "$r2", "xpsr": "set $xpsr = 0x01000000"},
    False: {"back": "$ra", "data": "$a1", "size": "$a2", "xpsr": ""},
}


def gdb(where: str, elf: Path, script: str, folder: Path) -> str:
    """What gdb prints of a script; its errors end it."""
    program = shutil.which("gdb-multiarch")
    assert program, "no gdb-multiarch: run 'make packages'"
    place = parse(where)
    (folder / "script").write_text(
        f"set confirm off\nset pagination off\ntarget extended-remote {place.host}:{place.port}\n"
        f"{script}\nkill\n"
    )
    command = [program, "-nx", "-batch", "-x", folder / "script", elf]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an386", "microbit", "sifive_e"])
def test_gdb_runs_the_image_and_finds_the_same_tensors(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "gdb")
    words = ARGUMENTS[CORES[board.cpu].family is ARM]
    (tmp_path / "vector").write_bytes(VECTOR)
    (buffer,) = harness.symbols(ENTRY.inputs, "in")
    places = {"folder": tmp_path, "vector": tmp_path / "vector", "buffer": buffer}
    script = "load\n" + (START + SESSION).format(**words, **places)
    with debugged(name, tmp_path) as (where, _):
        gdb(where, image.elf, script, tmp_path)
    found = [(tmp_path / file).read_bytes() for file in ("first", "second")]
    assert found == [VECTOR, affine(VECTOR)]


@pytest.mark.emulated
def test_the_verdict_of_a_self_test_is_read_as_the_page_says(tmp_path: Path) -> None:
    """docs/board.md: a board that runs the image by itself, and gdb looks once it is done."""
    vectors = [harness.Vector((VECTOR,), (affine(VECTOR),))]
    board = boards.load("mps2_an386")
    image = build.compile_image(FILES, ENTRY, board, tmp_path, "selftest", vectors=vectors)
    page = (Path(__file__).parents[2] / "docs" / "board.md").read_text()
    look = "print *(char(*)[4])&mcuq_verdict"
    assert f'-ex "{look}"' in page
    run = (
        f"load\n{START.format(**ARGUMENTS[True])}break mcuq_semihost_command_line\ncontinue\n{look}"
    )
    with debugged("mps2_an386", tmp_path) as (where, _):
        assert '$1 = "PASS"' in gdb(where, image.elf, run, tmp_path)
