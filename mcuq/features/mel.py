"""Mel bands: triangles over the bins of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array

SCALES = ("htk", "slaney")
NORMS = ("none", "slaney")
TRIANGLES = ("hertz", "mel")
_BREAK, _STEP = 1000.0, 200.0 / 3
_RATE = np.log(6.4) / 27.0


@dataclass(frozen=True)
class Mel:
    """``count`` bands from ``low`` to ``high`` Hz, evenly spaced on a mel scale.

    ``scale``: htk is 2595 log10(1 + f / 700); slaney is linear below 1 kHz, logarithmic above.
    ``norm``: slaney gives every triangle the same area. ``triangles``: straight in hertz, as
    librosa and torchaudio have them, or in mel, as TensorFlow and Kaldi do.
    """

    count: int = 40
    low: float = 0.0
    high: float = 8000.0
    scale: str = "htk"
    norm: str = "none"
    triangles: str = "hertz"

    def matrix(self, rate: int, points: int) -> Array:
        """(points / 2 + 1, count) float64."""
        bins = np.arange(points // 2 + 1) * (rate / points)
        low, high = to_mel(np.array([self.low, self.high]), self.scale).tolist()
        corners = np.linspace(low, high, self.count + 2)
        hertz = from_mel(corners, self.scale)
        if self.triangles == "mel":
            found = triangles(to_mel(bins, self.scale), corners)
            found[0] = 0.0  # of what is constant, TensorFlow and Kaldi take nothing
        else:
            found = triangles(bins, hertz)
        if self.norm == "slaney":
            found = found * (2 / (hertz[2:] - hertz[:-2]))
        return found


def triangles(places: Array, corners: Array) -> Array:
    """(n,) and (bands + 2,) -> (n, bands): each rises from a corner to 1 at the next, and falls."""
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (places[:, None] - left) / (middle - left)
    falling = (right - places[:, None]) / (right - middle)
    found: Array = np.maximum(0.0, np.minimum(rising, falling))
    return found


def to_mel(hertz: Array, scale: str) -> Array:
    """Frequencies on a mel scale."""
    above = _BREAK / _STEP + np.log(np.maximum(hertz, _BREAK) / _BREAK) / _RATE
    slaney = np.where(hertz < _BREAK, hertz / _STEP, above)
    mel: Array = 2595.0 * np.log10(1.0 + hertz / 700.0) if scale == "htk" else slaney
    return mel


def from_mel(mel: Array, scale: str) -> Array:
    """The inverse of ``to_mel``."""
    above = _BREAK * np.exp(_RATE * (mel - _BREAK / _STEP))
    slaney = np.where(mel < _BREAK / _STEP, mel * _STEP, above)
    hertz: Array = 700.0 * (10.0 ** (mel / 2595.0) - 1.0) if scale == "htk" else slaney
    return hertz
