"""Instructions of a step of recurrent layers on emulated cores: a markdown table.

    python -m benchmarks.recurrent [lstm gru rnn] [kernel ...]

Random weights, int8 input and output, the kernels that ``balanced`` takes; with names of kernels
only these. A step is what a sequence of 9 steps takes more than one of 1, by 8. Beside it the
published library for these cores (CMSIS-NN's s8 LSTM, measured in the same way); there is none of
gru, whose targets are three quarters of lstm's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np

from mcuq import kernels
from mcuq.ir import Graph, Node, Port, Tensor
from mcuq.measure.bench import Bench, bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.passes import pipeline
from mcuq.program import lower
from mcuq.qir import QGraph
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

SIZES = ((40, 32), (64, 64), (128, 128))
CORES = {"M0": "mps2_an385_m0", "M4": "mps2_an386", "M55": "mps3_an547", "RV32": "riscv32_virt"}
ANCHORS = {
    (40, 32): {"M4": 36656, "M55": 14172, "M0": 98278},
    (64, 64): {"M4": 98542, "M55": 32312, "M0": 274236},
    (128, 128): {"M4": 318285, "M55": 93548, "M0": 917978},
}
TARGETS = {
    (64, 64): {"M4": 42000, "M55": 10000, "M0": 120000},
    (128, 128): {"M4": 140000, "M55": 30000, "M0": 430000},
}
LONG, SHORT = 9, 1


def network(op: str, inputs: int, units: int, steps: int) -> QGraph:
    """One layer of random weights that gives its last state."""
    chance = np.random.default_rng(units)
    gates, bound = {"lstm": 4, "gru": 3, "rnn": 1}[op], units**-0.5
    shapes = {"w": (gates * units, inputs), "r": (gates * units, units)}
    shapes["b"] = ((2 if op == "gru" else 1) * gates * units,)
    data = {n: chance.uniform(-bound, bound, s).astype(np.float32) for n, s in shapes.items()}
    data |= {n: np.zeros(units, np.float32) for n in ("h", "c") if n == "h" or op == "lstm"}
    tensors = {n: Tensor(n, d.shape, d) for n, d in data.items()}
    tensors |= {"x": Tensor("x", (1, 1, steps, inputs)), "y": Tensor("y", (1, units))}
    more = {"lstm": {}, "gru": {"after": True}, "rnn": {"activation": "tanh"}}[op]
    node = Node(op, op, ("x", *data), ("y",), {"gives": "last", "reverse": False, **more})
    ports = (Port("x", "x", (1, steps, inputs)),), (Port("y", "y", (1, units)),)
    graph = pipeline.run(Graph(op, *ports, (node,), tensors))
    rows = chance.normal(size=(32, 1, steps, inputs)).astype(np.float32)
    return quantize(graph, {"x": rows}, Options("fast"))


def measured(op: str, size: tuple[int, int], steps: int, core: str, only: list[str]) -> Bench:
    """One inference of ``steps`` steps; ``only``: the kernels that may run it, if any are named."""
    qgraph = network(op, *size, steps)
    inputs = np.random.default_rng(0).normal(size=(4, 1, steps, size[0])).astype(np.float32)
    rows = feeds_to_int(qgraph, {"x": inputs})
    empty = Graph(op, (), (), (), {})
    made = Bundle(op, "", "", None, "balanced", empty, qgraph, rows)
    able = tuple(v for v in kernels.VARIANTS if not only or v.symbol in only)
    with patch.object(lower, "variants", lambda name: tuple(v for v in able if v.op == name)):
        board = boards.load(CORES[core])
        return bench(generate(made, board), board)


def rows(ops: list[str], only: list[str]) -> Iterator[tuple[str, ...]]:
    """Layer, size, core, kernel, instructions of a step, a product, the anchor and the target."""
    for op in ops:
        share = {"lstm": 1.0, "gru": 0.75, "rnn": 0.25}[op]
        for size in SIZES:
            for core in CORES:
                try:
                    found = [measured(op, size, steps, core, only) for steps in (LONG, SHORT)]
                except lower.ModelError:  # none of ``only`` runs on this core
                    continue
                step = (found[0].instructions - found[1].instructions) / (LONG - SHORT)
                products = found[1].macs
                anchor = ANCHORS[size].get(core) if op == "lstm" else None
                target = TARGETS.get(size, {}).get(core)
                yield (
                    op,
                    f"{size[0]}, {size[1]}",
                    core,
                    found[0].steps[0].kernel,
                    f"{step:,.0f}",
                    f"{step / products:.2f}",
                    f"{anchor:,}" if anchor else "",
                    f"{share * target:,.0f}" if target else "",
                )


def main() -> None:
    """Print the table as it comes."""
    named = sys.argv[1:]
    ops = [name for name in named if not name.startswith("mcuq_")] or ["lstm", "gru", "rnn"]
    only = [name for name in named if name.startswith("mcuq_")]
    print("| layer | inputs, units | core | kernel | a step | a product | CMSIS-NN | target |")
    print("|---|---|---|---|--:|--:|--:|--:|")
    for row in rows(ops, only):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
