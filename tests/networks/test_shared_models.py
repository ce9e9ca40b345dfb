"""The real networks and data beside the checkout: exact everywhere, and as accurate as float."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import agrees, ops
from places import SHARED
from processors import PROCESSORS, start

from mcuq import importers
from mcuq.config import Config
from mcuq.data import feeds as data
from mcuq.flows.compile import compile_model
from mcuq.measure import bench, check, evaluate
from mcuq.measure.bench import Bench
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

pytestmark = pytest.mark.emulated

Labelled = tuple[np.ndarray, np.ndarray]


def cifar(part: str) -> Labelled:
    with np.load(SHARED / "data" / "cifar10.npz") as stored:
        images = stored[f"x_{part}"].transpose(0, 3, 1, 2).astype(np.float32)
        return images, stored[f"y_{part}"]


def keywords(calibration: bool) -> Labelled:
    with np.load(SHARED / "data" / "kws01.npz") as stored:
        rows = stored["is_calib"].astype(bool) == calibration
        reals = (stored["x_int8"].astype(np.float32) - stored["x_zero_point"]) * stored["x_scale"]
        return reals[rows][:, None].astype(np.float32), stored["y"][rows]


def wakeword() -> np.ndarray:
    with np.load(SHARED / "data" / "sww_samples.npz") as stored:
        return stored["x"].transpose(0, 3, 1, 2).astype(np.float32)


def calibration(name: str) -> np.ndarray:
    if name == "ic":
        return cifar("train")[0][:200]
    if name == "kws_ckpt":
        return keywords(True)[0]
    if name == "vww":
        return cifar("train")[0][:64].repeat(3, 2).repeat(3, 3) / 255
    if name == "sww":
        return wakeword()
    return np.random.default_rng(0).normal(0, 20, (64, 640)).astype(np.float32)


@functools.cache
def compiled(name: str) -> Compiled:
    return compile_model(SHARED / "models" / f"{name}.onnx", calibration=calibration(name))


@pytest.mark.parametrize("board", CHECKED)
@pytest.mark.parametrize("name", ["ic", "kws_ckpt", "vww", "ad", "sww"])
def test_every_tensor_is_exact(name: str, board: str) -> None:
    target = boards.load(board)
    verdicts = check.check(generate(compiled(name).bundle, target), [target], 20)
    assert [v.mismatches for v in verdicts] == [0, 0]


@pytest.mark.parametrize(
    ("name", "labelled", "lost"), [("ic", ("test",), 0.01), ("kws_ckpt", (False,), 0.01)]
)
def test_accuracy_with_the_default_settings(name: str, labelled: tuple, lost: float) -> None:
    inputs, labels = cifar(*labelled) if name == "ic" else keywords(*labelled)
    made = compiled(name).bundle
    feeds = data.from_arrays(inputs, made.graph)
    found = evaluate.evaluate(made.graph, made.qgraph, feeds, labels)
    assert found.float_top1 is not None
    assert found.int8_top1 is not None
    assert found.float_top1 - found.int8_top1 <= lost


@pytest.mark.parametrize("name", ["ic", "kws", "kws_ckpt", "vww", "ad", "sww"])
def test_import_agrees_with_onnx_and_leaves_no_layout_work(name: str, tmp_path: Path) -> None:
    path = SHARED / "models" / f"{name}.onnx"
    graph = agrees(onnx.load(path), tmp_path, rows=1, tolerance=1e-4)
    assert not {"batch_norm", "clip", "pad", "transpose"}.intersection(ops(graph))
    assert importers.problems_of(path) == ()


IMPORTED = {
    "ad", "ic", "kws", "kws_ckpt", "sww", "vww", "ece_int8", "fall_f103", "gesture_esp",
    "match_kws_fp16", "sayit_kws", "st_mbv2_05_128", "st_yamnet", "tiny_cnn_mpu6050", "tract_keras",
}  # fmt: skip


def test_what_imports_computes_what_its_file_says() -> None:
    """Every value of every node of the models here and of the public ones, or a refusal."""
    paths = [p for part in ("models", "public") for p in sorted((SHARED / part).glob("*.onnx"))]
    read = [path for path in paths if not importers.problems_of(path)]
    assert {path.stem for path in read} >= IMPORTED
    found = {path.stem: importers.check(importers.read(path)) for path in read}
    assert {name: advice for name, advice in found.items() if advice} == {}


@dataclass(frozen=True)
class Limits:
    """Of one inference on M4: instructions (a share of CMSIS-NN's), cycles, bytes."""

    instructions: float
    cycles: float
    cycles_speed: float
    flash: int
    ram: int
    code: int = 12 * 1024


M4_LIMITS = {
    "kws_ckpt": Limits(0.32 * 7_419_207, 3.8e6, 3.4e6, 40 * 1024, 12 * 1024),
    "ic": Limits(0.33 * 28_614_545, 17e6, 13e6, 95 * 1024, 40 * 1024),
    "vww": Limits(0.33 * 23_422_889, 10.5e6, 9.0e6, 235 * 1024, 48 * 1024),
    "ad": Limits(0.45 * 570_436, 0.36e6, 0.34e6, 275 * 1024, 2560),
}


def costs(name: str, board: str, prefer: str = "balanced") -> tuple[Bench, int]:
    """Of one inference; and the bytes of code."""
    target = boards.load(board)
    made = generate(replace(compiled(name).bundle, prefer=prefer), target)
    found = bench.bench(made, target)
    return found, found.flash - made.report.flash_weights


@pytest.mark.parametrize("name", M4_LIMITS)
def test_costs_on_m4(name: str) -> None:
    limits = M4_LIMITS[name]
    found, code = costs(name, "mps2_an386")
    assert found.instructions <= limits.instructions
    assert found.cycles_estimate is not None
    assert found.cycles_estimate <= limits.cycles
    assert found.flash <= limits.flash
    assert code <= limits.code
    target = boards.load("mps2_an386")
    stack = check.check(generate(compiled(name).bundle, target), [target], 1)[1].stack
    assert stack is not None
    assert found.ram + stack <= limits.ram


@pytest.mark.parametrize("name", M4_LIMITS)
def test_cycles_on_m4_where_speed_is_preferred(name: str) -> None:
    found, _ = costs(name, "mps2_an386", "speed")
    assert found.cycles_estimate is not None
    assert found.cycles_estimate <= M4_LIMITS[name].cycles_speed


@pytest.mark.parametrize(("board", "limit"), [("mps2_an385_m0", 17e6), ("mps2_an385", 7.5e6)])
def test_cycles_of_keywords_on_small_cores(board: str, limit: float) -> None:
    found, _ = costs("kws_ckpt", board)
    assert found.cycles_estimate is not None
    assert found.cycles_estimate <= limit


@pytest.mark.parametrize("name", ["ic", "kws_ckpt"])
def test_sixteen_bits_are_exact(name: str) -> None:
    config = Config(quantize={"bits": 16, "effort": "fast"})
    path = SHARED / "models" / f"{name}.onnx"
    made = compile_model(path, calibration=calibration(name), config=config)
    for core in ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt"):
        target = boards.load(core)
        verdicts = check.check(generate(made.bundle, target), [target], 4)
        assert [v.mismatches for v in verdicts] == [0, 0]


def test_kws_has_the_same_bytes_on_every_processor(tmp_path: Path) -> None:
    """It had not: ``normal`` wrote other weights with MKL_CBWR=COMPATIBLE."""
    model = tmp_path / "kws.onnx"
    model.write_bytes((SHARED / "models" / "kws_ckpt.onnx").read_bytes())
    np.save(tmp_path / "kws.npy", keywords(True)[0])
    running = [start(model, ("normal",), processor) for processor in PROCESSORS[:2]]
    printed = [process.communicate()[0] for process in running]
    assert printed[0] == printed[1] != ""
