"""Networks as exporters of many kinds and ages write them: read, and equal to their source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, model, node, random, save

from mcuq import importers
from mcuq.errors import McuqError

FLOAT16 = onnx.TensorProto.FLOAT16
IMAGE = {"x": (1, 3, 8, 8)}
NORM = {"g": random(4, low=0.5), "h": random(4), "m": random(4), "v": random(4, low=0.5)}
LAYER = {"w": random(4, 3, 3, 3), "b": random(4), **NORM}
DETECTOR = {
    "w": random(8, 3, 3, 3), "b": random(8), "wb": random(64, 8, 1, 1), "bb": random(64),
    "wc": random(2, 8, 1, 1), "bc": random(2), "sh": np.array([1, 66, -1]),
    "sp": np.array([64, 2]), "sh4": np.array([1, 4, 16, 4]), "shd": np.array([1, 4, 4]),
    "wd": np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1), "i0": np.array([0]),
    "i1": np.array([1]), "i2": np.array([2]), "i4": np.array([4]), "two": np.float32(2),
    "anchors": random(1, 2, 4), "st": np.full((1, 4), 4, np.float32),
}  # fmt: skip


def norm(**attrs: Any) -> list[Any]:
    return [node("Conv", "x w b", "c"), node("BatchNormalization", "c g h m v", "y", **attrs)]


def mixed() -> list[Any]:
    """Half precision in the middle."""
    return [
        node("Cast", "x", "half", to=FLOAT16), node("Conv", "half w16 b16", "c"),
        node("Cast", "c", "wide", to=1), node("InstanceNormalization", "wide g h", "n"),
        node("Cast", "n", "n16", to=FLOAT16), node("Relu", "n16", "r"),
        node("Cast", "r", "y", to=1),
    ]  # fmt: skip


def caffe2() -> list[Any]:
    return [
        node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
        node("LRN", "r", "l", size=5, alpha=0.3, beta=0.75, bias=1.0),
        node("MaxPool", "l", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Reshape", "p sh", "f"), node("Dropout", "f", "d mask", ratio=0.5, is_test=1),
        node("Gemm", "d wf bf", "y", transB=1, broadcast=1),
    ]  # fmt: skip


def keras() -> list[Any]:
    """Hard swish and a gate written out, sizes computed from shapes."""
    return [
        *norm(momentum=0.99, epsilon=1e-3)[:-1],
        node("BatchNormalization", "c g h m v", "n", momentum=0.99, epsilon=1e-3),
        node("Add", "n three", "h1"), node("Clip", "h1 zero six", "h2"), node("Mul", "n h2", "h3"),
        node("Div", "h3 sixes", "s"), node("GlobalAveragePool", "s", "gp"),
        node("HardSigmoid", "gp", "gate"), node("Mul", "s gate", "t"),
        node("GlobalAveragePool", "t", "k"), node("Shape", "k", "s0"),
        node("Slice", "s0 i0 i1 i0", "s1"), node("Concat", "s1 rest", "s2", axis=0),
        node("Reshape", "k s2", "f"), node("MatMul", "f wm", "z"),
        node("Softmax", "z", "y", axis=1),
    ]  # fmt: skip


def boxes() -> list[Any]:
    """A head that integrates distributions of distances, and boxes from anchors."""
    return [
        node("Conv", "x w b", "f", strides=[4, 4], pads=[1, 1, 1, 1]),
        node("Conv", "f wb bb", "b64"), node("Conv", "f wc bc", "c2"),
        node("Concat", "b64 c2", "all", axis=1), node("Reshape", "all sh", "flat"),
        node("Split", "flat sp", "box cls", axis=1), node("Reshape", "box sh4", "b4"),
        node("Transpose", "b4", "bt", perm=[0, 2, 1, 3]), node("Softmax", "bt", "bs", axis=1),
        node("Conv", "bs wd", "bd"), node("Reshape", "bd shd", "d"),
        node("Slice", "d i0 i2 i1", "lt"), node("Slice", "d i2 i4 i1", "rb"),
        node("Sub", "anchors lt", "x1"), node("Add", "anchors rb", "x2"), node("Add", "x1 x2", "s"),
        node("Div", "s two", "xy"), node("Sub", "x2 x1", "wh"),
        node("Concat", "xy wh", "o", axis=1),
        node("Mul", "o st", "dbox"), node("Sigmoid", "cls", "p"),
        node("Concat", "dbox p", "y", axis=1),
    ]  # fmt: skip


CASES: dict[str, tuple[int, list[Any], Mapping[str, Any]]] = {
    "a norm of opset 9": (9, norm(), LAYER),
    "a norm of opset 9 with its momentum": (9, norm(momentum=0.9), LAYER),
    "a norm of opset 13": (13, norm(epsilon=1e-3), LAYER),
    "half precision": (
        13, mixed(),
        {**LAYER, "w16": LAYER["w"].astype(np.float16), "b16": LAYER["b"].astype(np.float16)},
    ),
    "caffe2": (
        6, caffe2(),
        {**LAYER, "sh": np.array([1, -1]), "wf": random(5, 16), "bf": random(5)},
    ),
    "keras": (
        11, keras(),
        {
            **LAYER, "three": np.float32(3), "zero": np.float32(0), "six": np.float32(6),
            "sixes": np.array([6.0], np.float32), "i0": np.array([0]), "i1": np.array([1]),
            "rest": np.array([-1]), "wm": random(4, 3),
        },
    ),
    "boxes": (17, boxes(), DETECTOR),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_network_of_an_exporter(name: str, tmp_path: Path) -> None:
    """Nothing is refused when it is compared with its source."""
    opset, nodes, constants = CASES[name]
    used = {n for made in nodes for n in made.input}
    proto = model(nodes, {n: v for n, v in constants.items() if n in used}, IMAGE, opset=opset)
    path = save(proto, tmp_path)
    assert importers.check(importers.read(path)) == ()


Form = tuple[int, dict[str, Any], list[Any], dict[str, Any]]
LAST = {"x": (1, 8, 8, 3)}
SERIES = {"x": ("N", 9, 5)}
TOKENS = {"x": (1, 6, 8)}
FORMS: dict[str, Form] = {
    "channels last, flattened": (13, {"x": ("N", 8, 8, 3)}, [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w b", "c", auto_pad="SAME_UPPER", strides=[2, 2]), node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "p", "l", perm=[0, 2, 3, 1]), node("Reshape", "l s", "f"),
        node("MatMul", "f v", "m"), node("Add", "m u", "a"), node("Softmax", "a", "y"),
    ], {"w": random(4, 3, 3, 3), "b": random(4), "s": np.array([-1, 16]), "v": random(16, 5),
        "u": random(5)}),
    "depthwise weights that are turned": (11, LAST, [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Transpose", "w", "v", perm=[3, 2, 0, 1]),
        node("Reshape", "v s", "k"), node("Conv", "t k", "c", group=3, pads=[1, 1, 1, 1]),
        node("Transpose", "c", "l", perm=[0, 2, 3, 1]), node("Add", "l b", "a"),
        node("LeakyRelu", "a", "y", alpha=0.2),
    ], {"w": random(3, 3, 3, 1), "s": np.array([3, 1, 3, 3]), "b": random(3)}),
    "a layer over time, sizes from shapes": (13, SERIES, [
        node("Shape", "x", "s"), node("Slice", "s i0 i1 i0", "n"), node("Reshape", "x r", "f"),
        node("MatMul", "f w", "m"), node("Concat", "n i9 i3", "o", axis=0),
        node("Reshape", "m o", "k"), node("Add", "k b", "a"), node("Tanh", "a", "y"),
    ], {"i0": np.array([0]), "i1": np.array([1]), "i9": np.array([9]), "i3": np.array([3]),
        "r": np.array([-1, 5]), "w": random(5, 3), "b": random(3)}),
    "a series as an image one row high": (13, SERIES, [
        node("Unsqueeze", "x i1", "e"), node("Transpose", "e", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w b", "c"), node("Squeeze", "c i2", "q"),
        node("Transpose", "q", "l", perm=[0, 2, 1]),
        node("ReduceMax", "l", "y", axes=[1], keepdims=0),
    ], {"i1": np.array([1]), "i2": np.array([2]), "w": random(4, 5, 1, 3), "b": random(4)}),
    "states of a batch that is filled": (13, SERIES, [
        node("Shape", "x", "s"), node("Slice", "s i0 i1 i0", "n"),
        node("Concat", "i1 n i4", "o", axis=0), node("ConstantOfShape", "o", "z"),
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("LSTM", "t w r b - z z", "all h c", hidden_size=4), node("Squeeze", "all i1", "q"),
        node("Transpose", "q", "l", perm=[1, 0, 2]), node("MatMul", "l v", "y"),
    ], {"i0": np.array([0]), "i1": np.array([1]), "i4": np.array([4]), "w": random(1, 16, 5),
        "r": random(1, 16, 4), "b": random(1, 32), "v": random(4, 3)}),
    "a gated unit, reset after": (14, SERIES, [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("GRU", "t w r b", "all h", hidden_size=4, linear_before_reset=1),
        node("Squeeze", "h i0", "y"),
    ], {"i0": np.array([0]), "w": random(1, 12, 5), "r": random(1, 12, 4), "b": random(1, 24)}),
    "attention by einsum": (13, TOKENS, [
        node("Reshape", "x f", "rows"),
        *(n for i in "qkv" for n in (node("MatMul", f"rows w{i}", f"m{i}"),
                                     node("Reshape", f"m{i} h", i))),
        node("Mul", "q half", "qs"), node("Einsum", "k qs", "s", equation="aecd,abcd->acbe"),
        node("Softmax", "s", "p"), node("Einsum", "p v", "o", equation="acbe,aecd->abcd"),
        node("Einsum", "o wo", "y", equation="abcd,cde->abe"),
    ], {"f": np.array([-1, 8]), "h": np.array([-1, 6, 2, 4]), "half": np.float32(0.5),
        "wq": random(8, 8), "wk": random(8, 8), "wv": random(8, 8), "wo": random(2, 4, 8)}),
    "a norm of layers, scale and shift gathered": (13, TOKENS, [
        node("ReduceMean", "x", "mu", axes=[2]), node("Sub", "x mu", "d"), node("Mul", "d d", "dd"),
        node("ReduceMean", "dd", "v", axes=[2]), node("Add", "v e", "ve"), node("Sqrt", "ve", "sd"),
        node("Reciprocal", "sd", "i"), node("Mul", "i g", "ig"), node("Mul", "x ig", "xs"),
        node("Mul", "mu ig", "ms"), node("Sub", "h ms", "sh"), node("Add", "xs sh", "y"),
    ], {"e": np.float32(1e-3), "g": random(8, low=0.5), "h": random(8)}),
    "scores less a mask of 1e10": (13, TOKENS, [
        *(node("MatMul", f"x w{i}", i) for i in "qkv"), node("Transpose", "k", "t", perm=[0, 2, 1]),
        node("MatMul", "q t", "s"), node("Mul", "s kept", "sk"), node("Sub", "sk mask", "a"),
        node("Softmax", "a", "p"), node("MatMul", "p v", "y"),
    ], {"wq": random(8, 8), "wk": random(8, 8), "wv": random(8, 8),
        "kept": np.tril(np.ones((6, 6), np.float32)),
        "mask": np.triu(np.full((6, 6), 1e10, np.float32), 1)}),
    "pools that pad below": (11, {"x": (1, 4, 8, 8)}, [
        node("Conv", "x w b", "c", auto_pad="SAME_LOWER", strides=[2, 2]),
        node("LeakyRelu", "c", "r", alpha=0.1),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        node("Slice", "r i2 i4 i1", "g"), node("Concat", "p g", "y", axis=1),
    ], {"w": random(4, 4, 3, 3), "b": random(4), "i1": np.array([1]), "i2": np.array([2]),
        "i4": np.array([4])}),
    "space to depth written out": (8, {"x": ("N", 4, 6, 6)}, [
        node("Mul", "x factor", "m"), node("Add", "m zeros", "a"), node("Reshape", "a s", "r"),
        node("Transpose", "r", "t", perm=[0, 3, 5, 1, 2, 4]), node("Reshape", "t o", "f"),
        node("Conv", "f w b", "y"),
    ], {"factor": np.array([1 / 255], np.float32), "zeros": np.zeros((4, 1, 1), np.float32),
        "s": np.array([-1, 4, 3, 2, 3, 2]), "o": np.array([-1, 16, 3, 3]), "w": random(5, 16, 1, 1),
        "b": random(5)}),
    "magnitudes of a spectrum by convolution": (13, {"x": (1, 64)}, [
        node("Pad", "x pads", "p", mode="reflect"), node("Unsqueeze", "p i1", "u"),
        node("Conv", "u w", "s", strides=[8]), node("Slice", "s i0 i9 i1", "re"),
        node("Slice", "s i9 i18 i1", "im"), node("Mul", "re re", "r2"), node("Mul", "im im", "i2"),
        node("Add", "r2 i2", "pw"), node("Sqrt", "pw", "mg"), node("Add", "mg one", "m1"),
        node("Log", "m1", "y"),
    ], {"pads": np.array([0, 8, 0, 8]), "i0": np.array([0]), "i1": np.array([1]),
        "i9": np.array([9]), "i18": np.array([18]), "w": random(18, 1, 16), "one": np.float32(1)}),
    "values and advantages": (11, {"x": (1, 6)}, [
        node("Gemm", "x w b", "h", transB=1), node("Relu", "h", "r"),
        node("Gemm", "r v", "value", transB=1), node("Gemm", "r u", "a", transB=1),
        node("ReduceMean", "a", "m", axes=[1]), node("Sub", "a m", "d"),
        node("Add", "value d", "y"),
    ], {"w": random(8, 6), "b": random(8), "v": random(1, 8), "u": random(4, 8)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_of_an_exporter(name: str, tmp_path: Path) -> None:
    """What converters of Keras, Darknet and others write around and instead of plain layers."""
    opset, inputs, nodes, constants = FORMS[name]
    agrees(model(nodes, constants, inputs, opset=opset), tmp_path, rows=1)


def test_what_converters_of_scikit_learn_put_around(tmp_path: Path) -> None:
    """The classes come as their index, the probabilities without names."""
    foreign = {"domain": "ai.onnx.ml"}
    nodes = [
        node("Scaler", "x", "s", offset=[0.5] * 6, scale=[2.0] * 6, **foreign),
        node("MatMul", "s w", "m"), node("Softmax", "m", "p", axis=1),
        node("ArgMax", "p", "a", axis=1),
        node("ArrayFeatureExtractor", "k a", "f", **foreign), node("Cast", "f", "label", to=7),
        node("ZipMap", "p", "y", classlabels_int64s=[0, 1, 2], **foreign),
    ]  # fmt: skip
    constants = {"w": random(6, 3), "k": np.arange(3)}
    proto = model(nodes, constants, {"x": ("N", 6)}, "label y", opset=13)
    graph = importers.load(save(proto, tmp_path))
    assert [port.kind for port in graph.outputs] == ["s32", "s8"]
    constants["k"] = np.array([3, 5, 7])
    proto = model(nodes, constants, {"x": ("N", 6)}, "label y", opset=13)
    with pytest.raises(McuqError, match="classes that are not 0, 1, 2"):
        importers.load(save(proto, tmp_path))


RESIZED: dict[str, dict[str, Any]] = {
    "cubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
    "cubic, corners": {"mode": "cubic", "coordinate_transformation_mode": "align_corners"},
    "cubic, inside": {"mode": "cubic", "exclude_outside": 1},
    "smooth": {"mode": "linear", "antialias": 1},
}


@pytest.mark.parametrize("name", RESIZED)
@pytest.mark.parametrize("sizes", [(1, 4, 9, 8), (1, 4, 3, 5)])
def test_resize_by_matrices(name: str, sizes: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [node("Resize", "x - - s", "y", **RESIZED[name])]
    agrees(model(nodes, {"s": np.array(sizes)}, opset=18), tmp_path, rows=1)


WRITTEN_OUT: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "the sum of an einsum": ([node("Einsum", "x", "y", equation="nchw->nwc")], {}),
    "a chain of einsums": (
        [node("Einsum", "x a b", "y", equation="nchw,cd,we->nhde")],
        {"a": random(4, 3), "b": random(5, 2)},
    ),
    "an ellipsis": ([node("Einsum", "x a", "y", equation="...w,wk->...k")], {"a": random(5, 2)}),
    "a product": ([node("ReduceProd", "x axes", "y", keepdims=0)], {"axes": np.array([1])}),
    "a triangle": ([node("Trilu", "x k", "y", upper=0)], {"k": np.array(1)}),
    "a part replaced": (
        [node("Sigmoid", "x", "s"), node("Gather", "s i", "u", axis=1),
         node("ScatterElements", "x p u", "y", axis=1)],
        {"i": np.array([3, 0]), "p": np.tile(np.array([[[[1]], [[2]]]]), (1, 1, 6, 5))},
    ),
    "a remainder": ([node("Mod", "x m", "y", fmod=1)], {"m": np.float32(0.75)}),
    "a window over channels": (
        [node("Unsqueeze", "x one", "u"), node("Pad", "u pads", "p"),
         node("AveragePool", "p", "a", kernel_shape=[3, 1, 1]), node("Squeeze", "a one", "y")],
        {"one": np.array([1]), "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1, 0, 0])},
    ),
    "no nan": ([node("IsNaN", "x", "n"), node("Where", "n z x", "w"), node("Exp", "w", "y")],
               {"z": np.float32(0)}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_operators_that_are_written_out(name: str, tmp_path: Path) -> None:
    nodes, constants = WRITTEN_OUT[name]
    agrees(model(nodes, constants, {"x": ("N", 4, 6, 5)}, opset=18), tmp_path, rows=1)


def test_a_product_of_many_values_is_refused(tmp_path: Path) -> None:
    proto = model([node("ReduceProd", "x", "y")], {}, {"x": (1, 100)}, opset=18)
    with pytest.raises(McuqError, match="ReduceProd of 100 values"):
        importers.load(save(proto, tmp_path))
