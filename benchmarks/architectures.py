"""Architectures that people bring, with seeded weights: exact everywhere, and what they cost.

    python -m benchmarks.architectures [--check] [CORE ...] [NAME ...]

A line for each and each core: products, executed instructions for one, and the share of the
instructions that only move elements. ``--check`` compares every tensor with the reference first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import mcuq
from benchmarks.networks import Network
from benchmarks.public_models import CORES
from mcuq.measure.bench import Bench

MOVES = ("copy", "transpose", "concat", "pad", "requant")
"""Operators that only move."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution, its norm and a ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, two blocks of attention."""

    def __init__(self, width: int = 48, heads: int = 3, size: int = 32, patch: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.1)
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.1)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens[:, 0]))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows, count, _ = x.shape
        split = self.qkv(self.before(x)).reshape(rows, count, 3, self.heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(found.transpose(1, 2).reshape(rows, count, self.width))
        return x + self.mlp(self.after(x))


class UNet(nn.Module):
    """Two levels down and up, skipped over by concatenation."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(conv(3, width), conv(width, width))
        self.second = nn.Sequential(conv(width, 2 * width), conv(2 * width, 2 * width))
        self.bottom = nn.Sequential(conv(2 * width, 4 * width), conv(4 * width, 4 * width))
        self.up_second = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.up_first = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.back_second, self.back_first = conv(4 * width, 2 * width), conv(2 * width, width)
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x)
        b = self.second(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.back_second(torch.cat([self.up_second(c), b], 1))
        return self.out(self.back_first(torch.cat([self.up_first(b), a], 1)))


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    """An inverted residual, with a gate or without."""

    def __init__(self, inputs: int, wide: int, outputs: int, kernel: int, stride: int, gate: bool,
                 act: Callable[[], nn.Module]) -> None:  # fmt: skip
        super().__init__()
        self.joins = stride == 1 and inputs == outputs
        parts: list[nn.Module] = [
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), act(),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide), act(),
        ]  # fmt: skip
        parts += [Gate(wide)] if gate else []
        self.parts = nn.Sequential(
            *parts, nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.parts(x) if self.joins else self.parts(x)


def mobilenet_v3() -> nn.Module:
    """MobileNetV3, small: hard swish and gates."""
    rows = ((8, 16, 8, 3, 2, True), (8, 24, 12, 3, 2, False), (12, 32, 12, 5, 1, True),
            (12, 48, 24, 5, 2, True), (24, 72, 24, 5, 1, True))  # fmt: skip
    stem = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()]
    end = [nn.Conv2d(24, 72, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    blocks = [Inverted(*row, nn.Hardswish) for row in rows]
    return nn.Sequential(*stem, *blocks, *end, nn.Linear(72, 10))


def efficientnet_lite() -> nn.Module:
    """EfficientNet-lite: ReLU6, no gates."""
    rows = ((8, 8, 8, 3, 1, False), (8, 32, 12, 3, 2, False), (12, 48, 12, 3, 1, False),
            (12, 48, 20, 5, 2, False), (20, 80, 20, 5, 1, False))  # fmt: skip
    blocks = [Inverted(*row, nn.ReLU6) for row in rows]
    end = [conv(20, 80, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, 10)]
    return nn.Sequential(conv(3, 8, 3, 2), *blocks, *end)


class Shuffled(nn.Module):
    """A unit of ShuffleNetV2: half of the channels pass, both halves are shuffled."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, half = stride, outputs // 2
        into = inputs if stride == 2 else half
        self.right = nn.Sequential(
            conv(into, half, 1),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            conv(half, half, 1),
        )
        self.left = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            conv(inputs, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            both = torch.cat([self.left(x), self.right(x)], 1)
        else:
            kept, given = x.chunk(2, 1)
            both = torch.cat([kept, self.right(given)], 1)
        rows, width, height, length = both.shape
        parts = both.reshape(rows, 2, width // 2, height, length).transpose(1, 2)
        return parts.reshape(rows, width, height, length)


def shufflenet_v2() -> nn.Module:
    """ShuffleNetV2, two stages."""
    units = [Shuffled(16, 32, 2), Shuffled(32, 32, 1), Shuffled(32, 32, 1), Shuffled(32, 64, 2),
             Shuffled(64, 64, 1)]  # fmt: skip
    end = [conv(64, 96, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10)]
    return nn.Sequential(conv(3, 16, 3, 2), *units, *end)


class _Temporal(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.room = 2 * dilation
        self.first = nn.Conv1d(inputs, outputs, 3, dilation=dilation)
        self.second = nn.Conv1d(outputs, outputs, 3, dilation=dilation)
        self.beside = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(F.pad(x, (self.room, 0))))
        return F.relu(self.beside(x) + F.relu(self.second(F.pad(y, (self.room, 0)))))


class TemporalNet(nn.Module):
    """A TCN: causal, dilated, read at its last step."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((6, 16, 1), (16, 16, 2), (16, 24, 4))
        self.blocks = nn.Sequential(*(_Temporal(*size) for size in sizes))
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x)[:, :, -1])


class SingleShot(nn.Module):
    """SSD-like: boxes and scores from two scales."""

    def __init__(self, classes: int = 3, anchors: int = 2) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(
            conv(3, 8, 3, 2), conv(8, 8, 3, 1, 8), conv(8, 16, 1), conv(16, 24, 3, 2)
        )
        self.deeper = nn.Sequential(conv(24, 24, 3, 2, 24), conv(24, 32, 1))
        self.boxes = nn.ModuleList(nn.Conv2d(c, 4 * anchors, 3, padding=1) for c in (24, 32))
        self.scores = nn.ModuleList(nn.Conv2d(c, classes * anchors, 3, padding=1) for c in (24, 32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.stem(x)
        scales = (first, self.deeper(first))
        rows = len(x)
        boxes, scores = (
            torch.cat(
                [
                    h(s).permute(0, 2, 3, 1).reshape(rows, -1, w)
                    for h, s in zip(heads, scales, strict=True)
                ],
                1,
            )
            for heads, w in ((self.boxes, 4), (self.scores, self.classes))
        )
        return boxes, scores.softmax(-1)


class Yolo(nn.Module):
    """YOLO-nano-like: two scales, a way up, decoded boxes."""

    def __init__(self, anchors: int = 2, classes: int = 2) -> None:
        super().__init__()
        self.anchors, self.each = anchors, 5 + classes
        self.stem = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2))
        self.down = nn.Sequential(conv(16, 32, 3, 2), conv(32, 32, 1))
        self.up = conv(32, 16, 1)
        self.join = conv(32, 24)
        self.heads = nn.ModuleList(nn.Conv2d(c, anchors * self.each, 1) for c in (24, 32))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.stem(x)
        coarse = self.down(fine)
        fine = self.join(torch.cat([F.interpolate(self.up(coarse), scale_factor=2.0), fine], 1))
        found = [self._boxes(head(y)) for head, y in zip(self.heads, (fine, coarse), strict=True)]
        return torch.cat(found, 1)

    def _boxes(self, y: Tensor) -> Tensor:
        rows, _, height, width = y.shape
        y = y.reshape(rows, self.anchors, self.each, height, width).permute(0, 3, 4, 1, 2)
        return y.sigmoid().reshape(rows, -1, self.each)


class SuperResolution(nn.Module):
    """An image of twice the size, by a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 4, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


NETWORKS: dict[str, Network] = {
    name: Network(name, make, shape)
    for name, make, shape in (
        ("vit_tiny", VisionTransformer, (1, 3, 32, 32)),
        ("unet", UNet, (1, 3, 32, 32)),
        ("mobilenet_v3", mobilenet_v3, (1, 3, 48, 48)),
        ("shufflenet_v2", shufflenet_v2, (1, 3, 48, 48)),
        ("tcn", TemporalNet, (1, 6, 64)),
        ("ssd", SingleShot, (1, 3, 48, 48)),
        ("yolo_nano", Yolo, (1, 3, 48, 48)),
        ("efficientnet_lite", efficientnet_lite, (1, 3, 48, 48)),
        ("super_resolution", SuperResolution, (1, 1, 24, 24)),
    )
}


def compiled(name: str, cores: Iterable[str]) -> mcuq.Model:
    """The network on 16 seeded inputs, with the kernels of each of ``cores``."""
    network = NETWORKS[name]
    module, rows = network.module(), network.inputs(16)
    board, example = ",".join(cores), torch.from_numpy(rows[:1])
    return mcuq.compile(module, example, rows, name=name, board=board, effort="fast")


def moved(result: Bench) -> float:
    """The share of the instructions that only move elements."""
    steps = sum(s.instructions for s in result.steps)
    return sum(s.instructions for s in result.steps if s.op in MOVES) / steps


def main(arguments: Sequence[str]) -> None:
    """Print the table as it comes."""
    cores = {name: board for name, board in CORES.items() if name in arguments} or CORES
    names = [arg for arg in arguments if arg in NETWORKS] or list(NETWORKS)
    print("| network | exact | core | products | instructions | a product | moved |")
    print("|---|---|---|---:|---:|---:|---:|", flush=True)
    for name in names:
        made = compiled(name, cores.values())
        wrong = []
        if "--check" in arguments:
            wrong = [v.core for v in made.check(list(cores.values()), vectors=2) if not v.exact]
        exact = "not asked" if "--check" not in arguments else ", ".join(wrong) or "all"
        for core, board in cores.items():
            found = made.bench(board)
            each = found.instructions / found.macs
            cells = (name, exact, core, f"{found.macs:,}", f"{found.instructions:,}")
            share = f"{100 * moved(found):.1f} %"
            print(f"| {' | '.join((*cells, f'{each:.2f}', share))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
