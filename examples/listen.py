"""The word demo: from microphone samples to scores, on two emulated boards, as a stream.

Run it with ``python examples/listen.py``. ``word.onnx`` (``train_word.py``) hears "mia" in windows
of 40 frames of features. Its stream takes the 160 samples of one hop a call, makes their features,
and keeps what it needs; behind the scores it decides: their mean, hysteresis, and half a second in
which the word does not begin again. Everything is written to ``build/listen``, with a picture.
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
CONFIG = {
    "input": {"bands": {"kind": "pcm16", "features": TABLE}},
    "output": {"heard": {"decide": {"mean": 3, "on": 0.5, "off": 0.3, "refractory": 25}}},
}


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
        found.append(here.run(name, steps_of(sound)))
        told = f"{verdict.tensors} tensors {'exact' if verdict.exact else 'DIFFER'}"
        cost = f"{verdict.instructions:,} instructions for {1000 * MADE.hop // RATE} ms of sound"
        print(f"{name}: {told}, {cost}")
    scores, begins = found[0]["heard"].reshape(-1), found[0]["heard_decision"][:, 0]
    (OUT / "scores.svg").write_text(picture(sound, scores, ends))
    heard = [round(float(step + 1) * MADE.hop / RATE, 2) for step in np.flatnonzero(begins)]
    print(f"said at: {[round(when, 2) for when, word in ends.items() if word == WORD]} s")
    print(f"heard at: {heard} s; the scores are in {OUT}/scores.svg")
    right = len(heard) == said.split().count(WORD)
    same = all(np.array_equal(found[0][key], found[1][key]) for key in found[0])
    raise SystemExit(0 if exact and right and same else 1)


if __name__ == "__main__":
    main()
