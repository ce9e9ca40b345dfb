"""Features in float against their published definitions, written anew here; integers against those.

The definitions: TensorFlow's ``signal`` (MLPerf Tiny's), librosa 0.10, torchaudio, Kaldi's
``feature-fbank``, and TensorFlow's micro front end without noise reduction and gain control.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import mcuq.features as features
from benchmarks.made.speech import word
from mcuq.errors import McuqError
from mcuq.ir import Array
from mcuq.ops.parts import spectrum

SOUND = word(1).astype(np.float64)
UNIT = SOUND / 32768


def frames(x: Array, length: int, hop: int) -> Array:
    count = 1 + (len(x) - length) // hop
    return np.stack([x[i * hop : i * hop + length] for i in range(count)])


def mel_1127(hertz: Array) -> Array:
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


def bands_in_mel(rate: int, points: int, count: int, low: float, high: float) -> Array:
    """Bin by bin, band by band; the bin of what is constant takes no part."""
    edges = np.linspace(mel_1127(np.array(low)), mel_1127(np.array(high)), count + 2)
    found = np.zeros((points // 2 + 1, count))
    for k in range(1, points // 2 + 1):
        place = mel_1127(np.array(k * rate / points))
        for band in range(count):
            left, middle, right = edges[band : band + 3]
            if left < place <= middle:
                found[k, band] = (place - left) / (middle - left)
            elif middle < place < right:
                found[k, band] = (right - place) / (right - middle)
    return found


def bands_in_hertz(corners: Array, rate: int, points: int) -> Array:
    bins = np.arange(points // 2 + 1) * rate / points
    return np.stack(
        [np.interp(bins, corners[i : i + 3], [0, 1, 0], 0, 0) for i in range(len(corners) - 2)],
        axis=1,
    )


def dct_ortho(logs: Array, kept: int) -> Array:
    count = logs.shape[1]
    rows = np.cos(np.pi / count * np.outer(np.arange(kept), np.arange(count) + 0.5))
    rows *= np.sqrt(2 / count)
    rows[0] *= np.sqrt(0.5)
    return logs @ rows.T


def mlperf_kws() -> Array:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(480) / 480)
    size = np.abs(np.fft.rfft(frames(UNIT, 480, 320) * window, 512))
    logs = np.log(size @ bands_in_mel(16000, 512, 40, 20.0, 4000.0) + 1e-6)
    n = np.arange(40)
    rows = [2 * np.cos(np.pi * k * (2 * n + 1) / 80) / np.sqrt(80) for k in range(10)]
    return logs @ np.stack(rows, axis=1)


def mlperf_sww() -> Array:
    emphasised = UNIT - (1 - 2**-5) * np.concatenate([[0.0], UNIT[:-1]])
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(1024) / 1023)
    power = np.abs(np.fft.rfft(frames(emphasised, 1024, 512) * window)) ** 2 / 1024
    energy = 10 * np.log10(power @ bands_in_mel(16000, 1024, 40, 0.0, 8000.0))
    return np.clip((energy + 52) / 64, 0, 1)


def tensorflow_micro() -> Array:
    window = 0.5 - 0.5 * np.cos(2 * np.pi / 480 * (np.arange(480) + 0.5))
    power = np.abs(np.fft.rfft(frames(SOUND, 480, 320) * window, 512)) ** 2
    root = np.sqrt(power @ bands_in_mel(16000, 512, 40, 125.0, 7500.0))
    return np.maximum(64 * np.log(root), 0) * 10 / 256


def torchaudio_mel() -> Array:
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400), 56)
    padded = np.pad(UNIT, 256, mode="reflect")
    power = np.abs(np.fft.rfft(frames(padded, 512, 160) * window)) ** 2
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)
    return np.log(power @ bands_in_hertz(700 * (10 ** (mels / 2595) - 1), 16000, 512) + 1e-6)


def librosa_mel() -> Array:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    power = np.abs(np.fft.rfft(frames(np.pad(UNIT, 1024), 2048, 512) * window)) ** 2
    top = 15 + np.log(11.025) / (np.log(6.4) / 27)
    mels = np.linspace(0, top, 130)
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((np.maximum(mels, 15) - 15) / 27))
    weights = bands_in_hertz(corners, 22050, 2048) * (2 / (corners[2:] - corners[:-2]))
    return 10 * np.log10(np.maximum(power @ weights, 1e-10))


def kaldi_fbank() -> Array:
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    taken = frames(SOUND, 400, 160)
    taken = taken - taken.mean(axis=1, keepdims=True)
    before = np.concatenate([taken[:, :1], taken[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft((taken - 0.97 * before) * window, 512)) ** 2
    return np.log(power @ bands_in_mel(16000, 512, 80, 20.0, 8000.0))


DEFINITIONS: dict[str, Callable[[], Array]] = {
    "mlperf_kws": mlperf_kws,
    "mlperf_sww": mlperf_sww,
    "tensorflow_micro": tensorflow_micro,
    "torchaudio_mel": torchaudio_mel,
    "torchaudio_mfcc": lambda: dct_ortho(torchaudio_mel(), 13),
    "librosa_mel": librosa_mel,
    "librosa_mfcc": lambda: dct_ortho(librosa_mel(), 20),
    "kaldi_fbank": kaldi_fbank,
}


@pytest.mark.parametrize("name", features.RECIPES)
def test_each_recipe_is_what_was_published(name: str) -> None:
    found = features.features_float(SOUND, features.recipe(name))
    wanted = DEFINITIONS[name]()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("name", "frac", "rms", "decibels"),
    [
        # 0.05 dB rms in the units of each: ln of powers 4.34 dB, of magnitudes 8.69.
        ("mlperf_kws", 8, 0.05 / 8.69 * np.sqrt(2), 0),
        ("mlperf_sww", 14, 0.05 / 64, 0),
        ("tensorflow_micro", 9, 0.05 / 4.34 * 1.25, 0),
        ("torchaudio_mel", 10, 0.05 / 4.34, 0),
        ("kaldi_fbank", 10, 0.05 / 4.34, 0),
        ("kaldi_fbank", 10, 0.05 / 4.34, -40),
        ("librosa_mel", 8, 0.05, -20),
    ],
)
def test_integers_are_within_a_twentieth_of_a_decibel(
    name: str, frac: int, rms: float, decibels: float
) -> None:
    made = features.recipe(name)
    sound = np.round(SOUND * 10 ** (decibels / 20)).astype(np.int16)
    real = features.features_float(sound, made)
    found = features.features_int(sound, made, frac) * 2.0**-frac
    # Bands more than 80 dB below full scale are let be: what is left of them is rounding.
    loud = ~np.isclose(real, real.min(), atol=1e-9)
    assert np.sqrt(np.mean((found - real)[loud] ** 2)) <= rms


@pytest.mark.parametrize("points", [64, 128, 256, 512, 1024, 2048])
@pytest.mark.parametrize("decibels", [0, -20, -40])
def test_the_spectrum_of_speech_is_clean_at_any_level(points: int, decibels: float) -> None:
    """At least 84 dB in every frame that is not silent; frames are scaled up as the kernels do."""
    taken = frames(SOUND, points, points)
    peak = np.abs(taken).max(axis=1, keepdims=True)
    loud = (peak > 1000)[:, 0]
    taken = np.round(taken[loud] / peak[loud] * 32767 * 10 ** (decibels / 20)).astype(np.int64)
    window = np.round(32767 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)))
    doubled = spectrum.headroom(taken)[:, None]
    v = spectrum.halved((taken << 15) << doubled, window.astype(np.int64))
    re, im = spectrum.half_spectrum(v)
    real = np.fft.rfft(taken * 2.0**doubled * window / 2) * 2 / points
    error = np.sum((re - real.real) ** 2 + (im - real.imag) ** 2, axis=1)
    assert 10 * np.log10(np.sum(np.abs(real) ** 2, axis=1) / error).min() >= 84


def test_real_features_are_the_integers() -> None:
    made = features.recipe("mlperf_kws")
    q = features.features_int(SOUND, made, 7)
    assert q.dtype == np.int16
    assert np.array_equal(features.features_real(SOUND, made, 7), q / 128)
    rows = np.stack([SOUND, SOUND[::-1]])
    assert np.array_equal(features.features_int(rows, made, 7)[0], q)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("mlperf_kwz", "no recipe 'mlperf_kwz'. Did you mean 'mlperf_kws'"),
        ({"recipe": "mlperf_kws", "rate": 22050, "hop_ms": 10}, "10 is 220.5 samples at 22050 Hz"),
        ({"points": 400}, "an FFT of 400 points is not possible. Use a power of two in 64..2048"),
        ({"frame": 600}, "a frame of 600 samples is longer than the FFT, 512"),
        ({"rate": 8000, "high": 7500.0}, "sound at 8000 Hz has no 7500 Hz. Lower high to 4000"),
        ({"low": 500.0, "high": 400.0}, "its bands go from 500 to 400 Hz"),
        ({"mels": 200}, "bands hold no bin of 512 points"),
        ({"mels": 10, "cepstra": 12}, "12 cepstra of 10 bands"),
        ({"full_scale": 1e38}, "full_scale is 1e+38"),
        ({"full_scale": 1e-29}, "full_scale is 1e-29"),
        ({"factor": 1e38}, "factor is 1e+38"),
        ({"limits": [2.0, -2.0]}, "limits go from 2 to -2"),
        ({"limits": [1.0, 1.0]}, "limits go from 1 to 1"),
        ({"edge": "reflect", "preemphasis": 0.97}, "ambiguous"),
        ({"window": "kaiser"}, "window is 'kaiser', not one of hann"),
        ({"hopp": 1}, "unknown key hopp"),
        (7, "is neither a recipe's name nor a table"),
    ],
)
def test_impossible_features_are_refused_in_a_line(given: object, text: str) -> None:
    with pytest.raises(McuqError) as caught:
        features.from_table(given)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lower_rate_lowers_the_bands() -> None:
    assert features.recipe("torchaudio_mel", rate=8000, mels=40).bands.high == 4000.0
