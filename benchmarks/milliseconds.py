"""Milliseconds of whole networks with a board's flash in them, beside those that others published.

``python -m benchmarks.milliseconds`` writes ``MILLISECONDS.md``: the networks of MLPerf Tiny on the
Nucleo-L4R5ZI, a Cortex-M4 at 120 MHz that reads its flash with wait states.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.networks import NETWORKS
from mcuq import api
from mcuq.config import Config
from mcuq.measure.bench import Bench
from mcuq.targets import boards

TABLE = Path(__file__).parent / "MILLISECONDS.md"
BOARD = "nucleo_l4r5zi"
# Inferences per second, as MLCommons published them (closed division): microTVM with CMSIS-NN in
# v1.1, and the fastest of all (ST X-CUBE-AI in v1.2; ad: Plumerai in v1.1).
PUBLISHED = {
    "kws": (10.02, 23.16),
    "ic": (2.57, 6.06),
    "vww": (3.32, 11.25),
    "ad": (116.2, 246.8),
}
# Cycles that Arm's tables give for CMSIS-NN's instructions in memory that never waits.
CMSIS_NN = {"kws": 9.03e6, "ic": 35.3e6, "vww": 28.8e6, "ad": 0.705e6}
HEAD = """# Milliseconds with flash that waits

Written by `python -m benchmarks.milliseconds`: `mcuq bench` on the Nucleo-L4R5ZI (Cortex-M4 at
120 MHz), whose file says how its flash is read (`docs/board.md`). Seeded random weights. The cycles
of memory that never waits are Arm's tables; waits are simulated from the addresses that are fetched
and loaded.

| network | cycles without waits | waits for flash | factor | ms | fastest published ms |
|---|--:|--:|--:|--:|--:|
"""
OTHERS = """
The same factor for code of others, measured on that board: microTVM with CMSIS-NN as published in
MLPerf Tiny v1.1, over what Arm's tables give for CMSIS-NN alone without waiting. What microTVM adds
is in it. That code was not put through the model above, and the model was not held against a board.

| network | published ms | Arm's tables, ms | factor |
|---|--:|--:|--:|
"""


def main() -> None:
    """Write both tables."""
    rows = [_row(name, measured) for name, measured in _measured()]
    clock = boards.load(BOARD).clock_hz
    others = [
        f"| {name} | {1e3 / rate:.1f} | {1e3 * CMSIS_NN[name] / clock:.1f} | "
        f"{clock / rate / CMSIS_NN[name]:.2f} |"
        for name, (rate, _) in PUBLISHED.items()
    ]
    TABLE.write_text(HEAD + "\n".join(rows) + "\n" + OTHERS + "\n".join(others) + "\n")


def _measured() -> Iterator[tuple[str, Bench]]:
    for name in PUBLISHED:
        network = NETWORKS[name]
        inputs = network.inputs()
        model = api.compile(
            network.module(),
            torch.from_numpy(inputs[:1]),
            inputs,
            name=name,
            board=BOARD,
            config=Config(quantize={"effort": "fast"}),
        )
        yield name, model.bench(BOARD)


def _row(name: str, found: Bench) -> str:
    cycles, waits = found.cycles_estimate or 0, found.stalls or 0
    _, fastest = PUBLISHED[name]
    return (
        f"| {name} | {cycles:,} | {waits:,} | {1 + waits / cycles:.2f} | "
        f"{found.milliseconds:.2f} | {1e3 / fastest:.2f} |"
    )


if __name__ == "__main__":
    main()
