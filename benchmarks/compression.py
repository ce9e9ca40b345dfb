"""What structured pruning with recovery gives: accuracy, instructions, flash and RAM.

    python -m benchmarks.compression [--work FOLDER] [--threads N] [ic kws article]

Prunes and tunes the networks of ``compression_cases`` (minutes each), measures the built images
and writes ``compression.json`` and ``COMPRESSION.md``. ``FOLDER`` keeps trained networks and
checkpoints, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.compression_cases import DATA, Case, cases
from mcuq.compress.augment import Augment
from mcuq.compress.pipeline import compress_graph
from mcuq.compress.recover import Settings, recover
from mcuq.compress.request import Request, Tuning, parse
from mcuq.compress.structured import prune_channels
from mcuq.errors import FitError
from mcuq.ir import Graph
from mcuq.measure.bench import bench
from mcuq.measure.evaluate import evaluate
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.quantize import Options, quantize_report
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

HERE = Path(__file__).parent
RECORD = HERE / "compression.json"
RESULTS = HERE / "COMPRESSION.md"
CORES = {"M4": "mps2_an386", "M55": "mps3_an547"}
CALIBRATION_ROWS = 256


@dataclass(frozen=True)
class Stage:
    """The arguments of each ``prune_channels``, and the settings of ``recover`` after them."""

    cuts: tuple[dict[str, Any], ...]
    tuning: Settings


@dataclass(frozen=True)
class Recipe:
    """What is done in turn, the board that the result is to fit, and how else it is compressed."""

    stages: tuple[Stage, ...]
    board: str | None = None
    clustered: Request | None = None


SETTINGS = Settings(learning_rate=1e-2, trust=0.1, precision="bfloat16")
IMAGES = replace(SETTINGS, normalize=True, augment=Augment(flip=True, shift=4, mix=True))
RECIPES = {
    # Images of full size cost most: half of the channels there. The last stage has most to say.
    "ic": Recipe(
        (
            Stage(
                (
                    {
                        "amount": 0.5,
                        "only": ("conv1", "conv3"),
                        "measure": "channels",
                        "multiple": 8,
                    },
                    {"amount": 0.5, "only": "conv2", "measure": "channels", "multiple": 8},
                    {"amount": 0.5, "only": "conv5", "measure": "channels"},
                    {"amount": 0.25, "only": "conv8", "measure": "channels"},
                ),
                replace(IMAGES, epochs=200),
            ),
            Stage(
                ({"amount": 0.0625, "only": ("conv7", "conv9"), "measure": "channels"},),
                replace(IMAGES, epochs=240, held_out=0.02),
            ),
        ),
        clustered=Request(
            parse("cluster:4bit"),
            tuning=Tuning(
                epochs=16,
                learning_rate=2e-3,
                trust=0.1,
                precision="bfloat16",
                flip=True,
                shift=4,
                mix=True,
            ),
        ),
    ),
    "kws": Recipe(
        (
            Stage(
                ({"amount": 0.6, "multiple": 16},),
                replace(SETTINGS, epochs=30, augment=Augment(shift=2)),
            ),
        ),
    ),
    "article": Recipe(
        (Stage(({"amount": 0.7},), replace(IMAGES, epochs=60)),),
        board="nucleo_f446re",
    ),
}


def compressed(case: Case, recipe: Recipe, work: Path) -> Graph:
    """The case's network, pruned and tuned."""
    feeds, graph = case.feeds(case.train), case.graph
    for index, stage in enumerate(recipe.stages, start=1):
        for cut in stage.cuts:
            graph = prune_channels(graph, calibration=feeds, **cut)
        file, report = work / f"{case.name}_{index}.npz", progress(f"{case.name} {index}")
        found = recover(
            graph, case.graph, feeds, case.labels,
            settings=stage.tuning, checkpoint=file, report=report,
        )  # fmt: skip
        graph = found.graph
        print(f"{case.name}: losses {found.losses[0]:.3f} -> {min(found.losses):.3f}", flush=True)
    return graph


def clustered(case: Case, request: Request, work: Path) -> Graph:
    """The case's network with few values of weights, tuned."""
    file, report = work / f"{case.name}_clustered.npz", progress(f"{case.name} clustered")
    feeds = case.feeds(case.train)
    return compress_graph(
        case.graph, request, feeds, case.labels, checkpoint=file, report=report
    ).graph


def progress(name: str) -> Callable[[str, float], None]:
    """Prints a line every 30 seconds."""
    last = time.monotonic()

    def report(text: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"{name}: {text} {share:.0%}", flush=True)

    return report


