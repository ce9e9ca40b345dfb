"""Seeded sound that is shaped like speech: a gliding pitch through moving resonances, and noise."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Array


def word(seed: int, samples: int = 16000, rate: int = 16000, peak: float = 20000.0) -> Array:
    """(samples,) int16: a few voiced and hissing syllables between pauses."""
    chance = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    pitch = chance.uniform(90, 220) * (1 + 0.15 * np.sin(2 * np.pi * chance.uniform(1, 3) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    found = np.zeros(samples)
    for formant in chance.uniform((250, 900, 2200), (850, 2200, 3300)):
        moved = formant * (1 + 0.2 * np.sin(2 * np.pi * chance.uniform(2, 6) * time))
        for harmonic in range(1, 20):
            away = (harmonic * pitch - moved) / 180
            found += np.sin(harmonic * phase) / (1 + away**2)
    noise = chance.normal(size=samples)
    found += 0.6 * (noise - np.roll(noise, 1)) * (np.sin(2 * np.pi * 3.1 * time) > 0.7)
    loud = np.clip(np.sin(2 * np.pi * chance.uniform(1.5, 3) * time + chance.uniform(0, 6)), 0, 1)
    found = found * loud + 0.001 * chance.normal(size=samples)
    result: Array = np.round(found / np.abs(found).max() * peak).astype(np.int16)
    return result


def words(count: int, samples: int = 16000, first: int = 0) -> Array:
    """(count, samples) int16."""
    return np.stack([word(first + i, samples) for i in range(count)])
