"""Flash and time of layers and networks whose weights have few distinct values: a markdown table.

    python -m benchmarks.coded [--prefer balanced|speed|size] [NAME ...]

Seeded random weights, quantized to int8 as ever; then every weight of a convolution or dense layer
goes to the nearest of 16 or 4 values of its layer, which is all that the kernels look at. Shares
are of the same network with its int8 weights, on the same core, both by the same preference.
Executed instructions in QEMU; flash is that of the constants: codes, tables, biases, shifts.

Dense layers use each weight once, so that decoding is not shared as in convolutions. On Cortex-M4
16 values at will cannot come near int8 at zero wait states: a byte of codes must be taken out,
looked up, and met by SMLAD, 3 instructions for 2 products or 1.5 a product, where int8 needs 27 for
32, 0.84. That is 1.78 at best, whatever surrounds it. Values on an even scale (int4) need no table:
31 for 32. ``benchmarks.coded_dense`` tells from which wait states on fewer bytes make up for more
cycles.

Powers of two (log weights) are codes like any others: no kernel shifts in place of multiplying.
They win where products cost most, on a Cortex-M0 with the multiplier of 32 cycles, as
``benchmarks.coded_dense`` counts: tables of sums, whatever the 16 values are, then leave 12 of
out_len multiplications. Convolutions multiply once for two products, log or not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from benchmarks.networks import NETWORKS, Network
from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.ir import Array
from mcuq.measure.bench import Bench, bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.qir import QGraph
from mcuq.targets import boards

CORES = {
    "M0": "mps2_an385_m0",
    "M3": "mps2_an385",
    "M4": "mps2_an386",
    "M55": "mps3_an547",
    "RV32": "riscv32_virt",
}
_POWERS = np.array([*(-(2**e) for e in range(7)), 0, *(2**e for e in range(7))])


def _conv(channels: int, outputs: int, kernel: int) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(channels, outputs, kernel, padding=kernel // 2)


LAYERS = {
    network.name: network
    for network in (
        Network("3x3, 16 channels", _conv(16, 16, 3), (1, 16, 32, 32)),
        Network("3x3, 32 channels", _conv(32, 32, 3), (1, 32, 16, 16)),
        Network("3x3, 64 channels", _conv(64, 64, 3), (1, 64, 8, 8)),
        Network("1x1, 64 channels", _conv(64, 64, 1), (1, 64, 8, 8)),
        Network("dense 128x128", lambda: nn.Linear(128, 128), (1, 128)),
        Network("dense 2048x1024", lambda: nn.Linear(2048, 1024), (1, 2048)),
    )
}


def powers_of_two(weights: Array) -> Array:
    """Zero and signed powers of two up to 64: at most 15 values."""
    return _POWERS


def int4(weights: Array) -> Array:
    """-8 to 7 steps of an eighth of the largest weight."""
    step = max(1, round(int(np.abs(weights.astype(np.int32)).max()) / 8))
    return np.clip(step * np.arange(-8, 8), -128, 127)


def clusters(count: int) -> Callable[[Array], Array]:
    """One-dimensional k-means of ``count`` values, one of them zero, from quantiles on."""

    def found(weights: Array) -> Array:
        flat = weights.ravel().astype(np.float64)
        centers = np.quantile(flat, (np.arange(count) + 0.5) / count)
        for _ in range(20):
            centers[np.abs(centers).argmin()] = 0.0
            nearest = np.abs(flat[:, None] - centers[None, :]).argmin(1)
            sums = np.bincount(nearest, flat, count)
            sizes = np.bincount(nearest, minlength=count)
            centers = np.where(sizes > 0, sums / np.maximum(sizes, 1), centers)
        centers[np.abs(centers).argmin()] = 0.0
        return np.unique(np.round(centers))

    return found


@dataclass(frozen=True)
class Coding:
    """``values(weights)``: those that the weights of a layer may have."""

    name: str
    bits: int
    values: Callable[[Array], Array]


CODINGS = (
    Coding("clusters", 4, clusters(16)),
    Coding("powers of two", 4, powers_of_two),
    Coding("int4", 4, int4),
    Coding("clusters", 2, clusters(4)),
)


def coded(qgraph: QGraph, coding: Coding) -> QGraph:
    """Weights of convolutions and dense layers at the nearest of the coding's values."""
    tensors = dict(qgraph.tensors)
    for node in qgraph.nodes:
        if node.op in ("conv2d", "dense"):
            name = node.inputs[1]
            weights = qgraph.data(name)
            sample = weights.ravel()[:: max(1, weights.size // 20000)]
            values = np.sort(coding.values(sample)).astype(np.int32)
            edges = (values[1:] + values[:-1]) / 2
            nearest = values[np.searchsorted(edges, weights)].astype(np.int8)
            tensors[name] = replace(tensors[name], data=nearest)
    return replace(qgraph, tensors=tensors)


def quantized(network: Network, prefer: str) -> Bundle:
    """The network in int8."""
    import torch

    inputs = network.inputs()
    config = Config(quantize={"effort": "fast"})
    example = torch.from_numpy(inputs[:1])
    module = network.module()
    made = compile_model(module, example, inputs, name="network", config=config).bundle
    return replace(made, prefer=prefer)


def measured(made: Bundle, board_name: str) -> tuple[Compiled, Bench]:
    """Compiled for a board and counted there."""
    board = boards.load(board_name)
    compiled = generate(made, board)
    return compiled, bench(compiled, board)


def rows(network: Network, prefer: str) -> Iterator[tuple[str, ...]]:
    """Name, values, bits, core, shares of flash and time, steps that are coded."""
    made = quantized(network, prefer)
    for core, board in CORES.items():
        whole, before = measured(made, board)
        for coding in CODINGS:
            compiled, after = measured(replace(made, qgraph=coded(made.qgraph, coding)), board)
            share = compiled.report.flash_weights / whole.report.flash_weights
            kernels = [step.kernel for step in after.steps]
            weighted = [s for s in after.steps if s.op in ("conv2d", "dense")]
            yield (
                network.name,
                coding.name,
                str(coding.bits),
                core,
                f"{share:.2f}",
                f"{after.instructions / before.instructions:.2f}",
                f"{sum('_coded' in kernel for kernel in kernels)} of {len(weighted)}",
            )


def main(arguments: list[str]) -> None:
    """Print the table."""
    prefer = "balanced"
    if arguments[:1] == ["--prefer"]:
        prefer, arguments = arguments[1], arguments[2:]
    known = {**LAYERS, **{name: NETWORKS[name] for name in ("ic", "kws", "ad")}}
    print("| | values | bits | core | flash | time | coded layers |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments or known:
        for row in rows(known[name], prefer):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
