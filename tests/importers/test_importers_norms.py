"""Normalizations, as operators of their own and as exporters write them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

from mcuq.errors import McuqError

W, B = random(6, low=0.5, high=1.5), random(6, seed=1)
TOKENS = {"x": ("N", 5, 6)}
IMAGE = {"x": ("N", 6, 4, 5)}
NODES = {
    "layer": (node("LayerNormalization", "x w b", "y"), TOKENS, 17),
    "layer without bias": (node("LayerNormalization", "x w", "y", epsilon=0.5), TOKENS, 17),
    "layer of an image": (node("LayerNormalization", "x f g", "y", axis=1), IMAGE, 17),
    "rms": (node("RMSNormalization", "x w", "y", epsilon=0.01), TOKENS, 23),
    "instance": (node("InstanceNormalization", "x w b", "y"), IMAGE, 17),
    "instance 1-D": (node("InstanceNormalization", "x w b", "y"), {"x": ("N", 6, 9)}, 17),
    "group": (node("GroupNormalization", "x w b", "y", num_groups=3), IMAGE, 21),
    "length": (node("LpNormalization", "x", "y", axis=1), IMAGE, 17),
    "mean and variance": (node("MeanVarianceNormalization", "x", "y", axes=[2, 3]), IMAGE, 13),
}
FULL = {"f": random(6, 4, 5), "g": random(6, 4, 5, seed=1)}


@pytest.mark.parametrize("name", NODES)
def test_a_norm_agrees(name: str, tmp_path: Path) -> None:
    made, inputs, opset = NODES[name]
    used = {n: c for n, c in {"w": W, "b": B, **FULL}.items() if n in made.input}
    proto = model([made], used, inputs, opset=opset)
    proto.ir_version = 10 if opset > 22 else proto.ir_version
    assert ops(agrees(proto, tmp_path)) == ["normalize"]


MEAN = [node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d")]
POWER = [node("Pow", "d two", "s"), node("ReduceMean", "s", "v", axes=[-1])]
SQUARE = [node("Mul", "d d", "s"), node("ReduceMean", "s", "v", axes=[-1])]
ROOT = [node("Add", "v e", "ve"), node("Sqrt", "ve", "r")]
AFFINE = [node("Mul", "n w", "nw"), node("Add", "nw b", "y")]
FORMS: dict[str, list[Any]] = {
    "torch": [*MEAN, *POWER, *ROOT, node("Div", "d r", "n"), *AFFINE],
    "product and reciprocal": [
        *MEAN, *SQUARE, *ROOT, node("Reciprocal", "r", "i"), node("Mul", "i d", "n"), *AFFINE,
    ],
    "tensorflow": [
        *MEAN, *SQUARE, *ROOT, node("Reciprocal", "r", "i"), node("Mul", "i w", "f"),
        node("Mul", "x f", "xf"), node("Mul", "m f", "mf"), node("Sub", "b mf", "rest"),
        node("Add", "xf rest", "y"),
    ],
    "about zero": [
        node("Pow", "x two", "s"), node("ReduceMean", "s", "v", axes=[-1]), *ROOT,
        node("Div", "one r", "i"), node("Mul", "x i", "n"), node("Mul", "w n", "y"),
    ],
    "length": [node("ReduceL2", "x", "r", axes=[-1], keepdims=1), node("Clip", "r tiny", "c"),
               node("Shape", "x", "shape"), node("Expand", "c shape", "wide"),
               node("Div", "x wide", "y")],
    "sum of squares": [node("Mul", "x x", "s"), node("ReduceSum", "s axis", "v"),
                       node("Sqrt", "v", "r"), node("Div", "x r", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_norm_written_out_becomes_one(name: str, tmp_path: Path) -> None:
    constants = {
        "w": W, "b": B, "two": np.float32(2), "one": np.float32(1), "e": np.float32(1e-5),
        "tiny": np.float32(1e-12), "axis": np.array([-1]),
    }  # fmt: skip
    read = {n for step in FORMS[name] for n in step.input}
    used = {n: c for n, c in constants.items() if n in read}
    assert ops(agrees(model(FORMS[name], used, TOKENS), tmp_path)) == ["normalize"]


def test_a_norm_over_channels_of_an_image(tmp_path: Path) -> None:
    """As ConvNeXt writes it: the scale is (C, 1, 1)."""
    nodes = [
        node("ReduceMean", "x", "m", axes=[1]), node("Sub", "x m", "d"),
        node("Pow", "d two", "s"), node("ReduceMean", "s", "v", axes=[1]), *ROOT,
        node("Div", "d r", "n"), *AFFINE,
    ]  # fmt: skip
    constants = {"w": W.reshape(6, 1, 1), "b": B.reshape(6, 1, 1), "two": np.float32(2),
                 "e": np.float32(1e-6)}  # fmt: skip
    assert ops(agrees(model(nodes, constants, IMAGE), tmp_path)) == ["normalize"]


@pytest.mark.parametrize("epsilon", [-0.5, float("nan")])
def test_an_epsilon_that_is_none_is_refused(epsilon: float, tmp_path: Path) -> None:
    nodes = [node("LayerNormalization", "x w", "y", epsilon=epsilon)]
    with pytest.raises(McuqError, match="an epsilon of"):
        agrees(model(nodes, {"w": W}, TOKENS), tmp_path)


def test_less_than_the_variance_is_no_norm(tmp_path: Path) -> None:
    nodes = [*MEAN, *SQUARE, *ROOT, node("Div", "d r", "n"), *AFFINE]
    constants = {"w": W, "b": B, "e": np.float32(-1e-3)}
    assert "normalize" not in ops(agrees(model(nodes, constants, TOKENS), tmp_path))


def test_what_is_used_twice_stays_right(tmp_path: Path) -> None:
    """The deviation is read besides: nothing that is needed is lost."""
    nodes = [*MEAN, *SQUARE, *ROOT, node("Div", "d r", "n"), node("Add", "n d", "y")]
    graph = agrees(model(nodes, {"e": np.float32(1e-5)}, TOKENS), tmp_path)
    assert "normalize" in ops(graph)


def test_groups_of_channels_written_as_instances(tmp_path: Path) -> None:
    """As PyTorch writes GroupNorm: no data is moved, scale and bias join."""
    nodes = [
        node("Relu", "x", "p"), node("MaxPool", "p", "q", kernel_shape=[2, 2]),
        node("Reshape", "q groups", "g"), node("InstanceNormalization", "g one zero", "i"),
        node("Reshape", "i back", "n"), node("Mul", "n w", "nw"), node("Add", "nw b", "y"),
    ]  # fmt: skip
    constants = {
        "w": W.reshape(6, 1, 1), "b": B.reshape(6, 1, 1), "one": np.ones(3, np.float32),
        "zero": np.zeros(3, np.float32), "groups": np.array([0, 3, -1]),
        "back": np.array([0, 6, 3, 4]),
    }  # fmt: skip
    found = ops(agrees(model(nodes, constants, IMAGE), tmp_path))
    assert [op for op in found if op != "reshape"] == ["clip", "max_pool2d", "normalize"]
