"""The estimates of operators that move, normalize and combine: within 8 % of what they execute.

Those of convolutions, dense layers and pools stand with their kernels.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx_models
import pytest

from mcuq.config import Config
from mcuq.files import temporary
from mcuq.flows.made_up import made_up
from mcuq.importers import load
from mcuq.measure.bench import bench
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import generate
from mcuq.passes import pipeline
from mcuq.targets import boards

BOARDS = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")
Shape = tuple[int, ...]


def row(op: str, *shapes: Shape, constants: tuple[Any, ...] = (), **attributes: Any) -> Any:
    """One node: the shapes of its inputs without the batch, and its constants."""
    return op, shapes, constants, attributes


def ends(*values: int) -> tuple[np.ndarray, ...]:
    """Each as a constant of one element."""
    return tuple(np.array([value], np.int64) for value in values)


def slopes(*shape: int) -> tuple[np.ndarray, ...]:
    return (np.linspace(0.1, 0.4, num=int(np.prod(shape)), dtype=np.float32).reshape(shape),)


def affine(width: int) -> tuple[np.ndarray, ...]:
    scale = np.linspace(-1.5, 1.5, width, dtype=np.float32)
    return scale, scale / 2


def size(*values: int) -> tuple[np.ndarray, ...]:
    return (np.array(values, np.int64),)


NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
           "nearest_mode": "floor"}  # fmt: skip
ROWS = (
    row("Relu", (40,)),
    row("LayerNormalization", (10, 32), constants=affine(32), axis=-1),
    row("LayerNormalization", (3, 50), constants=affine(50), axis=-1),
    row("InstanceNormalization", (4, 6, 5), constants=affine(4)),
    row("InstanceNormalization", (12, 4, 4), constants=affine(12)),
    row("Pad", (4, 6, 5), constants=size(0, 0, 1, 1, 0, 0, 1, 1)),
    row("Pad", (16, 10, 10), constants=size(0, 0, 0, 2, 0, 0, 1, 0)),
    row("Pad", (8, 5, 5), constants=size(0, 3, 0, 0, 0, 4, 0, 0)),
    row("Concat", (4, 6, 5), (3, 6, 5), axis=1),
    row("Concat", (1, 20, 20), (1, 20, 20), axis=1),
    row("Concat", (40, 5, 5), (80, 5, 5), axis=1),
    row("Concat", (3, 6, 9), (3, 6, 4), axis=3),
    row("Sigmoid", (7,)),
    row("Sigmoid", (4, 8, 8)),
    row("Slice", (4, 9, 5), constants=ends(2, 7, 2, 1)),
    row("Slice", (8, 20, 20), constants=ends(5, 15, 3, 1)),
    row("Slice", (64, 6, 6), constants=ends(7, 40, 1, 1)),
    row("Slice", (5, 50), constants=ends(0, 50, 2, 3)),
    row("Gather", (20, 64), constants=size(9, 3, 1, 7), axis=1),
    row("Transpose", (9, 16), perm=(0, 2, 1)),
    row("Transpose", (5, 4, 32), perm=(0, 2, 1, 3)),
    row("Resize", (8, 5, 5), constants=(None, None, *size(1, 8, 15, 15)), **NEAREST),
    row("Resize", (4, 6, 6), constants=(None, None, *size(1, 4, 12, 12)), mode="linear"),
    row("Add", (8, 9, 9), (8, 1, 1)),
    row("Mul", (6, 20), (1, 20)),
    row("Max", (6, 7, 5), (1, 7, 5)),
    row("PRelu", (8, 6, 6), constants=slopes(8, 1, 1)),
    row("LogSoftmax", (3, 100), axis=-1),
    row("ArgMax", (4, 12), axis=-1, keepdims=0),
    row("MatMul", (10, 16), (16, 10)),
    row("MatMul", (3, 40), (40, 3)),
)  # fmt: skip


def network() -> Any:
    """All rows side by side."""
    nodes, inputs, constants = [], {}, {}
    for index, (op, shapes, given, attributes) in enumerate(ROWS):
        names = []
        for place, shape in enumerate(shapes):
            names.append(f"x{index}.{place}")
            inputs[names[-1]] = (1, *shape)
        for place, values in enumerate(given):
            names.append("-" if values is None else f"c{index}.{place}")
            if values is not None:
                constants[names[-1]] = values
        nodes.append(onnx_models.node(op, " ".join(names), f"y{index}", **attributes))
    outputs = " ".join(f"y{index}" for index in range(len(ROWS)))
    return onnx_models.model(nodes, constants, inputs, outputs)


@functools.cache
def bundle() -> Bundle:
    with temporary() as folder:
        graph = pipeline.run(load(onnx_models.save(network(), folder)))
    qgraph = made_up(graph, Config())
    chance = np.random.default_rng(0)
    rows = {
        port.name: chance.integers(-128, 128, (1, *graph.shape(port.tensor)[1:])).astype(np.int8)
        for port in qgraph.inputs
    }
    return Bundle("costs", "", "", None, "balanced", graph, qgraph, rows)


@pytest.mark.emulated
@pytest.mark.parametrize("name", BOARDS)
def test_estimates_are_what_is_executed(name: str) -> None:
    """But for the first step, which also counts the loading of the model's many arguments."""
    board = boards.load(name)
    given = generate(bundle(), board)
    off = {}
    for step in bench(given, board).steps[1:]:
        estimate = step.choices[0].cost
        if abs(estimate - step.instructions) > max(0.08 * step.instructions, 8):
            off[step.name] = (step.kernel, round(estimate), step.instructions)
    assert off == {}
