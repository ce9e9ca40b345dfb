"""Statistics of windows of a sensor's samples: definitions, twins, and a network behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from mcuq import features
from mcuq.config import parse
from mcuq.errors import McuqError
from mcuq.ir import fed, shown
from mcuq.reference import run_int
from mcuq.sequences import run_integer

KINDS = ["mean", "rms", "min", "max", "crossings"]
TABLE = {"statistics": KINDS, "frame": 32, "hop": 16, "channels": 3}
MADE = features.statistics_of(TABLE)
WINDOWS = 6
SAMPLES = MADE.samples(WINDOWS)


def moved(samples: int, seed: int = 0) -> np.ndarray:
    """(samples, 3) int16: what an accelerometer may give."""
    chance = np.random.default_rng(seed)
    time = np.arange(samples)[:, None]
    swing = 8000 * np.sin(time * [0.1, 0.31, 0.7] + chance.uniform(0, 6, 3)) + [0, 9000, -4000]
    return np.round(swing + 900 * chance.normal(size=(samples, 3))).clip(-32768, 32767).astype("i2")


def test_each_statistic_is_what_its_name_says() -> None:
    samples = moved(SAMPLES)
    found = features.statistics_real(samples, MADE).reshape(WINDOWS, len(KINDS), 3)
    for t in range(WINDOWS):
        w = samples[t * 16 : t * 16 + 32] / 32768
        exact = [
            w.mean(axis=0), np.sqrt((w**2).mean(axis=0)), w.min(axis=0), w.max(axis=0),
            (np.diff(w >= 0, axis=0) != 0).mean(axis=0),
        ]  # fmt: skip
        np.testing.assert_allclose(found[t], exact, atol=2.0**-12)
    float_twin = features.statistics_float(samples, MADE)
    np.testing.assert_allclose(found.reshape(WINDOWS, -1), float_twin, atol=2.0**-12)


def test_the_extremes_of_16_bits_and_windows() -> None:
    made = features.statistics_of({"statistics": KINDS, "frame": 65535, "full_scale": 4.0})
    lowest = np.full(65535, -32768, np.int16)
    assert features.statistics_int(lowest, made).tolist() == [[-16384, 16384, -16384, -16384, 0]]
    turning = np.where(np.arange(65535) % 2, 32767, -32768).astype(np.int16)
    (found,) = features.statistics_int(turning, made).tolist()
    assert found == [0, 16384, -16384, 16384, 4096]


def network(folder: Path) -> Path:
    count = MADE.count
    constants = {"w": random(4, count, 2) / 5, "b": random(4), "f": random(2, 4), "g": random(2)}
    nodes = [
        node("Conv", "x w b", "c"),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "v"),
        node("Gemm", "v f g", "y", transB=1),
    ]
    return save(model(nodes, constants, {"x": (1, count, WINDOWS)}), folder, "moves.onnx")


def compiled(folder: Path, stream: str | None, **changes: Any) -> mcuq.Model:
    config = parse({"input": {"x": {"kind": "pcm16", "features": {**TABLE, **changes}}}}, "a.toml")
    rows = np.stack([moved(SAMPLES, seed) for seed in range(12)])
    return mcuq.compile(network(folder), None, rows, config=config, effort="fast", stream=stream)


def test_a_stream_equals_the_window_network(tmp_path: Path) -> None:
    made = compiled(tmp_path, "frames=16")
    graph, window = made.compiled.program.qgraph, compiled(tmp_path, None).compiled.program.qgraph
    assert window.inputs[0].shape == (1, SAMPLES, 3)
    assert fed(graph)[0].shape == (1, 16, 3)
    samples = moved(SAMPLES + 64, 50)
    rows = np.stack([samples[i * 16 : i * 16 + SAMPLES] for i in range(5)])
    name = window.outputs[0].tensor
    wanted = run_int(window, {"x": rows}, {name})[name]
    name = shown(graph)[0].tensor
    found = run_integer(graph, {"x": samples.reshape(1, -1, 16, 3)}, {name})[name]
    np.testing.assert_array_equal(found[-5:], wanted)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"statistics": ["median"], "frame": 4}, "statistics[0] is 'median', not one of mean, rms"),
        ({"statistics": ["min", "min"], "frame": 4}, "names a statistic twice"),
        ({"statistics": ["min"]}, "does not say frame. Give it in samples"),
        ({"statistics": ["min"], "frame": 1}, "frame is 1, not an integer in 2..65535"),
        ({"statistics": ["min"], "frame": 4, "hops": 2}, "unknown key hops. Did you mean 'hop'"),
    ],
)
def test_impossible_statistics_are_refused_in_a_line(table: Any, text: str) -> None:
    with pytest.raises(McuqError) as caught:
        features.statistics_of(table)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_other_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="10 features a frame do not make its shape"):
        compiled(tmp_path, None, channels=2)


def test_no_samples_are_refused() -> None:
    with pytest.raises(McuqError, match="are not int16 of 3 channel"):
        features.statistics_real(np.zeros((64, 2), np.int16), MADE)
    with pytest.raises(McuqError, match="5 samples are less than one window of 32"):
        features.statistics_real(np.zeros((5, 3), np.int16), MADE)
