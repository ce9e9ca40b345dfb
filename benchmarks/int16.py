"""Executed instructions with ``--bits 16`` beside those with 8: a markdown table.

    python -m benchmarks.int16 [NETWORK ...]

Takes some minutes. ``mnist`` is the MobileNetV2 that ``benchmarks.trained`` trains, with random
weights; the others are those of ``benchmarks.networks`` and ``benchmarks.architectures``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from benchmarks import architectures, networks
from benchmarks.trained import mobilenet_v2
from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure.bench import bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.targets import boards

CORES = {"M4": ("mps2_an386", 2.2), "M55": ("mps3_an547", 2.5)}
"""The board, and how many times the instructions of 8 bits 16 may take."""
NETWORKS = {**networks.NETWORKS, **architectures.NETWORKS}
NAMES = ("kws", "vww", "mnist", "vit_tiny")


def _network(name: str) -> tuple[nn.Module, np.ndarray]:
    if name != "mnist":
        return NETWORKS[name].module(), NETWORKS[name].inputs()
    torch.manual_seed(0)
    module = mobilenet_v2().train()
    inputs = np.random.default_rng(0).uniform(0, 1, (32, 1, 28, 28)).astype(np.float32)
    module(torch.from_numpy(inputs))  # the statistics of BatchNorm
    return module.eval(), inputs


def _compiled(name: str, bits: int) -> Bundle:
    module, inputs = _network(name)
    config = Config(quantize={"effort": "fast", "bits": bits})
    return compile_model(
        module, torch.from_numpy(inputs[:1]), inputs, name=name, config=config
    ).bundle


def rows(names: list[str]) -> Iterator[tuple[str, ...]]:
    """Network, core, instructions with 8 and 16 bits, how many times, and the target."""
    for name in names:
        made = [_compiled(name, bits) for bits in (8, 16)]
        for core, (board, target) in CORES.items():
            place = boards.load(board)
            narrow, wide = (bench(generate(one, place), place).instructions for one in made)
            yield name, core, f"{narrow:,}", f"{wide:,}", f"{wide / narrow:.2f}", f"{target}"


def main() -> None:
    """Print the table as it comes."""
    print("| network | core | 8 bits | 16 bits | times | target |")
    print("|---|---|--:|--:|--:|--:|")
    for row in rows(sys.argv[1:] or list(NAMES)):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
