"""Flash and time of sparse layers as shares of the same layers without zeros, as Markdown.

    python -m benchmarks.sparse [NETWORK ...] [--cores M0,M4]

Random weights, pruned by magnitude, in three patterns: blocks of four along the inputs, single
weights, and two of four. What counts are the executed instructions, the estimated cycles and the
constants of the layers that have weights, with the kernels that mcuq picks for "balanced" and for
"size". Takes some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import NETWORKS
from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure.bench import Bench, StepCost, bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.targets import boards

CORES = {
    "M0": "mps2_an385_m0",
    "M3": "mps2_an385",
    "M4": "mps2_an386",
    "M55": "mps3_an547",
    "RV32": "riscv32_virt",
}
# Pattern and share of zeros.
PATTERNS = (
    ("blocks", 0.8),
    ("blocks", 0.9),
    ("single", 0.8),
    ("single", 0.9),
    ("2 of 4", 0.5),
)
OPERATORS = ("dense", "conv2d")


def _article() -> nn.Module:
    return nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 10))


LAYERS = {
    "article": (_article, (1, 2048)),
    "ad": (NETWORKS["ad"].make, (1, 640)),
    "1x1": (lambda: nn.Conv2d(64, 64, 1), (1, 64, 25, 5)),
}


@dataclass(frozen=True)
class Cost:
    """Of the layers with weights; ``cycles`` is None for cores without a cycle model."""

    flash: int
    instructions: int
    cycles: int | None
    kernels: tuple[str, ...]


def prune(weights: Tensor, pattern: str, share: float) -> Tensor:
    """(out, in, ...) with the least of its weights set to zero."""
    rows = weights.flatten(1)
    if pattern == "single":
        return _keep(weights, rows.abs(), share)
    fours = rows.unflatten(1, (-1, 4)).abs()
    if pattern == "blocks":
        return _keep(weights, fours.sum(2, keepdim=True).expand_as(fours), share)
    ranks = fours.argsort(2).argsort(2)
    return weights * (ranks >= 2).reshape(weights.shape)


def _keep(weights: Tensor, size: Tensor, share: float) -> Tensor:
    return weights * (size >= torch.quantile(size.flatten(), share)).reshape(weights.shape)


def make(name: str, pattern: str, share: float) -> Bundle:
    """The quantized layers; without zeros if ``pattern`` is empty."""
    build, shape = LAYERS[name]
    torch.manual_seed(0)
    module = build().eval()
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            values = torch.randn(layer.weight.shape) * layer.weight[0].numel() ** -0.5
            layer.weight.data = prune(values, pattern, share) if pattern else values
    inputs = np.random.default_rng(0).normal(size=(32, *shape[1:])).astype(np.float32)
    config = Config(quantize={"effort": "fast"})
    example = torch.from_numpy(inputs[:1])
    return compile_model(module, example, inputs, name="layers", config=config).bundle


def measure(bundle: Bundle, core: str, prefer: str) -> Cost:
    """What the layers cost on a core."""
    board = boards.load(CORES[core])
    compiled = generate(replace(bundle, prefer=prefer), board)
    result = bench(compiled, board)
    steps = [step for step in result.steps if step.op in OPERATORS]
    flash = sum(step.flash for step in compiled.program.steps if step.node.op in OPERATORS)
    return Cost(
        flash,
        sum(step.instructions for step in steps),
        _cycles(result, steps),
        tuple(dict.fromkeys(step.kernel for step in steps)),
    )


def _cycles(result: Bench, steps: list[StepCost]) -> int | None:
    if result.cycles_estimate is None:
        return None
    return sum(step.cycles_estimate or 0 for step in steps)


def rows(names: list[str], cores: list[str]) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    yield "| layers | zeros | core | prefer | kernels | flash | instructions | cycles |"
    yield "|---|---|---|---|---|--:|--:|--:|"
    for name in names:
        bundle = make(name, "", 0.0)
        whole = {core: measure(bundle, core, "balanced") for core in cores}
        for core in cores:
            yield _row(name, "none", core, "balanced", whole[core], None)
        for pattern, share in PATTERNS:
            bundle = make(name, pattern, share)
            about = f"{pattern}, {share:.0%}"
            for core in cores:
                for prefer in ("balanced", "size"):
                    cost = measure(bundle, core, prefer)
                    yield _row(name, about, core, prefer, cost, whole[core])


def _row(name: str, about: str, core: str, prefer: str, cost: Cost, whole: Cost | None) -> str:
    values = (cost.flash, cost.instructions, cost.cycles)
    if whole is None:
        cells = ["" if v is None else f"{v:,}" for v in values]
    else:
        bases = (whole.flash, whole.instructions, whole.cycles)
        cells = [f"{v / b:.3f}" if v and b else "" for v, b in zip(values, bases, strict=True)]
    kernels = ", ".join(kernel.removeprefix("mcuq_") for kernel in cost.kernels)
    return f"| {' | '.join((name, about, core, prefer, kernels, *cells))} |"


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(prog="benchmarks.sparse")
    parser.add_argument("networks", nargs="*", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--cores", default=",".join(CORES))
    asked = parser.parse_args()
    for line in rows(asked.networks, asked.cores.split(",")):
        print(line, flush=True)


if __name__ == "__main__":
    main()
