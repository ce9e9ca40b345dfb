"""The C of the elementwise and data-moving operators equals ``run_int``, under ASan and UBSan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check

from mcuq.ir import Array, Node
from mcuq.kernels import variants
from mcuq.ops import spec
from mcuq.ops.softmax import exp_table
from mcuq.qir import QGraph, QTensor

ADD = {"mul_a": 4, "mul_b": -1, "bias": 515, "shift": 3, "out_min": -100, "out_max": 90}
ADD_WIDE = {"mul_a": 1 << 20, "mul_b": -(1 << 20), "bias": -(1 << 29), "shift": 22,
            "out_min": -128, "out_max": 127}  # fmt: skip
MUL = {"zero_a": -128, "zero_b": 0, "bias": -63488, "shift": 9, "out_min": -128, "out_max": 120}
MUL_EXACT = {"zero_a": 0, "zero_b": 0, "bias": 0, "shift": 0, "out_min": -128, "out_max": 127}

BINARY = [
    ("add", ADD, (1, 3, 5, 7), (1, 3, 5, 7)),
    ("add", ADD_WIDE, (1, 4), (1, 4)),
    ("add", ADD, (1, 1), (1, 1)),
    ("add", ADD, (1, 3, 5, 7), (1, 1, 1, 7)),
    ("add", ADD, (1, 1, 1, 7), (1, 3, 5, 7)),
    ("add", ADD, (1, 3, 5, 1), (1, 3, 5, 7)),
    ("add", ADD, (1, 3, 1, 1), (1, 1, 1, 7)),
    ("mul", MUL, (1, 3, 5, 7), (1, 3, 5, 7)),
    ("mul", MUL_EXACT, (1, 2), (1, 2)),
    ("mul", MUL, (1, 3, 5, 8), (1, 1, 1, 8)),
    ("mul", MUL, (1, 3, 5, 1), (1, 3, 5, 7)),
    ("mul", MUL, (1, 3, 5, 7), (1, 1, 1, 1)),
]


@pytest.fixture(name="random")
def _random() -> np.random.Generator:
    return np.random.default_rng(5)


def values(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random s8 with both extremes, as far as there is room."""
    data = random.integers(-128, 128, shape, dtype=np.int8)
    data.flat[0], data.flat[-1] = -128, 127
    return data


def cases(
    op: str, attrs: dict[str, object], inputs: dict[str, Array], constants: dict[str, Array]
) -> list[Case]:
    """One case per accepted variant, plus the overlaps that its gap allows and odd addresses."""
    node = Node(op, op, (*inputs, *constants), ("y",), attrs)
    kinds = {"int8": "s8", "uint8": "u8", "int16": "s16"}
    tensors = {n: QTensor(n, v.shape, kinds[v.dtype.name], 0) for n, v in inputs.items()}
    tensors |= {n: QTensor(n, v.shape, kinds[v.dtype.name], 0, 0, v) for n, v in constants.items()}
    shape = spec(op).infer(node, [tensors[n].shape for n in node.inputs])
    tensors["y"] = QTensor("y", shape, "s32" if op == "argmax" else "s8", 0)
    graph = QGraph("g", (), (), (node,), tensors)
    found = []
    for variant in variants(op):
        if variant.suits(node, graph):
            plain = Case(variant, node, graph, inputs, label=f"{variant.symbol} {shape} {attrs}")
            gaps = [i for i in range(len(inputs)) if variant.gap(node, graph, i) is not None]
            found += [plain, replace(plain, misalign=1), *(replace(plain, overlap=i) for i in gaps)]
    return found


def binary_cases(random: np.random.Generator) -> list[Case]:
    found: list[Case] = []
    for op, attrs, shape_a, shape_b in BINARY:
        a, b = values(random, shape_a), values(random, shape_b)
        found += cases(op, dict(attrs), {"a": a, "b": b}, {})
        found += cases(op, dict(attrs), {"a": a}, {"b": b})
    return found


def table_cases(random: np.random.Generator) -> list[Case]:
    every = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    table = random.permutation(every.ravel())
    found = cases("lut", {}, {"x": every}, {"t": table})
    found += cases("lut", {}, {"x": values(random, (1, 7))}, {"t": table})
    found += cases("from_u8", {}, {"x": np.arange(255, dtype=np.uint8).reshape(1, 3, 85)}, {})
    for frac, shape in ((4, (1, 10)), (-2, (1, 3, 5)), (12, (1, 300)), (7, (1, 1))):
        found += cases("softmax", {}, {"x": values(random, shape)}, {"t": exp_table(frac)})
    equal = np.full((1, 2, 6), -128, np.int8)
    found += cases("softmax", {}, {"x": equal}, {"t": exp_table(0)})
    for data in (values(random, (1, 10)), values(random, (1, 3, 2, 5)), equal):
        found += cases("argmax", {}, {"x": data}, {})
    return found


def move_cases(random: np.random.Generator) -> list[Case]:
    found: list[Case] = []
    for axis in (1, 2, 3):
        sizes = {"a": 1, "b": 4, "c": 2}
        shapes = {n: tuple(s if i == axis else (1, 3, 2, 5)[i] for i in range(4))
                  for n, s in sizes.items()}  # fmt: skip
        found += cases(
            "concat", {"axis": axis}, {n: values(random, s) for n, s in shapes.items()}, {}
        )
    x = values(random, (1, 3, 4, 5))
    around = ((0, 0), (1, 2), (0, 3), (0, 0))
    found += cases("pad", {"pads": around, "value": (-7,)}, {"x": x}, {})
    found += cases("pad", {"pads": around, "value": (1, 2, 3, -4, 5)}, {"x": x}, {})
    channels = ((0, 0), (1, 0), (2, 0), (1, 2))
    found += cases("pad", {"pads": channels, "value": tuple(range(8))}, {"x": x}, {})
    found += cases("pad", {"pads": ((0, 0), (2, 1)), "value": (9,)}, {"x": x.reshape(1, 60)}, {})
    for perm in ((0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 2, 3), (0, 3, 2, 1)):
        found += cases("transpose", {"perm": perm}, {"x": x}, {})
    found += cases("transpose", {"perm": (0, 2, 1)}, {"x": x.reshape(1, 12, 5)}, {})
    return found


@pytest.mark.parametrize("make", [binary_cases, table_cases, move_cases])
def test_c_is_run_int_on_the_host(make, random: np.random.Generator, tmp_path: Path) -> None:
    check(make(random), TARGETS["host"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("make", [binary_cases, table_cases, move_cases])
@pytest.mark.parametrize("core", ["m0", "m4"])
def test_c_is_run_int_on_a_core(make, core, random: np.random.Generator, tmp_path: Path) -> None:
    check(make(random), TARGETS[core], tmp_path)
