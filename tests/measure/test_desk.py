"""``--on``: a compiled model on boards that are QEMU behind a gdb server or a serial line."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from desks import debugged, flashed
from small_networks import images, residual_network
from test_selftest import corrupted

from mcuq.api import Model
from mcuq.cli import cli
from mcuq.errors import McuqError
from mcuq.measure import bench, desk
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

BOARD = boards.load("mps2_an386")


@functools.cache
def residual() -> Compiled:
    graph, feeds = residual_network(), {"x": images(16)}
    made = quantize(graph, feeds, Options(effort="fast"))
    rows = feeds_to_int(made, feeds)
    bundle = Bundle("residual", "r.onnx", "0" * 64, BOARD, "balanced", graph, made, rows)
    return generate(bundle, BOARD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return residual().write(tmp_path_factory.mktemp("model") / "out")


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.emulated
def test_a_board_behind_a_debugger_is_checked_and_timed(folder: Path, tmp_path: Path) -> None:
    with debugged("mps2_an386", tmp_path) as (where, _):
        run("check", folder, "--on", where, "--vectors", 6, "--json", tmp_path / "check.json")
        run("bench", folder, "--on", where, "--json", tmp_path / "bench.json")
    verdict = json.loads((tmp_path / "check.json").read_text())["boards"]["mps2_an386"]
    assert (verdict["vectors"], verdict["tensors"], verdict["mismatches"]) == (6, 42, 0)
    assert verdict["on"] == where
    facts = json.loads((tmp_path / "bench.json").read_text())
    assert facts["cycles"] == sum(step["cycles"] for step in facts["steps"])
    assert verdict["cycles"] == pytest.approx(facts["cycles"], rel=0.001)
    # QEMU's SysTick: 25 MHz, 64 ns an instruction; the hook's own instructions are taken off.
    assert facts["cycles"] == pytest.approx(1.6 * facts["instructions"], rel=0.01)
    assert facts["milliseconds"] == facts["cycles"] / 25e3


@pytest.mark.emulated
def test_a_board_on_a_serial_line_is_checked(folder: Path, tmp_path: Path) -> None:
    run(
        "build", folder, "--board", "mps2_an386", "--serial", "--port", "cmsdk_uart", "-o", tmp_path
    )
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == [f"residual-serial.{kind}" for kind in ("bin", "elf", "hex", "map")]
    with flashed("mps2_an386", tmp_path / "residual-serial.elf") as device:
        words = run("check", folder, "--on", f"serial:{device}@4000000", "--vectors", 4)
    assert "exact" in words
    assert "cycles" in words


@pytest.mark.emulated
def test_a_board_with_wrong_numbers_is_found_out(tmp_path: Path) -> None:
    with debugged("mps2_an386", tmp_path) as (where, _):
        verdict = Model(corrupted(residual())).check_on("mps2_an386", where, 4)
    assert not verdict.exact
    assert "conv2d_0" in str(verdict.first)


@pytest.mark.emulated
def test_a_board_sets_itself_up(folder: Path, tmp_path: Path) -> None:
    """What --port names is part of the image, and runs before the model."""
    port = tmp_path / "clocks.c"
    port.write_text('#include "mcuq_desk.h"\nvoid mcuq_board_init(void) { for (;;) { } }\n')
    with debugged("mps2_an386", tmp_path) as (where, _), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcuq.desk.gdb.SECONDS", 1)
        with pytest.raises(McuqError, match="in mcuq_board_init"):
            desk.measure_desk(residual(), BOARD, where, str(port))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("check {0} --on nowhere", "names no board"),
        ("check {0} --on gdb:localhost:1", "cannot be reached"),
        ("check {0} --on serial:/dev/null", "is no serial line"),
        ("check {0} --on gdb:localhost:1 --all", "is for one board"),
        ("check {0} --on serial:/dev/null --port x.c", "is part of the image"),
        ("check {0} --port cmsdk_uart", "is for a real board"),
        ("bench {0} --port cmsdk_uart", "is for a real board"),
        ("bench {0} --on gdb:localhost:1 --board cortex-m4", "is a core"),
        ("build {0} --board mps2_an386 --serial", "--serial: comes without --port"),
        ("build {0} --board mps2_an386 --port cmsdk_uart", "--port: comes without --serial"),
        ("build {0} --board mps2_an386 --serial --port uart", "Name a .c file, or one of cmsdk"),
    ],
)
def test_wrong_use_is_one_line(arguments: str, words: str, folder: Path) -> None:
    with pytest.raises(McuqError) as caught:
        run(*arguments.format(folder).split())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_board_that_counts_no_cycles_has_none() -> None:
    step = bench.StepCost("a", "add", "k", 0, 5, None, ())
    found = bench.Bench("b", "cortex-m0", 1000, 0, 5, None, 0, 0, (step,), "")
    assert found.measured("gdb:x:1", None).cycles is None
    timed = found.measured("gdb:x:1", np.array([7]).tolist())
    assert (timed.cycles, timed.measured_milliseconds, timed.steps[0].cycles) == (7, 7.0, 7)
