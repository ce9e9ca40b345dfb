"""How long a MobileNetV2 takes from random weights to its C, all in 8 bits.

    python -m benchmarks.training.from_scratch [--data cifar10.npz] [--rows N] [--epochs N]

Signed bottlenecks, ReLU6, 32x32 images: it is trained in float, then with the numbers of the chip,
compiled, and run on an emulated Cortex-M4, which must give the same bits. ``--data``: an .npz with
``x_train``, ``y_train``, ``x_test``, ``y_test``, images (N, 32, 32, 3) of bytes; without it
scikit-learn's digits are learned, enlarged. Prints the seconds of each part; exit 1 if the core
computes otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import mcuq
from benchmarks.trained import mobilenet_v2
from mcuq import train

BOARD = "mps2_an386"
TYPICAL = 128
LAST = 1 / 3
"""Of the epochs: those with the numbers of the chip."""


@dataclass(frozen=True)
class Data:
    """(N, C, 32, 32) images in 0..1, and classes."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


class Clock:
    """Prints how long each part took, in seconds of wall and of processor time."""

    def __init__(self) -> None:
        self.start = self.first = time.perf_counter(), time.process_time()

    def lap(self, text: str) -> None:
        """The part that ends now."""
        now = time.perf_counter(), time.process_time()
        say(text, now[0] - self.start[0], now[1] - self.start[1])
        self.start = now

    def end(self) -> None:
        """All parts together."""
        say("altogether", *(n() - f for n, f in zip(_CLOCKS, self.first, strict=True)))


_CLOCKS: tuple[Callable[[], float], ...] = (time.perf_counter, time.process_time)


def say(text: str, wall: float, processor: float) -> None:
    """A line of the table."""
    print(f"{text:<52} {wall:7.1f} s, processor {processor:7.1f} s", flush=True)


def digits() -> Data:
    """scikit-learn's 8x8 digits, enlarged; every fourth is for the test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    small = torch.from_numpy(found.images[:, None].astype(np.float32) / 16)
    x = functional.interpolate(small, scale_factor=4.0, mode="bilinear")
    y = torch.from_numpy(found.target.astype(np.int64))
    held = torch.arange(len(x)) % 4 == 3
    return Data(x[~held], y[~held], x[held], y[held])


def load(path: Path, rows: int | None) -> Data:
    """The images of a file, ``rows`` of those to learn from."""
    with np.load(path) as file:
        x, x_test = (
            torch.from_numpy(file[name].astype(np.float32).transpose(0, 3, 1, 2) / 255)
            for name in ("x_train", "x_test")
        )
        y, y_test = (torch.from_numpy(file[n].astype(np.int64)) for n in ("y_train", "y_test"))
    return Data(x[:rows], y[:rows], x_test, y_test)


def run(data: Data, epochs: int, clock: Clock) -> bool:
    """All parts; whether the core gives the same bits."""
    torch.manual_seed(0)
    network: nn.Module = mobilenet_v2(int(data.y.max()) + 1, data.x.shape[1])
    last = max(1, round(epochs * LAST))
    train.fit(network, data.x, data.y, epochs=epochs - last, learning_rate=3e-3)
    clock.lap(f"float, {epochs - last} epochs: {share(network, data)}")
    steps = last * -(-len(data.x) // 64)
    prepared = train.prepare(network, data.x[:TYPICAL], freeze=steps * 2 // 3)
    train.fit(prepared, data.x, data.y, epochs=last, learning_rate=5e-4)
    clock.lap(f"8 bits, {last} epochs: {share(prepared, data)}")
    model = mcuq.compile(train.finish(prepared), name="net", board=BOARD)
    clock.lap(f"C, {model.report.flash_weights:,} bytes of weights")
    verdict = model.check([BOARD])[-1]
    clock.lap(f"{BOARD}: {verdict.instructions:,} instructions, exact: {verdict.exact}")
    clock.end()
    return bool(verdict.exact)


def share(module: nn.Module, data: Data) -> str:
    """The accuracy on the test images."""
    return f"{100 * train.accuracy(module, data.x_test, data.y_test):.1f} %"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.from_scratch")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, help="of the data, to learn from")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    data = digits() if given.data is None else load(given.data, given.rows)
    print(f"{len(data.x)} images of {data.x.shape[1]}x32x32, {given.threads} threads", flush=True)
    return 0 if run(data, given.epochs, Clock()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
