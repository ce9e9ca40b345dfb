"""Estimates without data are what a compile with data then measures; a misfit is refused early."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_models
import pytest
import random_networks
from small_networks import NO_CLIP, RELU, Net, residual_network

from benchmarks import estimates
from benchmarks.instructions import RECORD
from benchmarks.networks import NETWORKS as ESTIMATED
from mcuq import quantize
from mcuq.config import Config, InputConfig
from mcuq.errors import FitError, McuqError, ModelError
from mcuq.flows import compile as road
from mcuq.flows import made_up
from mcuq.flows.compile import compile_model
from mcuq.flows.estimate import BOUNDS, Estimate, Needs, estimate_graph, estimate_model
from mcuq.flows.made_up import refuse_misfit
from mcuq.ir import Graph
from mcuq.measure.bench import bench
from mcuq.model.compiled import Compiled, generate
from mcuq.program import least
from mcuq.targets import boards
from mcuq.targets.boards import Region

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
BOARDS = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")
NETWORKS = ("digits", "1", "2", "5", "8", "9")
FAST = Config(quantize={"effort": "fast"})


@functools.cache
def compared(name: str) -> tuple[Estimate, Compiled]:
    """What is estimated of a network without data, and its compile with data."""
    if name == "digits":
        rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
        given = compile_model(DIGITS, calibration=rows, config=FAST)
        return estimate_model(DIGITS, on=BOARDS), given
    proto = random_networks.model(int(name))
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(proto, Path(folder))
        rows = random_networks.inputs(int(name), proto)
        given = compile_model(path, calibration=rows, config=FAST)
        return estimate_model(path, on=BOARDS), given


def of(name: str, board: str) -> tuple[Needs, Compiled]:
    found, given = compared(name)
    needs = next(needs for needs in found.boards if needs.board == board)
    return needs, generate(given.bundle, boards.load(board))


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_estimates_are_what_a_compile_says(name: str, board: str) -> None:
    """RAM to the byte; a shift more or less in the parameters may take a few bytes of flash."""
    needs, given = of(name, board)
    said = given.report.boards[board]
    assert (needs.arena, needs.stack, needs.io) == (said.ram, said.stack, said.io)
    assert abs(needs.flash - said.flash) <= 64


@pytest.mark.emulated
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["digits", "5"])
def test_estimates_are_what_the_build_measures(name: str, board: str) -> None:
    """Instructions within 8 %, RAM to the byte, flash as near as ``fit.estimate`` is."""
    needs, given = of(name, board)
    measured = bench(given, boards.load(board))
    assert needs.arena == measured.ram
    assert BOUNDS.holds(
        {"instructions": needs.instructions, "flash": needs.flash, "ram": needs.arena},
        {"instructions": measured.instructions, "flash": measured.flash, "ram": measured.ram},
    )
    assert (needs.cycles is None) == (measured.cycles_estimate is None)


@pytest.mark.emulated
@pytest.mark.parametrize("board", ["mps2_an385_m0", "mps2_an386"])
def test_a_maximum_costs_what_it_takes(board: str, tmp_path: Path) -> None:
    shape = (1, 16, 8, 8)
    proto = onnx_models.model(
        [onnx_models.node("Max", "x y", "z")], inputs={"x": shape, "y": shape}, outputs="z"
    )
    rows = {
        name: onnx_models.random(24, *shape[1:], seed=seed) for name, seed in (("x", 0), ("y", 1))
    }
    made = compile_model(onnx_models.save(proto, tmp_path), calibration=rows, config=FAST)
    given = generate(made.bundle, boards.load(board))
    (step,) = bench(given, boards.load(board)).steps
    assert abs(given.report.steps[0].estimated_instructions / step.instructions - 1) <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ad", "kws", "sww"])
def test_ordinary_networks_are_estimated_within_their_bounds(name: str) -> None:
    """Beside what their builds measured, ``python -m benchmarks.instructions``."""
    rows = list(estimates.compared(name))
    assert [row.column for row in rows] == list(estimates.COLUMNS)
    for row in rows:
        made = {"instructions": row.instructions, "flash": row.flash, "ram": row.ram}
        assert BOUNDS.holds(
            made, {"instructions": row.counted, "flash": row.linked, "ram": row.used}
        )


def test_the_table_of_estimates_is_within_the_bounds() -> None:
    """All six networks on four cores; what is exceeded: python -m benchmarks.estimates."""
    found = {}
    for line in estimates.TABLE.read_text().splitlines():
        if "(" in line and line.startswith("|"):
            name, column, *numbers = (cell.strip() for cell in line.strip("|").split("|"))
            values = [int(text.split(" ")[0].replace(",", "")) for text in numbers]
            found[name, column] = dict(zip(("instructions", "flash", "ram"), values, strict=True))
    record = json.loads(RECORD.read_text())
    wanted = {(name, column) for name in ESTIMATED for column in estimates.COLUMNS}
    assert set(found) == wanted
    assert len(found) == 24
    off = [at for at, row in found.items() if not BOUNDS.holds(row, record[at[0]][at[1]])]
    assert off == []


@pytest.mark.parametrize(
    ("key", "share", "holds"),
    [
        ("instructions", 1.08, True), ("instructions", 1.09, False), ("instructions", 0.91, False),
        ("flash", 0.99, True), ("flash", 0.98, False), ("flash", 1.12, True),
        ("flash", 1.13, False), ("ram", 1.1, True), ("ram", 0.89, False),
    ],
)  # fmt: skip
def test_what_is_beyond_a_bound(key: str, share: float, holds: bool) -> None:
    measured = {"instructions": 100_000, "flash": 50_000, "ram": 10_000}
    assert BOUNDS.holds({**measured, key: round(share * measured[key])}, measured) is holds


@pytest.mark.parametrize("name", NETWORKS)
def test_the_least_is_never_above_what_it_takes(name: str) -> None:
    for board in BOARDS:
        _, given = of(name, board)
        said = given.report.boards[board]
        assert least.least_flash(given.bundle.graph) <= said.flash
        assert least.least_ram(given.bundle.graph) <= said.ram + said.io


def test_the_least_ram_of_a_small_network() -> None:
    """Between the two layers 32 bytes are kept, beside 16 of input and 4 of output."""
    net = Net((1, 16))
    graph = net.graph(net.dense(net.dense("x", 32, clip=RELU), 4, clip=NO_CLIP))
    assert least.least_ram(graph) == 16 + 32 + 4


@pytest.mark.parametrize(
    ("row", "bytes_each"),
    [
        (np.linspace(-1, 1, 300), 282),  # the rest is within 1/16 of zero
        (np.tile(np.linspace(-1, 1, 16), 20), 160),  # codes of 4 bits
        (np.tile([-1.0, 1.0], 150), 75),  # codes of 2 bits
        (np.tile([1.0, 0.0, 0.0], 100), 25),
        (np.zeros(300), 0),
    ],
)
def test_the_least_flash_of_a_channel(row: np.ndarray, bytes_each: int) -> None:
    net = Net((1, len(row)))
    weights = net.constant("w", [row, row, row])
    bias = net.constant("b", [0.0, 0.0, 0.0])
    graph = net.graph(net.node("dense", "x", weights, bias, clip=NO_CLIP))
    assert least.least_flash(graph) == 3 * bytes_each


def test_channels_that_training_has_switched_off_take_nothing() -> None:
    """Decay leaves weights of 1e-30 there, which become 0 and are not stored."""
    chance = np.random.default_rng(0)
    rows = chance.normal(0, 1, (64, 300)) * np.where(np.arange(64) < 8, 1, 1e-30)[:, None]
    net = Net((1, 300))
    weights, bias = net.constant("w", rows), net.constant("b", np.zeros(64))
    graph = net.graph(net.node("dense", "x", weights, bias, clip=NO_CLIP))
    assert 0.7 * 8 * 300 <= least.least_flash(graph) <= 8 * 300


def test_flash_is_refused_only_if_the_rounded_weights_are_too_large_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = replace(boards.load("mps2_an386"), flash=Region(0, 80_000))
    monkeypatch.setattr(least, "least_flash", lambda graph: 80_001)
    refuse_misfit(wide(), board, Config())
    monkeypatch.setattr(made_up, "_smallest", lambda *given: 80_001)
    with pytest.raises(FitError, match=r"78\.1 KiB flash at least"):
        refuse_misfit(wide(), board, Config())


def wide() -> Graph:
    net = Net((1, 64))
    return net.graph(net.dense(net.dense("x", 900, clip=RELU), 4))


@pytest.mark.parametrize(
    ("memory", "words"), [("flash", "flash at least"), ("ram", "968 B RAM at least")]
)
def test_a_misfit_is_refused_before_it_is_quantized(
    memory: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without data even: nothing is asked for that would not help."""
    board = boards.load("mps2_an386")
    source = replace(_source(), graph=wide())
    monkeypatch.setattr(road, "_read", lambda *given: source)
    monkeypatch.setattr(road, "_quantized", lambda *given: pytest.fail("quantized"))
    region = Region(0x20000000, 900)
    with pytest.raises(FitError, match=words) as refused:
        compile_model("wide.onnx", board=replace(board, **{memory: region}))
    assert str(refused.value).endswith("see 'mcuq estimate MODEL --all'.")


