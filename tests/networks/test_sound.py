"""Networks whose firmware has samples of sound: features in front, exact like every other step."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.made.speech import words
from mcuq import features
from mcuq.config import Config, InputConfig, parse
from mcuq.data import feeds
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.ir import Array
from mcuq.measure import check
from mcuq.model.compiled import Compiled
from mcuq.reference import feeds_to_int, run_float, run_int
from mcuq.targets import boards

TABLE = {"recipe": "torchaudio_mel", "edge": "none", "rate": 8000, "mels": 16, "points": 256,
         "frame": 256, "hop": 128, "window": "hamming"}  # fmt: skip
FRAMES = 12
SAMPLES = 256 + 11 * 128


class Words(nn.Module):
    """Reads (1, 1, frames, bands), or as ``axes`` says."""

    def __init__(self, bands: int, axes: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.axes = axes
        self.conv = nn.Conv1d(bands, 6, 3)
        self.out = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, 0].transpose(1, 2) if self.axes == "frames first" else x
        return self.out(torch.relu(self.conv(x)).mean(-1))


def compiled(axes: str, table: Any, count: int = 16, **more: Any) -> Compiled:
    shape = (1, 1, FRAMES, count) if axes == "frames first" else (1, count, FRAMES)
    config = Config({"x": InputConfig("pcm16", features=table)}, {"effort": "fast"}, **more)
    sound = words(12, SAMPLES)
    return compile_model(Words(count, axes), torch.zeros(shape), sound, name="words", config=config)


@functools.cache
def usual(axes: str) -> Compiled:
    return compiled(axes, TABLE)


@pytest.mark.parametrize("axes", ["frames first", "bands first"])
def test_the_c_takes_samples_and_python_has_the_same_features(axes: str) -> None:
    made = usual(axes)
    port = made.bundle.qgraph.inputs[0]
    assert (port.kind, port.shape, port.scale) == ("s16", (1, SAMPLES), (1.0,))
    assert "const int16_t in_x[WORDS_IN_X_LEN]" in made.files["words.h"]
    (node,) = (n for n in made.bundle.qgraph.nodes if n.op == "features")
    tensor = made.bundle.qgraph.tensors[node.output]
    sound = words(3, SAMPLES, first=50)
    rows = feeds_to_int(made.bundle.qgraph, feeds.from_arrays(sound, made.bundle.graph))
    found = run_int(made.bundle.qgraph, rows)[node.output]
    twin = features.from_table(TABLE)
    real = features.features_float(sound, twin)
    assert tensor.kind == "s8"
    half_step = 0.5 * 2.0**-tensor.frac
    assert np.abs((found - tensor.zero) * 2.0**-tensor.frac - real)[abs(found) < 127].max() <= (
        half_step + 0.02
    )


@pytest.mark.slow
def test_every_tensor_is_exact_on_the_host() -> None:
    made = usual("bands first")
    verdicts = check.check(made, [], number=3)
    assert all(v.exact for v in verdicts)


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["nucleo_f446re", "mps3_an547"])
def test_every_tensor_is_exact_on_cores(name: str) -> None:
    verdicts = check.check(usual("frames first"), [boards.load(name)], number=2)
    assert all(v.exact for v in verdicts)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"kind": "pcm16", "mean": 1.0}, "input.x.mean says nothing of samples"),
        ({"kind": "u8", "features": "mlperf_kws"}, "features are made of samples"),
        ({"kind": "pcm16", "features": "mlperf_kws", "std": 2.0}, "std says nothing of features"),
        ({"kind": "pcm"}, "input.x.kind = 'pcm'. Use u8 or pcm16"),
    ],
)
def test_settings_that_mean_nothing_are_refused(said: dict[str, Any], text: str) -> None:
    with pytest.raises(McuqError) as caught:
        parse({"input": {"x": said}}, "a.toml")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("mlperf_kws", "10 features a frame do not make its shape (1, 1, 12, 16)"),
        ({**TABLE, "points": 500}, "features: an FFT of 500 points is not possible"),
    ],
)
def test_features_that_do_not_suit_the_network_are_refused(table: Any, text: str) -> None:
    with pytest.raises(McuqError) as caught:
        compiled("frames first", table)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("sound", "text"),
    [
        (words(9, SAMPLES) / 32768, "takes whole numbers of 16 bits; these span"),
        (words(9, SAMPLES) * 4.0, "takes whole numbers of 16 bits; these span"),
        (words(9, 500), "shape (9, 500) where input 'x' has (N, 1664)"),
    ],
)
def test_data_that_is_no_sound_is_refused(sound: Array, text: str) -> None:
    with pytest.raises(McuqError) as caught:
        feeds.from_arrays(sound, usual("bands first").bundle.graph)
    assert text in str(caught.value)


class Raw(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(1, 4, 8, stride=8)
        self.out = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.conv(x)).mean(-1))


def test_a_network_may_read_the_samples_themselves() -> None:
    config = Config({"x": InputConfig("pcm16", std=(32768.0,))}, {"effort": "fast"})
    sound = words(12, 256)[:, None]
    made = compile_model(Raw(), torch.zeros(1, 1, 256), sound, name="raw", config=config)
    graph = made.bundle.graph
    rows = feeds.from_arrays(sound[:2], graph)
    found = run_float(graph, {n: v.astype(np.float32) for n, v in rows.items()})
    with torch.no_grad():
        wanted = Raw()(torch.from_numpy(sound[:2] / np.float32(32768))).numpy()
    assert np.allclose(found[graph.outputs[0].tensor].reshape(2, 2), wanted, atol=1e-5)
