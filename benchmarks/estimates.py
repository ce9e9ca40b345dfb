"""``mcuq estimate``, which has no data, beside what the build of the same network measures.

``python -m benchmarks.estimates`` estimates the networks of ``instructions.json`` on four kinds of
cores, and writes ``ESTIMATES.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.instructions import CORES, RECORD
from benchmarks.networks import NETWORKS
from mcuq import api

TABLE = Path(__file__).parent / "ESTIMATES.md"
COLUMNS = ("M0", "M4", "M55", "RV32")
HEAD = """# Estimates without data

Written by `python -m benchmarks.estimates`: `mcuq estimate` of the networks of `RESULTS.md`, and in
brackets how far that is from what their builds, quantized with data, measured.

| network | core | instructions | flash B | RAM B |
|---|---|--:|--:|--:|
"""


@dataclass(frozen=True)
class Compared:
    """An estimate, and what was measured; sizes in bytes."""

    column: str
    instructions: int
    counted: int
    flash: int
    linked: int
    ram: int
    used: int


def compared(name: str) -> Iterator[Compared]:
    """The network ``name`` on each of ``COLUMNS``."""
    network = NETWORKS[name]
    measured = json.loads(RECORD.read_text())[name]
    places = {CORES[column][0]: column for column in COLUMNS}
    found = api.estimate(network.module(), torch.zeros(network.shape), on=list(places))
    for needs in found.boards:
        row = measured[places[needs.board]]
        yield Compared(
            places[needs.board],
            *(needs.instructions, row["instructions"]),
            *(needs.flash, row["flash"]),
            *(needs.arena, row["ram"]),
        )


def main() -> None:
    """Write the table."""
    rows = [
        f"| {name} | {row.column} | {row.instructions:,} "
        f"({row.instructions / row.counted - 1:+.1%}) | {row.flash:,} "
        f"({row.flash - row.linked:+,}) | {row.ram:,} ({row.ram - row.used:+,}) |"
        for name in NETWORKS
        for row in compared(name)
    ]
    TABLE.write_text(HEAD + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