def _source() -> road._Source:
    return road._read(DIGITS, None, None, Config(), road.sizes_of(None, {}, None))


def test_what_fits_by_a_byte_is_not_refused() -> None:
    _, given = of("5", "mps2_an386")
    said = given.report.boards["mps2_an386"]
    tight = replace(
        boards.load("mps2_an386"),
        flash=Region(0, said.flash),
        ram=Region(0x20000000, said.ram + said.stack + said.io),
    )
    refuse_misfit(given.bundle.graph, tight, Config())
    assert least.faults(given.bundle.graph, tight) == least.Faults(None, None)


def test_boards_of_one_core_differ_in_time_and_room_alone() -> None:
    first, second = estimate_graph(
        residual_network(), [boards.load("nucleo_f446re"), boards.load("netduinoplus2")]
    ).boards
    assert first.flash == second.flash
    assert first.cycles == second.cycles
    assert first.milliseconds is not None
    assert second.milliseconds is not None
    assert second.milliseconds > first.milliseconds
    assert (first.flash_length, second.flash_length) == (512 << 10, 1 << 20)


def test_bits_shapes_and_bytes_count() -> None:
    board = [boards.load("mps2_an386")]
    narrow = estimate_graph(residual_network(), board).boards[0]
    wide_bits = estimate_graph(residual_network(), board, settings=Config(quantize={"bits": 16}))
    assert (narrow.io, wide_bits.boards[0].io) == (192 + 5, 2 * 192 + 5)
    assert wide_bits.boards[0].arena > narrow.arena
    image = Config(inputs={"image": InputConfig(mean=(0.5,), std=(255.0,))})
    assert estimate_model(DIGITS, on=["microbit"], config=image).boards[0].io == 74


def test_a_function_that_some_inputs_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logarithm, say, of what is below zero: inputs from 0 up are tried then."""
    tried = []

    def fragile(graph: Graph, feeds: dict[str, np.ndarray], options: quantize.Options) -> object:
        tried.append(float(feeds["x"].min()) < 0)
        if tried[-1]:
            raise ModelError(graph.name, "tensor 'logs' becomes infinite or NaN")
        return quantize.quantize(graph, feeds, options)

    monkeypatch.setattr(made_up, "quantize", fragile)
    found = estimate_graph(residual_network(), [boards.load("mps2_an386")])
    assert tried == [True, False]
    assert found.boards[0].fits


def test_mixed_precision_needs_data() -> None:
    with pytest.raises(McuqError, match="mixed precision depends on the data"):
        estimate_model(DIGITS, on=["microbit"], config=Config(quantize={"bits": "mixed"}))


def test_json_says_whether_it_fits() -> None:
    facts = estimate_model(DIGITS, on=["microbit", "stm32vldiscovery"]).to_json()
    assert json.loads(json.dumps(facts)) == facts
    assert [facts["boards"][name]["fits"] for name in facts["boards"]] == [True, True]
    assert facts["macs"] == 378176
