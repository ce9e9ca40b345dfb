"""Dense layers of codes where memory or multiplications are slow: two markdown tables.

    python -m benchmarks.coded_dense

Flash: on Cortex-M4 codes cost more cycles than int8 and read fewer bytes, each once. The table has
the wait cycles per 32-bit word of weights from which they are faster, with the estimated cycles of
the executed instructions at zero wait states; those that fetching instructions takes are left out.

Products: on a Cortex-M0, a layer of signed powers of two by every kernel that runs it, by the
executed instructions, with both multipliers that the core may have: 1 or 32 cycles. Shown are the
kernels that take the fewest cycles, one of int8 and one of codes, and their cycles per product.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

from torch import nn

from benchmarks.coded import CODINGS, CORES, LAYERS, coded, measured, quantized
from benchmarks.networks import Network
from mcuq import kernels
from mcuq.emulate import count, cycles, qemu
from mcuq.firmware import image as build
from mcuq.model import vectors
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.program import lower
from mcuq.targets import boards

FLASH_BOUND = tuple(name for name in LAYERS if name.startswith("dense"))
SIZES = ((64, 10), (512, 10), (512, 32), (128, 128), (512, 512), (2048, 1024))
LOG = next(coding for coding in CODINGS if coding.name == "powers of two")
MULTIPLIERS = (1, 32)


def flash_rows() -> Iterator[tuple[str, ...]]:
    """Layer, values, bits, shares of flash and cycles, wait cycles per word that make up for it."""
    for name in FLASH_BOUND:
        made = quantized(LAYERS[name], "balanced")
        whole, before = measured(made, CORES["M4"])
        for coding in CODINGS:
            compiled, after = measured(
                replace(made, qgraph=coded(made.qgraph, coding)), CORES["M4"]
            )
            more = (after.cycles_estimate or 0) - (before.cycles_estimate or 0)
            less = whole.report.flash_weights - compiled.report.flash_weights
            yield (
                name,
                coding.name,
                str(coding.bits),
                f"{1 - less / whole.report.flash_weights:.2f}",
                f"{1 + more / (before.cycles_estimate or 1):.2f}",
                f"{max(0.0, 4 * more / less):.2f}",
            )


def cycles_by_kernel(made: Bundle) -> dict[str, dict[int, int]]:
    """Kernel -> cycles of a multiplication -> estimated cycles of the one layer on Cortex-M0."""
    board = boards.load(CORES["M0"])
    found: dict[str, dict[int, int]] = {}
    for choice in generate(made, board).program.steps[0].choices:
        only = [v for v in kernels.variants("dense") if v.symbol == choice.symbol]
        with patch.object(lower, "variants", return_value=only):
            compiled = generate(made, board)
        with tempfile.TemporaryDirectory(prefix="mcuq-") as work:
            image = build.compile_image(compiled.files, compiled.entry, board, Path(work), "plain")
            (profile,) = count.sections(image, vectors.typical(made), qemu.SECONDS)
            found[choice.symbol] = {
                slow: cycles.estimate(profile, image.elf, board.cpu, slow) or 0
                for slow in MULTIPLIERS
            }
    return found


def product_rows() -> Iterator[tuple[str, ...]]:
    """Layer, cycles of a multiplication, the best kernels of int8 and codes, cycles a product."""
    for in_len, out_len in SIZES:
        network = Network("dense", partial(nn.Linear, in_len, out_len), (1, in_len))
        made = quantized(network, "balanced")
        found = cycles_by_kernel(replace(made, qgraph=coded(made.qgraph, LOG)))
        for slow in MULTIPLIERS:
            cells = []
            for codes in (False, True):
                known = {k: v[slow] for k, v in found.items() if ("_coded" in k) == codes}
                best = min(known, key=lambda kernel: known[kernel])
                cells += [best.removeprefix("mcuq_"), f"{known[best] / in_len / out_len:.2f}"]
            yield (f"{in_len}x{out_len}", str(slow), *cells)


def main() -> None:
    """Print the tables."""
    print("| | values | bits | flash | cycles | faster from wait cycles a word |")
    print("|---|---|---|---|---|---|")
    for row in flash_rows():
        print(f"| {' | '.join(row)} |", flush=True)
    print("\n| | cycles of MULS | int8 | cycles a product | codes | cycles a product |")
    print("|---|---|---|---|---|---|")
    for row in product_rows():
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
