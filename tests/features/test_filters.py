"""Recursive filters in front of statistics: definition, twins, streams, every core."""

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
from mcuq.features.statistics import filters
from mcuq.ir import Array, fed, shown, state_ports
from mcuq.ops.signal import biquad
from mcuq.qir import QGraph
from mcuq.reference import run_int
from mcuq.sequences import run_integer
from mcuq.targets.cores import CHECKED

# Butterworth at 100 Hz: a low-pass of 20 Hz, order 2, and a high-pass of 0.5 Hz, order 2.
LOW = [0.2065720838, 0.4131441677, 0.2065720838, 1.0, -0.3695273774, 0.1958157127]
HIGH = [0.9780304792, -1.9560609585, 0.9780304792, 1.0, -1.9555782403, 0.9565436765]
TABLE = {
    "statistics": ["mean", "rms", "min", "max", "crossings"],
    "frame": 32,
    "hop": 16,
    "channels": 3,
    "sections": [HIGH, LOW],
}
MADE = features.statistics_of(TABLE)
WINDOWS = 6
SAMPLES = MADE.samples(WINDOWS)


def moved(samples: int, seed: int = 0) -> Array:
    """(samples, 3) int16: swings upon a constant, as gravity is one."""
    chance = np.random.default_rng(seed)
    time = np.arange(samples)[:, None]
    swing = 4000 * np.sin(time * [0.1, 0.31, 1.7] + chance.uniform(0, 6, 3)) + [0, 12000, -9000]
    return np.round(swing + 400 * chance.normal(size=(samples, 3))).astype(np.int16)


def defined(x: Array, sections: list[list[float]]) -> Array:
    """y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2], of each section."""
    for b0, b1, b2, _, a1, a2 in sections:
        y = np.zeros(x.shape)
        for n in range(len(x)):
            x1, x2 = (x[n - i] if n >= i else 0.0 for i in (1, 2))
            y1, y2 = (y[n - i] if n >= i else 0.0 for i in (1, 2))
            y[n] = b0 * x[n] + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
        x = y
    return x


def filtered(x: Array, sections: list[list[float]]) -> Array:
    """(S, C) int16 -> the same, in integers from rest."""
    made = features.statistics_of({**TABLE, "channels": x.shape[1], "sections": sections})
    numbers = tuple(biquad.coefficient(v) for v in made.sections)
    node_ = filters(made, "f", "x", "y").with_attrs(sections=numbers)
    return biquad.run_int(node_, QGraph("f", (), (), (), {}), [x[None]])[0]


def test_integers_are_the_difference_equation() -> None:
    """Within the half of the last rounding, and what 12 bits behind the point lose before."""
    samples = moved(2000)
    exact = defined(samples.astype(np.float64), [HIGH, LOW])
    assert np.abs(filtered(samples, [HIGH, LOW]) - exact).max() <= 0.6


def test_a_slow_filter_forgets_a_constant() -> None:
    """32 bits inside: no limit cycle is left of the largest step that 16 bits can make."""
    samples = np.full((4000, 1), 32767, np.int16)
    samples[:10] = -32768
    found = filtered(samples, [HIGH])
    assert np.abs(found[-100:]).max() <= 1


def test_what_is_too_large_saturates() -> None:
    samples = np.array([[-32768], [-16384], [16383], [32767]], np.int16)
    found = filtered(samples, [[2.0, 0, 0, 1, 0, 0]])
    assert found.ravel().tolist() == [-32768, -32768, 32766, 32767]


def test_twins_filter_before_they_count() -> None:
    samples = moved(SAMPLES)
    found = features.statistics_real(samples, MADE)
    inside = defined(samples.astype(np.float64), [HIGH, LOW])[16:48] / 32768
    np.testing.assert_allclose(found[1, :3], inside.mean(axis=0), atol=2.0**-12)
    twin = features.statistics_float(samples, MADE)
    np.testing.assert_allclose(found[:, :12], twin[:, :12], atol=2.0**-12)


def network(folder: Path) -> Path:
    constants = {"w": random(4, MADE.count, 2) / 5, "b": random(4), "f": random(2, 4)}
    nodes = [
        node("Conv", "x w b", "c"),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "v"),
        node("Gemm", "v f", "y", transB=1),
    ]
    return save(model(nodes, constants, {"x": (1, MADE.count, WINDOWS)}), folder, "moves.onnx")


def compiled(folder: Path, stream: str | None) -> mcuq.Model:
    config = parse({"input": {"x": {"kind": "pcm16", "features": TABLE}}}, "a.toml")
    rows = np.stack([moved(SAMPLES, seed) for seed in range(12)])
    return mcuq.compile(network(folder), None, rows, config=config, effort="fast", stream=stream)


def test_a_filtered_stream_goes_on_and_is_exact_on_every_core(tmp_path: Path) -> None:
    """Its first window is the window network's, which filters from rest; the C is exact always."""
    made, window = compiled(tmp_path, "frames=16"), compiled(tmp_path, None).compiled
    graph, whole = made.compiled.program.qgraph, window.program.qgraph
    assert fed(graph)[0].shape == (1, 16, 3)
    states = [graph.tensors[read.tensor].shape for _, read, _ in state_ports(graph)]
    assert (1, 8, 3) in states
    assert "since the reset" in made.advice[0]
    samples = moved(SAMPLES, 50)
    padded = np.concatenate([np.zeros((-SAMPLES % 16, 3), np.int16), samples])
    name = whole.outputs[0].tensor
    wanted = run_int(whole, {"x": samples[None]}, {name})[name]
    name = shown(graph)[0].tensor
    found = run_integer(graph, {"x": padded.reshape(1, -1, 16, 3)}, {name})[name]
    np.testing.assert_array_equal(found[-1:], wanted)
    assert [v.outcome for v in made.check(CHECKED, vectors=3)] == ["exact"] * (1 + len(CHECKED))


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ([[1, 0, 0, 2, 0, 0]], "a0 is 2, not 1. Divide all six numbers by it"),
        ([[1, 0, 0, 1, -2.1, 1.0]], "a1 = -2.1, a2 = 1 never come to rest"),
        ([[5, 0, 0, 1, 0, 0]], "a coefficient of 5 is too large. Scale b0, b1, b2 to below 4"),
        ([[1, 0, 0]], "sections[0] is a list, not a list of 6"),
    ],
)
def test_impossible_filters_are_refused_in_a_line(sections: Any, text: str) -> None:
    with pytest.raises(McuqError) as caught:
        features.statistics_of({**TABLE, "sections": sections})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
