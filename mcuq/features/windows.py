"""Windows of frames, (n,) float64, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mcuq.ir import Array


def _raised(first: float, periods: float, start: float = 0.0) -> Callable[[int], Array]:
    """First - (1 - first) cos of 2 pi (i + start) / (n + periods)."""

    def made(n: int) -> Array:
        angle = 2 * np.pi * (np.arange(n) + start) / max(n + periods, 1)
        values: Array = first - (1 - first) * np.cos(angle)
        return values

    return made


def _povey(n: int) -> Array:
    """Kaldi's: a symmetric Hann window to the power of 0.85."""
    values: Array = _raised(0.5, -1.0)(n) ** 0.85
    return values


WINDOWS: Mapping[str, Callable[[int], Array]] = {
    "hann": _raised(0.5, 0.0),
    "hann_symmetric": _raised(0.5, -1.0),
    "hann_halfway": _raised(0.5, 0.0, 0.5),
    "hamming": _raised(0.54, 0.0),
    "hamming_symmetric": _raised(0.54, -1.0),
    "povey": _povey,
    "rectangular": lambda n: np.ones(n),
}
