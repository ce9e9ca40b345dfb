"""The article's CIFAR-10 network, quantized and pruned so that it arrives on a microcontroller.

    python examples/article.py [--data cifar10.npz] [--epochs 12] [--board mps2_an386]

Its two sections, *quantize* and *prune*, are what ``mcuq.train`` does, and the table at the end
says what each gives. ``--data``: an .npz with ``x_train``, ``y_train``, ``x_test``, ``y_test``, or
with ``x`` and ``y``, of which every fifth row is kept for the test; or an .npy with the images and
``--labels`` with their classes. Images are (N, 32, 32, 3) or (N, 3, 32, 32), bytes or reals in
0..1. Without data it learns seeded pictures of ten kinds that are made here: then only the costs
mean something.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mcuq
from mcuq import train
from mcuq.cli.show import say, table

BOARD = "mps2_an386"
"""A Cortex-M4 that QEMU has, with room for all of it."""
HIDDEN = 1024
"""Between the two linear layers."""
TYPICAL = 128
STEPS = (0.35, 0.7)
"""The share of the MACs that is gone with the channels after each step."""


class ArticleNet(nn.Module):
    """Two convolutions with pooling, and two linear layers that have nearly all of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 8 * 8, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, 10)
        self.dropout = nn.Dropout(0.3)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 32, 32) in 0..1 -> (N, 10) logits."""
        x = self.pool(torch.relu(self.conv1(images)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.dropout(x))


@dataclass(frozen=True)
class Data:
    """(N, 3, 32, 32) images in 0..1, and classes."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, quantize, prune, do both, and print the table; exit 1 if a core computes otherwise."""
    given = _parser().parse_args(arguments)
    torch.manual_seed(0)
    data = stand_in(given.rows) if given.data is None else load(given.data, given.labels)
    short = max(1, given.epochs // 3)
    network = ArticleNet()
    fit(network, data, given.epochs)
    say(f"trained on {len(data.x)} images; now with the numbers of the chip")
    quantized = quantize(network, data, short)
    pruned = prune(network, data, short)
    both = quantize(pruned, data, short)
    rows = [
        in_float("float", network, data),
        on_board("quantized", quantized, data, given.board),
        in_float("pruned", pruned, data),
        on_board("both", both, data, given.board),
    ]
    columns = ("network", "#accuracy %", "#flash B", "#RAM B", "#instructions")
    table(f"The article's network ({len(data.x_test)} test images; {given.board})", columns, rows)
    say("float, pruned: 4 bytes a weight, no code; the integers' flash and RAM are all they need.")


def fit(module: nn.Module, data: Data, epochs: int, rate: float = 1e-3) -> None:
    """The training loop of all of them: any loop will do."""
    chance = torch.Generator().manual_seed(0)
    train.fit(
        module, data.x, data.y, epochs=epochs, learning_rate=rate, augment=mirrored(chance)
    )  # fmt: skip


def mirrored(chance: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Half of the images the other way round."""

    def augment(images: Tensor) -> Tensor:
        chosen = torch.rand(len(images), 1, 1, 1, generator=chance) < 0.5
        return torch.where(chosen, images.flip(-1), images)

    return augment


def quantize(network: nn.Module, data: Data, epochs: int) -> train.Prepared:
    """The article's first section: train with the rounding, and the C computes the same."""
    prepared = train.prepare(network, data.x[:TYPICAL])
    fit(prepared, data, epochs, 3e-4)
    return prepared


def prune(network: nn.Module, data: Data, epochs: int) -> nn.Module:
    """Its second section: whole channels go, in steps, so that less is stored and computed."""
    small = network
    for amount in STEPS:
        small = train.shrink(small, data.x[:TYPICAL], amount, of=network)
        fit(small, data, epochs, 5e-4)
    return small


def in_float(name: str, module: nn.Module, data: Data) -> tuple[object, ...]:
    """A row of the table: what the weights of a float network would need, and no more is known."""
    share = train.accuracy(module, data.x_test, data.y_test)
    weights = 4 * sum(p.numel() for p in module.parameters())
    return name, f"{100 * share:.1f}", weights, "", ""


def on_board(name: str, module: train.Prepared, data: Data, board: str) -> tuple[object, ...]:
    """A row of the table: compiled, checked on the emulated core, and counted."""
    share = train.accuracy(module, data.x_test, data.y_test)
    model = mcuq.compile(train.finish(module), name=f"article_{name}", board=board)
    verdict = model.check([board])[-1]
    if not verdict.exact:
        raise SystemExit(f"{name}: {verdict.first}")
    return name, f"{100 * share:.1f}", verdict.flash, verdict.ram, verdict.instructions


def load(path: Path, labels: Path | None) -> Data:
    """The images and classes of files (the module's docstring says which)."""
    if labels is not None:
        return _split(np.load(path), np.load(labels))
    with np.load(path) as file:
        if "x_train" in file:
            parts = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
            x, y, x_test, y_test = parts
            return Data(_images(x), _classes(y), _images(x_test), _classes(y_test))
        return _split(file["x"], file["y"])


def _split(x: np.ndarray, y: np.ndarray) -> Data:
    held = np.arange(len(x)) % 5 == 4
    return Data(_images(x[~held]), _classes(y[~held]), _images(x[held]), _classes(y[held]))


def _images(x: np.ndarray) -> Tensor:
    scaled = x.astype(np.float32) / (255 if x.dtype == np.uint8 else 1)
    ordered = scaled.transpose(0, 3, 1, 2) if scaled.shape[-1] == 3 else scaled
    return torch.from_numpy(np.ascontiguousarray(ordered))


def _classes(y: np.ndarray) -> Tensor:
    return torch.from_numpy(y.reshape(-1).astype(np.int64))


def stand_in(rows: int) -> Data:
    """Stripes of ten directions in random colours, with noise; half as many again for the test."""
    chance = np.random.default_rng(0)
    y = chance.integers(0, 10, rows + rows // 2)
    down, right = np.mgrid[0:32, 0:32] / 32
    angle = (y * np.pi / 10)[:, None, None]
    phase = chance.uniform(-0.5, 0.5, (len(y), 1, 1))
    waves = np.sin(2 * np.pi * 2 * (right * np.cos(angle) + down * np.sin(angle)) + phase)
    colours = chance.uniform(0.2, 0.5, (len(y), 3, 1, 1))
    noisy = 0.5 + colours * waves[:, None] + chance.normal(0, 0.2, (len(y), 3, 32, 32))
    x = np.clip(noisy, 0, 1).astype(np.float32)
    return Data(_images(x[:rows]), _classes(y[:rows]), _images(x[rows:]), _classes(y[rows:]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python examples/article.py")
    parser.add_argument("--data", type=Path, help="an .npz, or an .npy with --labels")
    parser.add_argument("--labels", type=Path, help="an .npy with the classes")
    parser.add_argument("--epochs", type=int, default=12, help="of the float network")
    parser.add_argument("--rows", type=int, default=1000, help="of the stand-in")
    parser.add_argument("--board", default=BOARD)
    return parser


if __name__ == "__main__":
    main()