def measure(case: Case, graph: Graph, board: str | None) -> dict[str, Any]:
    """Accuracy in float and integers, and the costs of the built image on every core."""
    feeds = case.feeds(case.train[:: max(1, len(case.train) // CALIBRATION_ROWS)])
    found = quantize_report(graph, feeds, Options())
    vectors = feeds_to_int(found.qgraph, {name: rows[:8] for name, rows in feeds.items()})
    made = Bundle(case.name, "", "", None, "balanced", graph, found.qgraph, vectors)
    row: dict[str, Any] = {"float": {}, "int8": {}}
    for name, (x, y) in case.tests.items():
        result = evaluate(graph, found.qgraph, case.feeds(x), y)
        row["float"][name], row["int8"][name] = result.float_top1, result.int8_top1
    for core, machine in CORES.items():
        emulated = boards.load(machine)
        compiled = generate(made, emulated)
        costs = bench(compiled, emulated)
        row[core] = {
            "macs": costs.macs,
            "instructions": costs.instructions,
            "flash": costs.flash,
            "flash_weights": compiled.report.flash_weights,
            "ram": costs.ram,
        }
    if board:
        row["fits"] = _fits(made, board)
    return row


def _fits(made: Bundle, board: str) -> str:
    """The bytes that it needs on ``board``, or why it does not fit."""
    try:
        needs = generate(made, boards.load(board)).report.boards[board]
    except FitError as error:
        return str(error)
    return f"{board}: {needs.flash:,} bytes of flash, {needs.ram + needs.stack:,} of RAM"


def run(name: str, work: Path) -> dict[str, Any]:
    """The case ``name`` before and after."""
    case, recipe = cases()[name](work), RECIPES[name]
    before = measure(case, case.graph, recipe.board)
    print(json.dumps(before, indent=1), flush=True)
    graph = compressed(case, recipe, work)
    after = measure(case, graph, recipe.board)
    print(json.dumps(after, indent=1), flush=True)
    widths = [graph.shape(node.output)[-1] for node in graph.nodes if "clip" in node.attrs]
    found = {"dense": before, "pruned": after, "channels": widths}
    if recipe.clustered:
        coded = measure(case, clustered(case, recipe.clustered, work), recipe.board)
        found[str(recipe.clustered.default)] = coded
    return found


def tables(record: dict[str, Any]) -> str:
    """The Markdown of ``COMPRESSION.md``."""
    lines = [
        "# Compression\n",
        "Written by `python -m benchmarks.compression`: structured pruning, and shared values of",
        "weights, with recovery of trained networks; executed instructions of one inference in",
        "QEMU. Accuracy on data that no weight was trained, tuned or calibrated on; but a few",
        "recipes were tried with it in sight (five for cluster:4bit).\n",
        "| network | | float | int8 | M4 instructions | M55 instructions | weights | flash | RAM |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, case in record.items():
        lines.append(_line(name, "dense", case["dense"]))
        for kind in sorted(case.keys() - {"dense", "channels"}, reverse=True):
            lines += [_line(name, kind, case[kind]), _shares(case["dense"], case[kind])]
    fits = [
        f"- {name}: {case['pruned']['fits']}"
        for name, case in record.items()
        if "fits" in case["pruned"]
    ]
    return "\n".join([*lines, "", *fits]) + "\n"


def _line(name: str, kind: str, row: dict[str, Any]) -> str:
    shares = [" / ".join(f"{100 * v:.2f} %" for v in row[k].values()) for k in ("float", "int8")]
    counts = [f"{row[core]['instructions']:,}" for core in CORES]
    memory = [f"{row['M4'][key]:,}" for key in ("flash_weights", "flash", "ram")]
    return f"| {' | '.join([name, kind, *shares, *counts, *memory])} |"


def _shares(dense: dict[str, Any], small: dict[str, Any]) -> str:
    """What is left, and the points lost against float before."""
    lost = [100 * (dense["float"][k] - v) for k, v in small["int8"].items()]
    counts = [small[c]["instructions"] / dense[c]["instructions"] for c in CORES]
    memory = [small["M4"][k] / dense["M4"][k] for k in ("flash_weights", "flash", "ram")]
    cells = [" / ".join(f"{-v:+.2f}" for v in lost), *(f"{v:.3f}" for v in (*counts, *memory))]
    return f"| | left | | {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression")
    parser.add_argument("names", nargs="*", help="ic, kws, article; all by default")
    parser.add_argument("--work", default=Path(tempfile.gettempdir()) / "mcuq_compression")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    if not DATA.is_dir():
        parser.error(f"no data sets in {DATA}")
    torch.set_num_threads(given.threads)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in given.names or list(cases()):
        record[name] = run(name, Path(given.work))
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        RESULTS.write_text(tables(record))


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main(sys.argv[1:])
