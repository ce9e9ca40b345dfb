"""Where training with the numbers of the chip pays: accuracy of the integers, mean and spread.

    python -m benchmarks.training [--work FOLDER] [--seeds N] [--only TEXT] [digits kws ic]

Each method three ways, with as many epochs: ``post``: the float network is trained on, and
compressed afterwards; ``recover``: compressed, then tuned (``--recover``); ``train``:
``mcuq.train``. A minute or so each; what is done is in ``training.json``, and only the rest is
measured. Writes ``TRAINING.md``. ``digits`` needs no data sets; the others are those of
``compression_cases``.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.compression_cases import DATA, Case, cases
from mcuq import train
from mcuq.compress.augment import Augment
from mcuq.compress.pipeline import compress_graph
from mcuq.compress.request import Request, Tuning, parse
from mcuq.importers import from_torch
from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate
from mcuq.passes import pipeline
from mcuq.quantize import Options, quantize_report

HERE = Path(__file__).parent
RECORD = HERE / "training.json"
RESULTS = HERE / "TRAINING.md"
CALIBRATION_ROWS = 64
TYPICAL = 128
WAYS = ("train", "recover", "post")


@dataclass(frozen=True)
class Plan:
    """``methods``: those of ``--compress``; ``epochs`` of each, and how rows are changed.

    ``rate``: of ``fit``, or by method in ``rates``; ``trust``: of labels in ``recover``. ``rows``:
    so many are learned from. ``half``: in bfloat16, which small networks don't gain by.
    ``normalize``: with fewer channels it has BatchNorm again, which was folded away.
    """

    methods: tuple[str, ...]
    epochs: Mapping[str, int]
    augment: Augment
    rate: float = 1e-3
    trust: float = 0.3
    rows: int | None = None
    half: bool = True
    normalize: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)


PLANS = {
    "digits": Plan(
        ("cluster:4bit", "int4", "cluster:2bit", "2:4", "block:0.8", "structured:0.5"),
        {"*": 8},
        Augment(shift=1),
        half=False,
    ),
    "kws": Plan(
        ("cluster:4bit", "cluster:2bit", "2:4", "block:0.8"),
        {"*": 10},
        Augment(shift=2),
        half=False,
        rates={"cluster:4bit": 3e-3, "cluster:2bit": 3e-3, "block:0.8": 4e-3},
    ),
    "ic": Plan(
        ("cluster:4bit", "cluster:2bit", "structured:0.5"),
        {"*": 3, "structured:0.5": 8},
        Augment(flip=True, shift=4, mix=True),
        trust=0.1,
        rows=4000,
        normalize=True,
        rates={"structured:0.5": 3e-3},
    ),
}


class Steady(nn.Module):
    """A trained network that is only tuned: BatchNorm keeps its statistics, nothing is dropped."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.module(x)
        return found

    def train(self, mode: bool = True) -> Steady:
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d | nn.Dropout):
                part.eval()
        return self


