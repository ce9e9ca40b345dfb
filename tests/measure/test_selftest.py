"""``mcuq build``: the image that a person flashes first, of a good model and of a bad one."""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_networks import images, residual_network

from mcuq.emulate import qemu
from mcuq.errors import FitError, ToolError
from mcuq.files import MARK, written_files
from mcuq.files.journal import JOURNAL
from mcuq.firmware import elf, toolchain
from mcuq.firmware import image as build
from mcuq.measure import selftest
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

pytestmark = pytest.mark.emulated
BOARDS = ("microbit", "nucleo_f446re", "mps3_an547", "esp32_c3")


@functools.cache
def residual(board: str) -> Compiled:
    graph, feeds = residual_network(), {"x": images(16)}
    made = quantize(graph, feeds, Options(effort="fast"))
    bundle = Bundle(
        "residual", "r.onnx", "0" * 64, None, "balanced", graph, made, feeds_to_int(made, feeds)
    )
    return generate(bundle, boards.load(board))


def corrupted(made: Compiled) -> Compiled:
    """The first weight of the network changed in the generated C."""
    name = f"{made.entry.id}_weights.h"
    text = made.files[name]
    found = re.search(r"_weights?\[.*?\{\s*(-?\d+)", text, re.DOTALL)
    assert found is not None, text[:2000]
    value = -100 if int(found[1]) > 0 else 100
    changed = f"{text[: found.start(1)]}{value}{text[found.end(1) :]}"
    return replace(made, files={**made.files, name: changed})


@pytest.mark.parametrize("name", BOARDS)
def test_the_image_passes_and_has_all_its_files(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    made = selftest.build_selftest(residual(name), board, tmp_path / "out")
    assert [path.name for path in made] == [
        f"residual-selftest{suffix}" for suffix in (".elf", ".hex", ".bin", ".map")
    ]
    image, listing, binary, memory_map = made
    symbol = elf.read(image).symbol("mcuq_verdict")
    assert board.ram.origin <= symbol.address < board.ram.end
    assert symbol.size == 16
    stored = [s for s in elf.read(image).sections if s.allocated and s.stored]
    assert binary.stat().st_size >= sum(s.size for s in stored)
    lines = listing.read_text().splitlines()
    assert all(re.fullmatch(r":[0-9A-F]{10,}", line) for line in lines)
    assert lines[-1] == ":00000001FF"
    assert "mcuq_verdict" in memory_map.read_text()


@pytest.mark.parametrize("name", BOARDS)
def test_a_wrong_weight_fails_with_its_exit_code(name: str, tmp_path: Path) -> None:
    made = corrupted(residual(name))
    known = selftest.known_answers(made)
    image = build.compile_image(
        made.files, made.entry, boards.load(name), tmp_path, "selftest", vectors=known
    )
    assert not qemu.run_selftest(image)
    with pytest.raises(toolchain.CallFailed) as failed:
        qemu.execute(image, tmp_path)
    assert failed.value.code == 1
    assert failed.value.output.split() == ["FAIL"]


def test_the_images_belong_to_the_folder_and_are_written_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, out = boards.load("mps2_an386"), tmp_path / "out"
    made = residual("mps2_an386")
    made.write(out)
    before = sorted(out.rglob("*"))
    link, calls = os.link, []

    def full(source: Path, target: Path, **named: bool) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        link(source, target, **named)

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("os.rename", only_in_the_journal(os.rename))
    with pytest.raises(OSError, match="No space left"):
        selftest.build_selftest(made, board, out / "selftest" / board.name)
    monkeypatch.undo()
    assert sorted(out.rglob("*")) == before
    assert len(selftest.build_selftest(made, board, out / "selftest" / board.name)) == 4
    assert set(written_files(out)) == {*made.files, MARK}
    made.write(out)
    assert sorted(out.rglob("*")) == before


def only_in_the_journal(rename: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    """A rename for which there is room in the journal alone."""

    def guarded(source: Path, target: Path) -> None:
        if JOURNAL not in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    return guarded


def test_a_failing_image_is_not_written(tmp_path: Path) -> None:
    made = corrupted(residual("nucleo_f446re"))
    with pytest.raises(ToolError, match=r"nucleo_f446re: the self-test fails in emulation"):
        selftest.build_selftest(made, boards.load("nucleo_f446re"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_board_that_is_too_small_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    board = boards.load("nucleo_f446re")
    small = replace(board, ram=replace(board.ram, length=256))
    with pytest.raises(FitError, match=r"needs .* RAM, nucleo_f446re has 256 B \(over by"):
        selftest.build_selftest(residual("nucleo_f446re"), small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_emulator_that_hangs_is_stopped_with_one_line(tmp_path: Path) -> None:
    """A board whose machine never starts: QEMU waits for a debugger."""
    own = boards.load("mps2_an386")
    board = replace(own, name="waiting", emulate_command=(*own.emulate_command, "-S"))
    made = residual("mps2_an386")
    known = selftest.known_answers(made)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "selftest", vectors=known)
    with pytest.raises(ToolError) as stopped:
        qemu.run_selftest(image, seconds=2)
    assert str(stopped.value) == (
        "qemu-system-arm: did not end within 2 s and was stopped. "
        "Allow more time, or look for an endless loop."
    )


def test_known_answers_are_calibration_rows() -> None:
    made = residual("mps2_an386")
    known = selftest.known_answers(made)
    assert len(known) == selftest.VECTORS
    rows = made.bundle.vectors["x"]
    given = [np.frombuffer(v.inputs[0], np.int8).reshape(rows.shape[1:]) for v in known]
    assert np.array_equal(np.stack(given), rows[: len(known)])


@pytest.mark.parametrize("option", ["--version", "-h"])
def test_an_emulator_that_runs_nothing_does_not_pass(option: str, tmp_path: Path) -> None:
    """It ends with 0; only the image itself can repeat the word of this run."""
    own = boards.load("mps2_an386")
    board = replace(own, name="idle", emulate_command=(*own.emulate_command, option))
    made = residual("mps2_an386")
    known = selftest.known_answers(made)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "selftest", vectors=known)
    with pytest.raises(ToolError, match=r"residual \(selftest\) on idle: ended without a verdict"):
        qemu.run_selftest(image)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "run")
    with pytest.raises(ToolError, match=r"residual \(run\) on idle: ended without a result"):
        qemu.run_outputs(image, [bytes(made.entry.input_bytes)], made.entry)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "plain")
    with pytest.raises(ToolError, match=r"residual \(plain\) on idle: ended without a result"):
        qemu.run_watermark(image)


def test_exit_code_3_of_an_emulator_is_no_fault_of_a_vector_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, board = residual("mps2_an386"), boards.load("mps2_an386")
    image = build.compile_image(made.files, made.entry, board, tmp_path, "run")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "qemu-system-arm").write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    (folder / "qemu-system-arm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with pytest.raises(ToolError, match="ended with exit code 3: no such thing"):
        qemu.run_outputs(image, [bytes(made.entry.input_bytes)], made.entry)
