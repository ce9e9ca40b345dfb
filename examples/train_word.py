"""Make words out of numbers, train a network that hears one of them, and export it: ``word.onnx``.

Speech here is a buzz of a gliding pitch through moving resonances, and hiss: enough to tell "mia"
from "mai". The network reads 40 frames of 20 bands that ``mcuq.features`` makes in integers, as the
C will. Takes about a minute; the exported file stands beside this script, so nobody has to run it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from train_digits import strip_metadata

from mcuq import features

HERE = Path(__file__).parent
RATE = 8000
FRAMES = 40
TABLE = {"recipe": "torchaudio_mel", "rate": RATE, "edge": "none", "frame": 256, "hop": 160,
         "points": 256, "window": "hamming", "mels": 20, "low": 100, "high": 3800}  # fmt: skip
MADE = features.from_table(TABLE)
WINDOW = MADE.samples(FRAMES)
WORD = "mia"
OTHERS = ("mai", "sia", "mua", "ami", "mi", "oma", "aim", "sua", "ma", "mio", "ea", "ia", "si")
FORMANTS = {"i": (290, 2200, 3000), "e": (480, 1900, 2600), "a": (760, 1250, 2500),
            "o": (480, 850, 2400), "u": (320, 750, 2300), "m": (250, 1000, 2200)}  # fmt: skip


def spoken(word: str, chance: np.random.Generator) -> np.ndarray:
    """(samples,) floats within +-1: the word, by a voice and at a speed of its own."""
    lengths = (RATE * chance.uniform(0.10, 0.20, len(word))).astype(int)
    time = np.arange(lengths.sum())
    centres = np.cumsum(lengths) - lengths / 2
    size, pitch = chance.uniform(0.9, 1.15), chance.uniform(90, 220)
    glide = pitch * (1 + chance.uniform(-0.2, 0.2) * time / len(time))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    voiced = np.interp(time, centres, [0.0 if c == "s" else 1.0 - 0.6 * (c == "m") for c in word])
    known = [FORMANTS.get(c, FORMANTS["i"]) for c in word]
    sound = np.zeros(len(time))
    for place in range(3):
        formant = size * np.interp(time, centres, [each[place] for each in known])
        for harmonic in range(1, int(3800 / pitch)):
            away = (harmonic * glide - formant) / 90
            sound += np.sin(harmonic * phase) / (1 + away**2) / (1 + place)
    hiss = np.diff(chance.normal(size=len(time) + 1)) * (1 - voiced) * ("s" in word)
    edge = np.minimum(1, np.minimum(time, time[::-1]) / (0.02 * RATE))
    found = (voiced * sound / np.abs(sound).max() + 0.2 * hiss) * edge
    return found / np.abs(found).max()


def recording(words: str, seed: int, pause: float = 0.45) -> tuple[np.ndarray, dict[float, str]]:
    """(samples,) int16 of words with pauses, over noise; and when each ends, in seconds."""
    chance = np.random.default_rng(seed)
    parts, ends = [np.zeros(WINDOW)], {}
    for word in words.split():
        parts += [chance.uniform(0.3, 0.9) * spoken(word, chance)]
        ends[sum(map(len, parts)) / RATE] = word
        parts += [np.zeros(int(RATE * pause))]
    sound = np.concatenate(parts)
    sound += chance.normal(size=len(sound)) * 0.01
    return np.round(20000 * sound).astype(np.int16), ends


def window(word: str, late: float, chance: np.random.Generator) -> np.ndarray:
    """(WINDOW,) int16 whose word ended ``late`` seconds ago, perhaps behind another one."""
    before = spoken(str(chance.choice(OTHERS)), chance) if chance.random() < 0.5 else np.zeros(1)
    pause, after = np.zeros(RATE // 4), np.zeros(max(0, int(late * RATE)))
    parts = [np.zeros(WINDOW), before, pause, spoken(word, chance), after]
    sound = np.concatenate(parts)
    sound = sound[: len(sound) + min(0, int(late * RATE))][-WINDOW:]
    sound = sound * chance.uniform(0.2, 1) + chance.normal(size=WINDOW) * chance.uniform(0, 0.03)
    return np.round(20000 * sound).clip(-32768, 32767).astype(np.int16)


def windows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, WINDOW) int16, and 1 where "mia" has just been said; a third of them."""
    chance = np.random.default_rng(seed)
    rows, said = [], []
    for index in range(count):
        if index % 3 == 0:
            word, late = WORD, chance.uniform(0.0, 0.12)
        elif index % 3 == 1:
            word, late = str(chance.choice(OTHERS)), chance.uniform(-0.2, 0.5)
        else:  # too early to tell
            word, late = WORD, chance.uniform(-0.4, -0.12)
        rows.append(window(word, late, chance))
        said.append(float(index % 3 == 0))
    return np.stack(rows), np.array(said, np.float32)


class Hears(nn.Module):
    """(N, 20, 40) bands of frames -> (N, 1): how likely the word has just been said.

    Convolutions without padding, so that its stream has the bits of the window network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(20, 16, 5)
        self.second = nn.Conv1d(16, 16, 5, dilation=2)
        self.third = nn.Conv1d(16, 16, 5, dilation=4)
        self.score = nn.Linear(16 * 12, 1)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(bands))
        x = torch.relu(self.second(x))
        return torch.sigmoid(self.score(torch.relu(self.third(x)).flatten(1)))


def inputs_of(sound: np.ndarray) -> torch.Tensor:
    """(N, WINDOW) int16 -> what the network reads: the integers of the C, as reals."""
    return torch.from_numpy(features.features_real(sound, MADE)).transpose(1, 2)


def train(epochs: int = 30) -> Hears:
    """The trained network, in eval mode."""
    torch.manual_seed(0)
    sound, said = windows(3000, 0)
    x, y = inputs_of(sound), torch.from_numpy(said)[:, None]
    model = Hears()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.binary_cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def main() -> None:
    """Train, report the held-out accuracy, and export."""
    model = train()
    sound, said = windows(600, 1)
    with torch.no_grad():
        found = model(inputs_of(sound))[:, 0].numpy() > 0.5
    print(f"held-out windows: {(found == said).mean():.4f}")
    names = {"input_names": ["bands"], "output_names": ["heard"]}
    example = (torch.zeros(1, 20, FRAMES),)
    exported = torch.onnx.export(model, example, verbose=False, **names).model_proto
    strip_metadata(exported)
    onnx.save(exported, HERE / "word.onnx")


if __name__ == "__main__":
    main()
