"""Executed instructions, flash and RAM of whole networks on every core: ``benchmarks/RESULTS.md``.

    python -m benchmarks.instructions [NETWORK ...]

Takes some minutes. ``instructions.json`` keeps the counts; a test fails when one grows by more than
2 %. The comparison is with CMSIS-NN's best kernels, measured in the same setting (gcc 12.2,
QEMU 7.2, executed instructions of one inference).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.networks import NETWORKS
from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure.bench import Bench, bench
from mcuq.model.compiled import generate
from mcuq.model.report import Report
from mcuq.targets import boards

HERE = Path(__file__).parent
RECORD = HERE / "instructions.json"
RESULTS = HERE / "RESULTS.md"
# Column -> board and preference.
CORES = {
    "M0": ("mps2_an385_m0", "balanced"),
    "M3": ("mps2_an385", "balanced"),
    "M4": ("mps2_an386", "balanced"),
    "M7": ("mps2_an500", "balanced"),
    "M33": ("mps2_an505", "balanced"),
    "M55": ("mps3_an547", "balanced"),
    "RV32": ("riscv32_virt", "balanced"),
    "M4 speed": ("mps2_an386", "speed"),
    "M4 size": ("mps2_an386", "size"),
}
# Instructions of CMSIS-NN in its best build, by network and core, measured in the setting above.
CMSIS_NN = {
    "kws": (29_000_340, 10_543_959, 7_419_207, 7_729_847, 7_800_744, 1_742_166),
    "ic": (97_620_449, 41_755_193, 28_614_545, 29_589_103, 29_905_789, 4_721_984),
    "vww": (86_862_517, 32_076_649, 23_422_889, 24_372_228, 24_532_158, 6_297_276),
    "ad": (1_758_062, 952_663, 570_436, 579_760, 579_200, 145_816),
}


def measure(name: str, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each column, the costs of the network ``name``; it is quantized once."""
    import torch

    network = NETWORKS[name]
    inputs = network.inputs()
    config = Config(quantize={"effort": "fast"})
    example = torch.from_numpy(inputs[:1])
    made = compile_model(network.module(), example, inputs, name=name, config=config).bundle
    for column in columns:
        board, prefer = boards.load(CORES[column][0]), CORES[column][1]
        compiled = generate(replace(made, prefer=prefer), board)
        yield column, _costs(bench(compiled, board), compiled.report)


def _costs(result: Bench, report: Report) -> dict[str, Any]:
    return {
        "macs": result.macs,
        "instructions": result.instructions,
        "cycles_estimate": result.cycles_estimate,
        "flash": result.flash,
        "flash_weights": report.flash_weights,
        "ram": result.ram,
        "arena_lower_bound": report.arena_lower_bound,
        "stack": report.boards[result.board].stack,
        "estimate_off": max(abs(s.choices[0].cost / s.instructions - 1) for s in result.steps),
    }


def main(names: list[str]) -> None:
    """Measure, keep the counts, and write the tables."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names or list(NETWORKS):
        record[name] = {}
        for column, costs in measure(name, CORES):
            record[name][column] = costs
            print(f"{name} on {column}: {costs['instructions']:,} instructions", flush=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    RESULTS.write_text(tables(record))


def tables(record: dict[str, Any]) -> str:
    """The Markdown of ``RESULTS.md``."""
    parts = [
        "# Results\n",
        "Written by `python -m benchmarks.instructions`: executed instructions of one inference in",
        "QEMU, exact and repeatable. Seeded random weights; compiled with gcc 12.2 at -O2.\n",
        *_table("Instructions", record, lambda name, core, row: f"{row['instructions']:,}"),
        *_table(
            "Instructions per MAC",
            record,
            lambda name, core, row: f"{row['instructions'] / row['macs']:.3f}",
        ),
        *_table("As a share of CMSIS-NN's instructions", record, _share),
        *_table("Estimated cycles (zero-wait memory)", record, _cycles),
        *_table(
            "Largest error of an estimated step, in percent",
            record,
            lambda name, core, row: f"{100 * row['estimate_off']:.0f}",
        ),
        *_table(
            "Flash in bytes: weights, constants and code",
            record,
            lambda name, core, row: f"{row['flash']:,}",
        ),
        *_table(
            "Flash in bytes without weights",
            record,
            lambda name, core, row: f"{row['flash'] - row['flash_weights']:,}",
        ),
        *_table(
            "RAM in bytes: arena with scratch, and worst stack",
            record,
            lambda name, core, row: f"{row['ram']:,} + {row['stack']:,}",
        ),
    ]
    return "\n".join(parts) + "\n"


def _table(title: str, record: dict[str, Any], cell: Any) -> list[str]:
    lines = [f"## {title}\n", f"| network | {' | '.join(CORES)} |", f"|---|{'--:|' * len(CORES)}"]
    for name in NETWORKS:
        rows = record.get(name, {})
        cells = [cell(name, core, rows[core]) if core in rows else "" for core in CORES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _share(name: str, core: str, row: dict[str, Any]) -> str:
    column = core.split()[0]
    order = ["M0", "M3", "M4", "M7", "M33", "M55"]
    if name not in CMSIS_NN or column not in order:
        return ""
    return f"{row['instructions'] / CMSIS_NN[name][order.index(column)]:.3f}"


def _cycles(name: str, core: str, row: dict[str, Any]) -> str:
    return f"{row['cycles_estimate']:,}" if row["cycles_estimate"] else ""


if __name__ == "__main__":
    main(sys.argv[1:])
