"""Small networks trained on the spot, for measuring quality where no trained model is at hand.

``digits`` learns scikit-learn's handwritten digits; where ``../shared`` holds MNIST, ECG5000 and
spoken digits, ``mnist``, ``ecg`` and ``fsdd`` learn those. All are seeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Arrays = tuple[np.ndarray, np.ndarray]


class Inverted(nn.Module):
    """MobileNetV2's block: expand, depthwise, project without activation, add where it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int = 4) -> None:
        super().__init__()
        wide = inputs * expand
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


def mobilenet_v2(classes: int = 10, inputs: int = 1) -> nn.Module:
    """A MobileNetV2 in small: ReLU6, BatchNorm, signed residuals; ``inputs`` channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
        Inverted(16, 16, 1), Inverted(16, 24, 2), Inverted(24, 24, 1),
        Inverted(24, 32, 2), Inverted(32, 32, 1),
        nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )  # fmt: skip


def waves(classes: int = 5) -> nn.Module:
    """A 1-D network over (1, 140) signals: BatchNorm, ReLU, pooling."""
    return nn.Sequential(
        *_filters(1, 16, 7, 2), *_filters(16, 32, 5, 2), nn.MaxPool1d(2),
        *_filters(32, 32, 3, 1),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, classes),
    )  # fmt: skip


def sounds(classes: int = 10) -> nn.Module:
    """A 1-D network over (10, 49) MFCCs: BatchNorm, ReLU, pooling."""
    return nn.Sequential(
        *_filters(10, 32, 5, 1), *_filters(32, 48, 3, 2), nn.MaxPool1d(2),
        *_filters(48, 64, 3, 1),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, classes),
    )  # fmt: skip


def _filters(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm1d(outputs), nn.ReLU()


@dataclass(frozen=True)
class Trained:
    """A trained module in eval mode, and its data in the module's own layout."""

    name: str
    module: nn.Module
    train: Arrays
    test: Arrays


def train(
    name: str,
    make: Callable[[], nn.Module],
    fit: Arrays,
    test: Arrays,
    epochs: int,
    loss_of: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> Trained:
    """``make()`` trained with Adam and a falling rate."""
    torch.manual_seed(0)
    module = make().train()
    x, y = torch.from_numpy(fit[0]), torch.from_numpy(fit[1])
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    batches = -(-len(x) // 64)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            loss = loss_of(module(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    return Trained(name, module.eval(), fit, test)


def digits() -> Trained:
    """scikit-learn's 8x8 digits, enlarged to 16x16, into the MobileNetV2."""
    from sklearn.datasets import load_digits

    data = load_digits()
    small = torch.from_numpy(data.images[:, None].astype(np.float32) / 16)
    x = functional.interpolate(small, scale_factor=2.0, mode="bilinear").numpy()
    y = data.target.astype(np.int64)
    return train("digits", mobilenet_v2, (x[:1300], y[:1300]), (x[1300:], y[1300:]), 8)


def mnist(folder: Path) -> Trained:
    """5000 images of MNIST into the MobileNetV2."""
    with np.load(folder / "mnist.npz") as file:
        x, y, x_test, y_test = (file[n] for n in ("x_train", "y_train", "x_test", "y_test"))
    fit = (_scaled(x[::4]), y[::4].astype(np.int64))
    test = (_scaled(x_test[:2000]), y_test[:2000].astype(np.int64))
    return train("mnist", mobilenet_v2, fit, test, 4)


def _scaled(images: np.ndarray) -> np.ndarray:
    """(N, 28, 28) bytes -> (N, 1, 28, 28) in 0..1."""
    return images[:, None].astype(np.float32) / 255


def ecg(folder: Path) -> Trained:
    """ECG5000 heartbeats into the 1-D network."""
    with np.load(folder / "ecg5000.npz") as file:
        parts = [
            (file[f"x_{part}"][:, None].astype(np.float32), file[f"y_{part}"].astype(int))
            for part in ("train", "test")
        ]
    return train("ecg", waves, parts[0], parts[1], 30)


def fsdd(folder: Path) -> Trained:
    """Spoken digits, as MFCCs in time, into a 1-D network; two of the test's speakers are new."""
    with np.load(folder / "fsdd.npz") as file:
        x, y = file["mfcc"].transpose(0, 2, 1).astype(np.float32), file["y"].astype(np.int64)
        known = file["split"] == 0
    return train("fsdd", sounds, (x[known], y[known]), (x[~known], y[~known]), 20)
