"""The word demo: from microphone samples to scores, on two emulated boards, as a stream.

Run it with ``python examples/listen.py``. ``word.onnx`` (``train_word.py``) hears "mia" in windows
of 40 frames of features. Its stream takes the 160 samples of one hop a call, makes their features,
and keeps what it needs. Everything is written to ``build/listen``, with a picture of the scores.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import mcuq
from mcuq.config import parse
from mcuq.draw.curves import Curve, Mark, curves

sys.path.insert(0, str(Path(__file__).parent))
from train_word import HERE, MADE, RATE, TABLE, WORD, recording, windows

OUT = Path("build/listen")
BOARDS = ("nucleo_f446re", "raspberry_pi_pico")
SAID = "sia mia mua mai mia oma ami mia si"
CONFIG = {"input": {"bands": {"kind": "pcm16", "features": TABLE}}}


def compiled() -> mcuq.Model:
    """The stream for the first board; a step takes one hop of samples."""
    sound, _ = windows(96, 2)
    config = parse(CONFIG, "listen")
    options = {"board": BOARDS[0], "config": config, "stream": f"frames={MADE.hop}"}
    return mcuq.compile(HERE / "word.onnx", None, sound, **options)


def steps_of(sound: np.ndarray) -> np.ndarray:
    """(T, 1, hop): what the microphone gives, a row a step."""
    whole = len(sound) - len(sound) % MADE.hop
    return sound[:whole].reshape(-1, 1, MADE.hop)


def picture(sound: np.ndarray, scores: np.ndarray, ends: dict[float, str]) -> str:
    """The loudness of the sound and the scores over time, as SVG."""
    loud = np.abs(steps_of(sound).astype(float)).max(axis=(1, 2)) / 32768
    time = (np.arange(len(scores)) + 1) * MADE.hop / RATE
    told = f"Scores of the word {WORD} while {SAID} is said; marks stand where each word ends."
    lines = (Curve("loudness", time, loud), Curve(f"score of {WORD}", time, scores))
    marks = tuple(Mark(when, word) for when, word in ends.items())
    return curves("A stream of samples", told, lines, marks, "seconds").svg


def main(said: str = SAID, vectors: int = 4) -> None:
    """Compile, check and listen on both boards; exit 1 if they differ, or mishear."""
    model, found, exact = compiled(), [], True
    print(f"word.onnx: {model.advice[0]}")
    sound, ends = recording(said, 3)
    for name in BOARDS:
        here = model if name == BOARDS[0] else mcuq.retarget(OUT / BOARDS[0], name)
        here.write(OUT / name)
        _, verdict = here.check(name, vectors)
        exact = exact and verdict.exact
        found.append(here.run(name, steps_of(sound))["heard"].reshape(-1))
        told = f"{verdict.tensors} tensors {'exact' if verdict.exact else 'DIFFER'}"
        cost = f"{verdict.instructions:,} instructions for {1000 * MADE.hop // RATE} ms of sound"
        print(f"{name}: {told}, {cost}")
    stream = model.report.stream
    scores = found[0] * (np.arange(len(found[0])) >= (stream.warmup if stream else 0))
    (OUT / "scores.svg").write_text(picture(sound, scores, ends))
    high = np.flatnonzero((scores > 0.5) & (np.concatenate([[0], scores[:-1]]) <= 0.5))
    heard = [round(float(step + 1) * MADE.hop / RATE, 2) for step in high]
    print(f"said at: {[round(when, 2) for when, word in ends.items() if word == WORD]} s")
    print(f"heard at: {heard} s; the scores are in {OUT}/scores.svg")
    right = len(heard) == said.split().count(WORD)
    raise SystemExit(0 if exact and right and np.array_equal(*found) else 1)


if __name__ == "__main__":
    main()
