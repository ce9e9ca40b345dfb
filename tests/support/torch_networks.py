"""PyTorch modules that together hold every kind of layer, with seeded numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Image(nn.Module):
    """Convolutions with BatchNorm: full, depthwise, grouped; a residual, dropout, flatten."""

    rows = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.c2, self.b2 = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.c3 = nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=2)
        self.c4, self.act = nn.Conv2d(8, 16, 1), nn.ReLU6(inplace=True)
        self.drop, self.f = nn.Dropout(0.2), nn.Linear(16 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b1(self.c1((x - 0.1) / 0.5)))
        x = functional.silu(self.b2(self.c2(x))) + x
        x = self.act(self.c4(self.c3(x)))
        return self.f(self.drop(functional.max_pool2d(x, 2).view(x.shape[0], -1)))


class Signal(nn.Module):
    """Convolutions along time, a transposed one, norms by group, gates, pools, two outputs."""

    rows = (4, 8)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.n = nn.Conv1d(4, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.t, self.b = nn.ConvTranspose1d(8, 6, 4, stride=2, padding=1), nn.BatchNorm1d(6)
        self.c, self.p = nn.Conv1d(12, 8, 3, groups=4), nn.PReLU(8)
        self.f = nn.Linear(8 * 8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.b(self.t(functional.gelu(self.n(self.a(x)))))
        x = torch.cat([functional.hardswish(x), torch.tanh(x)], 1)
        x = self.p(self.c(functional.pad(x, (1, 1))))
        x = x * torch.sigmoid(x)
        x = functional.max_pool1d(x, 2) + functional.avg_pool1d(x, 2)
        return self.f(x.flatten(1)), functional.interpolate(x, scale_factor=2).mean(-1)


class Sequence(nn.Module):
    """LSTM, GRU in both directions, and shares of classes."""

    rows = (5, 6)

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.g = nn.GRU(8, 6, batch_first=True, bidirectional=True)
        self.f = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.lstm(x)
        x, _ = self.g(x)
        return torch.softmax(self.f(x[:, -1]), -1)


class Attention(nn.Module):
    """One head of attention, and an MLP: products of activations, LayerNorm, residuals."""

    rows = (6, 8)

    def __init__(self) -> None:
        super().__init__()
        self.n, self.qkv, self.o = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.f = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.n(x)).chunk(3, -1)
        x = x + self.o(torch.softmax(q @ k.transpose(1, 2) / 8**0.5, -1) @ v)
        return self.f((x + self.mlp(x)).mean(1))


NETWORKS = (Image, Signal, Sequence, Attention)


def made(network: type[nn.Module], seed: int = 0) -> nn.Module:
    """The network with statistics that are not those of a fresh BatchNorm."""
    torch.manual_seed(seed)
    module = network()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1.5)
            part.running_mean.normal_()  # type: ignore[union-attr, operator]
            part.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]
    return module


def rows_for(network: type[nn.Module], count: int = 16, seed: int = 1) -> Tensor:
    """Normal numbers in the shape that the network reads."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *network.rows, generator=generator)  # type: ignore[misc]


def train_steps(module: nn.Module, x: Tensor, steps: int, rate: float = 1e-2) -> None:
    """Steps towards outputs of 1, by SGD."""
    optimizer = torch.optim.SGD(module.parameters(), rate)
    module.train()
    for _ in range(steps):
        outputs = module(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum((output - 1).square().mean() for output in outputs)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
