"""Networks that grow, split and shuffle images, from PyTorch to every kind of core."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from onnx_models import random, run_graph
from torch import nn
from torch.nn import functional

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure import check
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards


class UNet(nn.Module):
    """Two stages down, two up: a transposed convolution and a linear resizing, both joined."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.bottom = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.third = nn.Sequential(nn.Conv2d(32, 8, 3, padding=1), nn.ReLU())
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x: Any) -> Any:
        one = self.first(x)
        two = self.second(functional.max_pool2d(one, 2))
        three = self.up(self.bottom(functional.max_pool2d(two, 2)))
        four = self.third(torch.cat([three, two], 1))
        wide = functional.interpolate(four, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([wide, one], 1))


class Shuffle(nn.Module):
    """A unit of ShuffleNetV2: half of the channels pass, then all are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU())
        self.branch = nn.Sequential(
            nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        passed, changed = self.stem(x).chunk(2, 1)
        joined = torch.cat([passed, self.branch(changed)], 1)
        batch, channels, height, width = joined.shape
        mixed = joined.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return self.head(mixed.reshape(batch, channels, height, width).mean((2, 3)))


def finer() -> nn.Module:
    """Super-resolution by a pixel shuffle."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), nn.PixelShuffle(2)
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "unet": (UNet, (3, 16, 16)),
    "shuffle": (Shuffle, (3, 16, 16)),
    "finer": (finer, (1, 10, 12)),
}
CORES = ("mps2_an386", "mps3_an547", "mps2_an385_m0", "riscv32_virt")


@functools.cache
def module(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = NETWORKS[name][0]().eval()
    with torch.no_grad():
        for part in made.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean += torch.randn_like(part.running_mean) / 4
                part.running_var *= torch.rand_like(part.running_var) + 0.5
    return made


def rows(name: str) -> Any:
    return random(16, *NETWORKS[name][1])


@functools.cache
def quantized(name: str) -> Compiled:
    inputs = rows(name)
    config = Config(quantize={"effort": "fast"})
    return compile_model(
        module(name), torch.from_numpy(inputs[:1]), inputs, name=name, config=config
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_is_what_torch_computes(name: str) -> None:
    graph, inputs = quantized(name).bundle.graph, rows(name)
    found = run_graph(graph, {graph.inputs[0].name: inputs})
    with torch.no_grad():
        wanted = module(name)(torch.from_numpy(inputs)).numpy()
    noise = np.mean((found[graph.outputs[0].name] - wanted) ** 2)
    assert 10 * np.log10(np.mean(wanted**2) / noise) >= 100


@pytest.mark.parametrize(
    ("name", "moves"), [("unet", ["copy", "concat", "resize_linear", "concat"]),
                        ("shuffle", ["copy", "copy", "concat"]), ("finer", ["copy"])]
)  # fmt: skip
def test_no_more_is_moved_than_that(name: str, moves: list[str]) -> None:
    kinds = ("copy", "concat", "transpose", "resize_linear")
    nodes = quantized(name).program.qgraph.nodes
    assert [n.op for n in nodes if n.op in kinds][: len(moves)] == moves


@pytest.mark.emulated
@pytest.mark.parametrize("board", CORES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_exact(name: str, board: str) -> None:
    target = boards.load(board)
    verdicts = check.check(generate(quantized(name).bundle, target), [target], 4)
    assert [v.mismatches for v in verdicts] == [0, 0]
