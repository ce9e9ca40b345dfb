"""Streams of samples: the features of a window network made of the new ones alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from benchmarks.made.speech import word, words
from mcuq.config import parse
from mcuq.errors import McuqError
from mcuq.ir import Array, fed, shown
from mcuq.reference import run_int
from mcuq.sequences import run_integer

HOP, FRAMES = 128, 12
SAMPLES = 256 + (FRAMES - 1) * HOP
TABLE = {"recipe": "torchaudio_mel", "edge": "none", "rate": 8000, "mels": 16, "points": 256,
         "frame": 256, "hop": HOP, "window": "hamming"}  # fmt: skip


def words_network(folder: Path) -> Path:
    """(1, bands, frames) -> (1, 3)."""
    constants = {"w": random(6, 16, 3) / 7, "b": random(6), "fc.w": random(3, 6), "fc.b": random(3)}
    nodes = [
        node("Conv", "x w b", "c"),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f fc.w fc.b", "y", transB=1),
    ]
    return save(model(nodes, constants, {"x": (1, 16, FRAMES)}), folder, "words.onnx")


def compiled(folder: Path, stream: str | None, **changes: Any) -> mcuq.Model:
    config = parse({"input": {"x": {"kind": "pcm16", "features": {**TABLE, **changes}}}}, "a.toml")
    samples = SAMPLES if changes.get("edge", "none") == "none" else (FRAMES - 1) * HOP
    path, sound = words_network(folder), words(12, samples)
    return mcuq.compile(path, None, sound, config=config, effort="fast", stream=stream)


def steps_of(made: mcuq.Model, samples: Array, hop: int) -> Array:
    """What the stream gives of (steps * hop,) samples after a reset."""
    graph = made.compiled.program.qgraph
    name = shown(graph)[0].tensor
    return run_integer(graph, {fed(graph)[0].name: samples.reshape(1, -1, hop)}, {name})[name]


@pytest.mark.parametrize("hops", [1, 2])
def test_a_stream_of_samples_equals_the_window_network(hops: int, tmp_path: Path) -> None:
    """On every window of a recording."""
    step = hops * HOP
    made, window = (
        compiled(tmp_path, f"frames={step}"),
        compiled(tmp_path, None).compiled.program.qgraph,
    )
    sound = word(99, SAMPLES + 8 * step)
    rows = np.stack([sound[i * step : i * step + SAMPLES] for i in range(9)])
    name = window.outputs[0].tensor
    wanted = run_int(window, {"x": rows}, {name})[name]
    found = steps_of(made, sound[SAMPLES % step :], step)
    np.testing.assert_array_equal(found[-8:], wanted[1:])
    assert "equal to the window network, bit for bit" in made.advice[0]
    assert f"#define WORDS_STEP_FRAMES {step}\n" in made.files["words.h"]


def test_preemphasis_goes_on_over_the_ends_of_windows(tmp_path: Path) -> None:
    """The sample before a frame is the stream's: the whole recording at once has the same bits."""
    made = compiled(tmp_path, f"frames={HOP}", preemphasis=0.97)
    assert "over the whole sequence since the reset" in made.advice[0]
    window = compiled(tmp_path, None, preemphasis=0.97).compiled.program.qgraph
    name, sound = window.outputs[0].tensor, word(98, SAMPLES)
    wanted = run_int(window, {"x": sound[None]}, {name})[name]
    np.testing.assert_array_equal(steps_of(made, sound, HOP)[-1:], wanted)


@pytest.mark.emulated
def test_every_tensor_and_the_samples_kept_are_exact_on_cores(tmp_path: Path) -> None:
    made = compiled(tmp_path, f"frames={HOP}", preemphasis=0.97)
    verdicts = made.check(["cortex-m4", "cortex-m55"], vectors=3)
    assert [verdict.exact for verdict in verdicts] == [True] * 3


@pytest.mark.parametrize(
    ("stream", "changes", "text"),
    [
        ("frames=100", {}, "it takes every 128th of the 100 frame(s) that a step brings it"),
        (f"frames={HOP}", {"edge": "zero"}, "pads frames behind the window"),
        (f"frames={HOP}", {"edge": "reflect"}, "it mirrors the samples at both ends of a window"),
    ],
)
def test_what_has_no_stream_is_refused(
    stream: str, changes: Any, text: str, tmp_path: Path
) -> None:
    with pytest.raises(McuqError) as caught:
        compiled(tmp_path, stream, **changes)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
