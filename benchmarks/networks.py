"""The networks that mcuq is measured on: known architectures with seeded random weights.

Instruction counts hardly depend on the weights' values. ``ic``, ``kws``, ``vww`` and ``ad`` are
the MLPerf Tiny networks, ``sww`` its streaming wakeword, ``article`` the CIFAR-10 network of the
article that mcuq grew from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Network:
    """``shape``: of one input, batch 1; ``low`` and ``high``: the range of its random inputs."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0

    def module(self) -> nn.Module:
        """The network in eval mode; the same weights every time, spread as trained ones are."""
        torch.manual_seed(0)
        module = self.make().eval()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        return module

    def inputs(self, rows: int = 32) -> np.ndarray:
        """(rows, *shape[1:]) float32, seeded."""
        chance = np.random.default_rng(0)
        return chance.uniform(self.low, self.high, (rows, *self.shape[1:])).astype(np.float32)


class _Same(nn.Module):
    """A convolution padded as TensorFlow's SAME does: more at the end where the sum is odd."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        pads = [p for size in (x.shape[3], x.shape[2]) for p in self._pads(size)]
        return self.conv(functional.pad(x, pads))

    def _pads(self, size: int) -> tuple[int, int]:
        total = max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel - size)
        return total // 2, total - total // 2


class ResNet8(nn.Module):
    """MLPerf Tiny image classification, 32x32 RGB, 12.5 million MACs; logits if not ``softmax``."""

    def __init__(self, softmax: bool = True) -> None:
        super().__init__()
        self.softmax = softmax
        self.first = _Same(3, 16, 3, 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([_Same(i, o, 3, s), _Same(o, o, 3, 1)])
            for i, o, s in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.shortcuts = nn.ModuleList([nn.Identity(), _Same(16, 32, 1, 2), _Same(32, 64, 1, 2)])
        self.classify = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = torch.relu(shortcut(x) + block[1](torch.relu(block[0](x))))
        logits = self.classify(x.mean((2, 3)))
        return torch.softmax(logits, -1) if self.softmax else logits


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    depthwise = _Same(inputs, inputs, 3, stride, groups=inputs)
    return [depthwise, nn.ReLU(), nn.Conv2d(inputs, outputs, 1), nn.ReLU()]


def _ds_cnn() -> nn.Module:
    blocks = [layer for _ in range(4) for layer in _separable(64, 64, 1)]
    return nn.Sequential(
        nn.ZeroPad2d((1, 1, 4, 5)),
        nn.Conv2d(1, 64, (10, 4), 2),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 12),
        nn.Softmax(-1),
    )


def _mobilenet() -> nn.Module:
    plan = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)]
    plan += [(128, 128, 1)] * 5 + [(128, 256, 2), (256, 256, 1)]
    blocks = [layer for i, o, s in plan for layer in _separable(i, o, s)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2), nn.Softmax(-1)]
    return nn.Sequential(_Same(3, 8, 3, 2), nn.ReLU(), *blocks, *head)


def _autoencoder() -> nn.Module:
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _wakeword() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in ((40, 128, 3), (128, 128, 5), (128, 128, 10), (128, 32, 15)):
        depthwise = nn.Conv2d(inputs, inputs, (kernel, 1), groups=inputs, bias=False)
        layers += [depthwise, nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 3), nn.Softmax(-1))


def _article() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2048, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    )


NETWORKS = {
    n.name: n
    for n in (
        Network("ic", ResNet8, (1, 3, 32, 32), 0.0, 255.0),
        Network("kws", _ds_cnn, (1, 1, 49, 10), -100.0, 30.0),
        Network("vww", _mobilenet, (1, 3, 96, 96)),
        Network("ad", _autoencoder, (1, 640), -40.0, 40.0),
        Network("sww", _wakeword, (1, 40, 30, 1)),
        Network("article", _article, (1, 3, 32, 32)),
    )
}