class Half(nn.Module):
    """A module whose layers compute in bfloat16: about twice as fast where processors have it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            found: Tensor = self.module(x)
        return found.float()


class Bench:
    """One network: what it is made of, and the three ways."""

    def __init__(self, case: Case, plan: Plan) -> None:
        self.case, self.plan = case, plan
        case = self.case = replace(
            case, train=case.train[: plan.rows], labels=case.labels[: plan.rows]
        )
        self.x = images(case.train)
        self.y = torch.from_numpy(case.labels)
        self.tests = {n: (images(x), torch.from_numpy(y)) for n, (x, y) in case.tests.items()}
        self.feeds = case.feeds(case.train)
        self.module = Steady(case.module).train()
        self._trained: dict[tuple[int, int], Graph] = {}

    def measured(self, method: str, way: str, seed: int) -> dict[str, float]:
        """Accuracy of the integers by test set."""
        epochs = self.epochs(method)
        if way == "post":
            graph = self._float(epochs, seed)
            return self.judged(self.compressed(graph, method, Tuning(seed=seed)))
        if way == "recover":
            tuning = Tuning(
                epochs, trust=self.plan.trust, precision="bfloat16", seed=seed,
                flip=self.plan.augment.flip, shift=self.plan.augment.shift,
                mix=self.plan.augment.mix,
                normalize=self.plan.normalize and method.startswith("structured"),
            )  # fmt: skip
            return self.judged(self.compressed(self.case.graph, method, tuning))
        prepared = self.trained(method, epochs, seed)
        return {n: train.accuracy(prepared, x, y) for n, (x, y) in self.tests.items()}

    def epochs(self, method: str) -> int:
        """How often each way sees the data."""
        return self.plan.epochs.get(method, self.plan.epochs["*"])

    def compressed(self, graph: Graph, method: str, tuning: Tuning) -> Graph:
        """By the road of ``--compress``."""
        request = Request(parse(method), tuning=tuning)
        labels = self.case.labels if tuning.epochs else None
        rows = self.feeds if tuning.epochs else self.feeds_of(512)
        feeds = {graph.inputs[0].name: next(iter(rows.values()))}
        return compress_graph(graph, request, feeds, labels).graph

    def judged(self, graph: Graph) -> dict[str, float]:
        """``graph`` quantized after training, and its accuracy by test set."""
        port = graph.inputs[0].name
        feeds = {port: next(iter(self.feeds_of(CALIBRATION_ROWS).values()))}
        qgraph = quantize_report(graph, feeds, Options()).qgraph
        found = {}
        for name, (x, y) in self.case.tests.items():
            found[name] = float(evaluate(graph, qgraph, {port: x}, y).int8_top1 or 0.0)
        return found

    def feeds_of(self, rows: int) -> dict[str, Any]:
        """Some of the training rows, evenly spaced."""
        step = max(1, len(self.case.train) // rows)
        return {name: values[::step][:rows] for name, values in self.feeds.items()}

    def trained(self, method: str, epochs: int, seed: int) -> train.Prepared:
        """By ``mcuq.train``: with fewer channels three quarters of the epochs are in float."""
        module, asked = self.module, parse(method)
        if asked.structured is not None:
            return self.smaller(method, epochs, seed)
        grow = train.Prune(method, "cubic", 0, self.steps(epochs) // 3, 10)
        prepared = train.prepare(
            module, self.x[:TYPICAL],
            prune=grow if asked.zeros else None,
            cluster=method if asked.codes else None,
            freeze=self.steps(epochs) * 2 // 3,
        )  # fmt: skip
        self.fit(prepared, epochs, seed, self.plan.rates.get(method))
        return prepared

    def smaller(self, method: str, epochs: int, seed: int) -> train.Prepared:
        """With fewer channels: trained in float, with BatchNorm, then with the chip's numbers."""
        module, amount = self.case.module, parse(method).structured or 0.0
        typical, first = self.x[:TYPICAL], epochs * 3 // 4
        if self.plan.normalize:
            module = train.with_batch_norm(module, typical)
        module = train.shrink(module, typical, amount)
        self.fit(module, first, seed, self.plan.rates.get(method))
        prepared = train.prepare(module, typical, freeze=self.steps(epochs - first) // 2)
        self.fit(prepared, epochs - first, seed + 1, self.plan.rate / 4)
        return prepared

    def _float(self, epochs: int, seed: int) -> Graph:
        """The float network trained on, with the same teacher."""
        if (epochs, seed) not in self._trained:
            module = copy.deepcopy(self.module)
            self.fit(module, epochs, seed)
            found = pipeline.run(from_torch(module, self.x[:1].contiguous()))
            self._trained[epochs, seed] = found
        return self._trained[epochs, seed]

    def steps(self, epochs: int) -> int:
        """Training steps in so many epochs."""
        return epochs * -(-len(self.x) // 64)

    def fit(self, module: nn.Module, epochs: int, seed: int, rate: float | None = None) -> None:
        """``module`` taught by the float network, and by labels where rows are not mixed."""
        parts = [m.to(memory_format=torch.channels_last) for m in (module, self.case.module.eval())]
        student, teacher = (Half(part) if self.plan.half else part for part in parts)
        train.fit(
            student, self.x, None if self.plan.augment.mix else self.y, epochs=epochs,
            learning_rate=rate or self.plan.rate, seed=seed, teacher=teacher,
            augment=augmented(self.plan.augment, seed),
        )  # fmt: skip
        module.eval()


def augmented(change: Augment, seed: int) -> Callable[[Tensor], Tensor]:
    """``change`` for (N, C, H, W) images."""
    chance = np.random.default_rng(seed)

    def augment(x: Tensor) -> Tensor:
        made = change({"x": x.permute(0, 2, 3, 1).numpy()}, chance)["x"]
        return torch.from_numpy(np.ascontiguousarray(made)).permute(0, 3, 1, 2)

    return augment


def images(rows: Any) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W), lying in memory as before."""
    return torch.from_numpy(np.ascontiguousarray(rows)).permute(0, 3, 1, 2)


def digits(work: Path) -> Case:
    """scikit-learn's digits and the small MobileNetV2, trained here."""
    made = networks.digits()
    graph = pipeline.run(from_torch(made.module, torch.zeros(1, 1, 16, 16)))
    x, x_test = (np.ascontiguousarray(v[0].transpose(0, 2, 3, 1)) for v in (made.train, made.test))
    return Case("digits", made.module, graph, x, made.train[1], {"test": (x_test, made.test[1])})


CASES = {"digits": digits, **{n: make for n, make in cases().items() if n in PLANS}}


def run(name: str, given: argparse.Namespace, record: dict[str, Any]) -> None:
    """All that the record does not hold of one network."""
    case, plan = CASES[name](Path(given.work)), PLANS[name]
    bench = Bench(case, plan)
    found = record.setdefault(name, {})
    if "float" not in found:
        found["float"] = {n: train.accuracy(case.module, x, y) for n, (x, y) in bench.tests.items()}
        found["int8"] = bench.judged(case.graph)
    found["rows"] = len(bench.x)
    for way, seed, method in product(WAYS, range(given.seeds), plan.methods):
        rows = found.setdefault(method, {"epochs": bench.epochs(method)})
        key = f"{way} {seed}"
        if key in rows or given.only not in f"{method} {way}":
            continue
        start = time.process_time()
        rows[key] = bench.measured(method, way, seed)
        seconds = time.process_time() - start
        print(f"{name} {method} {key}: {rows[key]} {seconds:.0f} s", flush=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        RESULTS.write_text(tables(record))


def tables(record: Mapping[str, Any]) -> str:
    """The Markdown of ``TRAINING.md``."""
    lines = [
        "# Training\n",
        "Written by `python -m benchmarks.training`: accuracy of the integers in points above or",
        "below the float network, mean +- standard deviation over the seeds (in brackets how",
        "many). `post`: the float network trained on, compressed and quantized afterwards;",
        "`recover`: compressed, then tuned; `train`: `mcuq.train`. All with as many epochs, the",
        "float network as teacher, the same changes of rows, and labels (where rows are mixed only",
        "`recover`, which knows which it may trust); rates were tried out on kws, its test sets",
        "in sight.\n",
        "| network | method | epochs | post | recover | train |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, case in record.items():
        exact = case["float"]
        for method in [m for m in case if m not in ("float", "int8", "rows")]:
            cells = [_cell(case[method], way, exact) for way in ("post", "recover", "train")]
            epochs = case[method]["epochs"]
            lines.append(f"| {name} | {method} | {epochs} | {' | '.join(cells)} |")
    for name, case in record.items():
        shown = ", ".join(
            f"{test}: {100 * case['float'][test]:.2f} %, int8 {100 * case['int8'][test]:.2f} %"
            for test in case["float"]
        )
        lines.append(f"\n- {name}, {case['rows']:,} rows to learn from; float {shown}")
    return "\n".join(lines) + "\n"


def _cell(rows: Mapping[str, Any], way: str, exact: Mapping[str, float]) -> str:
    """The points lost or won on each test set."""
    found = [rows[key] for key in sorted(rows) if key.startswith(f"{way} ")]
    if not found:
        return ""
    parts = []
    for test, before in exact.items():
        points = [100 * (row[test] - before) for row in found]
        parts.append(f"{statistics.mean(points):+.2f} +- {statistics.pstdev(points):.2f}")
    return f"{' / '.join(parts)} ({len(found)})"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("names", nargs="*", help="digits, kws, ic; all that have data by default")
    parser.add_argument("--work", default=Path(tempfile.gettempdir()) / "mcuq_training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="methods and ways with this text in them")
    given = parser.parse_args(arguments)
    names = given.names or [n for n in PLANS if n == "digits" or DATA.is_dir()]
    torch.set_num_threads(1)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names:
        run(name, given, record)


if __name__ == "__main__":
    main(sys.argv[1:])
