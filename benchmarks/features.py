"""Features of sound on emulated cores, and how near they are to float: markdown tables.

    python -m benchmarks.features [core ...]

A frame is what seven frames take more than three, by four. Beside it TensorFlow's micro front end
with its 16-bit FFT (30/20 ms, 512 points, 40 bands, no noise reduction, measured in the same way).
Speech: the data set in ``../shared`` where it is, else seeded sound that is shaped like speech.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.made.speech import words
from mcuq import features
from mcuq.features import Features
from mcuq.features.twin import graph_of
from mcuq.ir import Array, Graph
from mcuq.measure.bench import Bench, bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.ops.parts import spectrum
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

SPEECH = Path(__file__).parents[2] / "shared" / "data" / "fsdd.npz"
CORES = {"M0": "mps2_an385_m0", "M4": "mps2_an386", "M55": "mps3_an547", "RV32": "riscv32_virt"}
_LOG_MEL = {"edge": "none", "mels": 40}
CASES: dict[str, tuple[Features, dict[str, int], dict[str, int]]] = {
    "512 points, 40 bands, log": (
        features.recipe("torchaudio_mel", frame=512, hop=256, **_LOG_MEL),
        {"M0": 190_000, "M4": 60_000, "M55": 20_000},
        {"M0": 193_000, "M4": 88_800, "M55": 86_700},
    ),
    "1024 points, 40 bands, log": (
        features.recipe("torchaudio_mel", points=1024, frame=1024, hop=512, **_LOG_MEL),
        {"M4": 120_000},
        {},
    ),
    **{name: (features.recipe(name), {}, {}) for name in features.RECIPES},
}
LONG, SHORT = 7, 3


def speech(count: int) -> Array:
    """(count, 16000) int16."""
    if not SPEECH.exists():
        return words(count)
    with np.load(SPEECH) as file:
        pcm, ends = file["pcm"], file["offsets"][1::60][:count]
    return np.stack([pcm[end : end + 16000] for end in ends])


def measured(made: Features, frames: int, core: str) -> Bench:
    """One inference of features alone; centred ones are measured without their edges."""
    plain = features.Features(**{**vars(made), "edge": "none"})
    graph = graph_of(plain, plain.samples(frames) + plain.hop)
    sound = speech(4)[:, : graph.inputs[0].shape[1]]
    qgraph = quantize(graph, {"samples": sound}, Options("fast", "minmax"))
    rows = feeds_to_int(qgraph, {"samples": sound})
    empty = Graph("features", (), (), (), {})
    bundle = Bundle("features", "", "", None, "balanced", empty, qgraph, rows)
    board = boards.load(CORES[core])
    return bench(generate(bundle, board), board)


def costs(cores: list[str]) -> Iterator[tuple[str, ...]]:
    """Features, core, kernel, instructions of a frame, target, micro front end."""
    for name, (made, targets, others) in CASES.items():
        for core in cores:
            long, short = (measured(made, frames, core) for frames in (LONG, SHORT))
            frame = (long.instructions - short.instructions) / (LONG - SHORT)
            beside = (f"{v[core]:,}" if core in v else "" for v in (targets, others))
            yield name, core, long.steps[0].kernel, f"{frame:,.0f}", *beside


def spectra() -> Iterator[tuple[str, ...]]:
    """Points, level, median and least SNR of the FFT over frames of speech that are not silent."""
    for points in (64, 128, 256, 512, 1024, 2048):
        for level in (0, -20, -40):
            found = [_snr(row, points, level) for row in speech(12)]
            ratios = np.concatenate(found)
            yield str(points), f"{level}", f"{np.median(ratios):.1f}", f"{ratios.min():.1f}"


def _snr(sound: Array, points: int, level: float) -> Array:
    frames = sound[: len(sound) // points * points].reshape(-1, points).astype(np.float64)
    peak = np.abs(frames).max(axis=1, keepdims=True)
    frames = frames[peak[:, 0] > 1000] / peak[peak[:, 0] > 1000]
    taken = np.round(frames * 32767 * 10 ** (level / 20)).astype(np.int64)
    window = np.round(32767 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)))
    doubled = spectrum.headroom(taken)[:, None]
    v = spectrum.halved((taken << 15) << doubled, window.astype(np.int64))
    re, im = spectrum.half_spectrum(v)
    real = np.fft.rfft(taken * 2.0**doubled * window / 2) * 2 / points
    error = np.sum((re - real.real) ** 2 + (im - real.imag) ** 2, axis=1)
    ratio: Array = 10 * np.log10(np.sum(np.abs(real) ** 2, axis=1) / error)
    return ratio


def logarithms() -> Iterator[tuple[str, ...]]:
    """Level, error of log-mel in dB (rms, max), over bands above -80 dB of full scale."""
    made = features.recipe("torchaudio_mel", log="db", added=0.0, floor=1e-12, **_LOG_MEL)
    sine = np.round(32767 * np.sin(2 * np.pi * 1000 / 16000 * np.arange(1600))).astype(np.int16)
    full = float(features.features_float(sine, made).max())
    for level in (0, -12, -24, -40):
        sound = np.round(speech(12) * 10 ** (level / 20)).astype(np.int16)
        real = features.features_float(sound, made)
        found = features.features_int(sound, made, 8) / 256
        error = (found - real)[real > full - 80]
        yield f"{level}", f"{np.sqrt(np.mean(error**2)):.4f}", f"{np.abs(error).max():.3f}"


def table(titles: str, rows: Iterator[tuple[str, ...]]) -> None:
    """Print a table as it comes."""
    print(f"| {titles} |\n|{'---|' * (titles.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def main() -> None:
    """Print the tables."""
    table("features | core | kernel | a frame | target | micro front end",
          costs(sys.argv[1:] or list(CORES)))  # fmt: skip
    table("FFT of speech | level dB | SNR median | least (target 84)", spectra())
    table("level dB | log-mel error dB rms (target 0.05) | max", logarithms())


if __name__ == "__main__":
    main()
