"""Instructions a MAC of blocks of networks beside those of plain layers: a markdown table.

    python -m benchmarks.blocks [--steps]

An attention block of 64 tokens with one head of 32, and a stage of a U-Net's decoder, with random
weights; each is to take at most 1.5 times what plain layers take. ``--steps``: each step, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure.bench import Bench, bench
from mcuq.model.compiled import generate
from mcuq.targets import boards

CORES = {"M4": "mps2_an386", "M55": "mps3_an547"}
MOST = 1.5


class Attention(nn.Module):
    """x + attention(LayerNorm(x)): queries, keys, values and what joins them, all 32 wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.query, self.key, self.value, self.join = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        at = self.norm(x)
        q, k, v = (layer(at)[:, None] for layer in (self.query, self.key, self.value))
        return x + self.join(functional.scaled_dot_product_attention(q, k, v)[:, 0])


class Decoder(nn.Module):
    """A U-Net's stage: twice the size, beside what the encoder had, two convolutions."""

    def __init__(self, up: nn.Module, channels: int) -> None:
        super().__init__()
        self.up = up
        self.convs = nn.Sequential(
            nn.Conv2d(channels + 16, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.convs(torch.cat([self.up(x), skip], 1))


_LOW, _HIGH = {"x": (1, 32, 8, 8)}, {"skip": (1, 16, 16, 16)}
PLAIN = {
    "dense 64 to 64": (nn.Linear(64, 64), {"input": (1, 64)}),
    "conv2d 3x3, 32 channels": (nn.Conv2d(32, 32, 3, padding=1), {"input": (1, 32, 8, 8)}),
}
BLOCKS = {
    "attention": (Attention(), {"x": (1, 64, 32)}),
    "decoder, ConvTranspose": (Decoder(nn.ConvTranspose2d(32, 16, 2, 2), 16), _LOW | _HIGH),
    "decoder, bilinear": (
        Decoder(nn.Upsample(scale_factor=2, mode="bilinear"), 32),
        _LOW | _HIGH,
    ),
}


def measured(name: str, module: nn.Module, inputs: dict[str, tuple[int, ...]]) -> list[Bench]:
    """One inference on each core."""
    random = np.random.default_rng(0)
    rows = {
        key: random.normal(size=(32, *shape[1:])).astype(np.float32)
        for key, shape in inputs.items()
    }
    example = tuple(torch.from_numpy(value[:1]) for value in rows.values())
    config = Config(quantize={"effort": "fast"})
    made = compile_model(module.eval(), example, rows, name=name, config=config).bundle
    places = [boards.load(board) for board in CORES.values()]
    return [bench(generate(made, place), place) for place in places]


def table(steps: bool) -> Iterator[tuple[str, ...]]:
    """Network, core, MACs, instructions, those a MAC, and how many times those of plain layers."""
    plain = dict.fromkeys(CORES, 0.0)
    for index, (name, (module, inputs)) in enumerate({**PLAIN, **BLOCKS}.items()):
        for core, found in zip(CORES, measured(f"block_{index}", module, inputs), strict=True):
            each = found.instructions / found.macs
            if name in PLAIN:
                plain[core] += each / len(PLAIN)
            times = f"{each / plain[core]:.2f}" if name in BLOCKS else ""
            yield name, core, f"{found.macs:,}", f"{found.instructions:,}", f"{each:.3f}", times
            for step in found.steps if steps else ():
                yield "", "", f"{step.macs:,}", f"{step.instructions:,}", "", step.kernel


def main() -> None:
    """Print the table as it comes."""
    torch.manual_seed(0)
    print(f"| network | core | MACs | instructions | a MAC | times plain layers (most {MOST}) |")
    print("|---|---|--:|--:|--:|--:|")
    for row in table("--steps" in sys.argv[1:]):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
