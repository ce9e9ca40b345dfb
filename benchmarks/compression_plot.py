"""Accuracy against flash and against instructions, one point per way of compression.

    python -m benchmarks.compression_plot [-o compression.svg] [--recover EPOCHS] [METHODS ...]
    python -m benchmarks.compression_plot --model M.onnx --calib TRAIN.npz --data TEST.npz

Without a model: examples/digits.onnx on scikit-learn's digits, compressed with the rows that it was
trained on and judged on the others. Each integer network is built, run in emulation and evaluated;
a table goes to standard output, the plot to a file (``pip install 'mcuq[plot]'``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mcuq
from mcuq.data.array_files import read
from mcuq.ir import Array

DIGITS = Path(__file__).parents[1] / "examples" / "digits.onnx"
METHODS = (
    *("none", "structured:0.25", "structured:0.5", "structured:0.75"),
    *("cluster:4bit", "cluster:2bit", "log", "int4"),
    *("sparse:0.5", "sparse:0.8", "block:0.5", "block:0.8", "2:4"),
    *("structured:0.5,cluster:4bit", "structured:0.25,sparse:0.5,cluster:4bit"),
)
MARKS = {
    "none": "*",
    "structured": "o",
    "cluster": "s",
    "log": "D",
    "int4": "P",
    "sparse": "v",
    "block": "^",
    "2:4": "<",
}
Rows = tuple[Array, Array]


@dataclass(frozen=True)
class Point:
    """``flash``: of the built image; ``weights``: of the constants; accuracies in percent."""

    methods: str
    weights: int
    flash: int
    ram: int
    instructions: int
    accuracy: float
    reference: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--model", default=DIGITS, type=Path)
    parser.add_argument("--calib", help="FILE.npz with x and y: typical inputs")
    parser.add_argument("--data", help="FILE.npz with x and y: where accuracy is measured")
    parser.add_argument("--board", default="mps2_an386")
    parser.add_argument("--recover", default=0, type=int)
    parser.add_argument("--effort", default="normal")
    parser.add_argument("-o", "--out", default="compression.svg", type=Path)
    options = parser.parse_args()
    typical, held = (
        _digits() if options.calib is None else map(_rows, (options.calib, options.data))
    )
    points = []
    print("| methods | weights B | flash B | RAM B | instructions | accuracy % |")
    print("|---|--:|--:|--:|--:|--:|")
    for methods in options.methods:
        point = _measured(methods, options, typical, held)
        points.append(point)
        print(
            f"| {point.methods} | {point.weights:,} | {point.flash:,} | {point.ram:,} "
            f"| {point.instructions:,} | {point.accuracy:.2f} |",
            flush=True,
        )
    print(f"\nfloat: {points[0].reference:.2f} %")
    _plot(points, options.out)


def _rows(ref: str) -> Rows:
    arrays, _ = read(ref)
    return arrays["x"], arrays["y"]


def _digits() -> tuple[Rows, Rows]:
    """What the network was trained on, and the rest."""
    sys.path.insert(0, str(DIGITS.parent))
    from train_digits import split

    images, labels, held, known = split()
    return (images, labels), (held, known)


def _measured(methods: str, options: Any, typical: Rows, held: Rows) -> Point:
    asked = {} if methods == "none" else {"compress": methods, "recover": options.recover}
    model = mcuq.compile(
        options.model,
        calibration=typical[0],
        labels=typical[1] if asked and options.recover else None,
        board=options.board,
        config=mcuq.Config(quantize={"effort": options.effort}),
        **asked,
    )
    cost = model.bench(options.board)
    result = model.evaluate(*held)
    return Point(
        methods,
        model.report.flash_weights,
        cost.flash,
        cost.ram,
        cost.instructions,
        100 * (result.int8_top1 or 0.0),
        100 * (result.float_top1 or 0.0),
    )


def _plot(points: Sequence[Point], out: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        print(f"{out} is not written: pip install 'mcuq[plot]'")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (by_flash, by_time) = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for point in points:
        mark = MARKS.get(point.methods.split(":")[0], MARKS.get(point.methods, "x"))
        mixed = "," in point.methods
        style: dict[str, Any] = {"marker": "X" if mixed else mark, "linestyle": "none"}
        by_flash.plot(point.flash / 1024, point.accuracy, label=point.methods, **style)
        by_time.plot(point.instructions / 1e6, point.accuracy, **style)
    for axes, label in ((by_flash, "flash, KiB"), (by_time, "instructions, millions")):
        axes.axhline(points[0].reference, color="gray", linewidth=0.8, linestyle="--")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    by_flash.set_ylabel("accuracy of the integer network, %")
    figure.legend(loc="center right", fontsize="small", frameon=False)
    figure.tight_layout(rect=(0, 0, 0.78, 1))
    figure.savefig(out)
    print(f"{out} written")


if __name__ == "__main__":
    main()
