"""The real networks and data beside the checkout: exact everywhere, and as accurate as float."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import SHARED
from onnx_models import agrees, ops

from mcuq import boards, data, evaluate, importers, verify
from mcuq.compiler import Compiled, compile_model, generate

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


@pytest.mark.parametrize("board", verify.CORES)
@pytest.mark.parametrize("name", ["ic", "kws_ckpt", "vww", "ad", "sww"])
def test_every_tensor_is_exact(name: str, board: str) -> None:
    target = boards.load(board)
    verdicts = verify.check(generate(compiled(name).bundle, target), [target], 20)
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
