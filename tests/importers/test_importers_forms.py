"""Old opsets, foreign operators, functions and control flow: each as standard nodes say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import version_converter
from onnx.reference import ReferenceEvaluator
from onnx_models import feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers
from mcuq.importers.standard import resolve
from mcuq.ir import Graph
from mcuq.passes import pipeline

W = random(6, 4, 3, 3)
INT = np.int64
MICROSOFT, BREVITAS = "com.microsoft", "onnx.brevitas"


def foreign(op: str, inputs: str, output: str, domain: str = MICROSOFT, **attrs: Any) -> Any:
    made = node(op, inputs, output, **attrs)
    made.domain = domain
    return made


def same(proto: Any, standard: Any, folder: Path, tolerance: float = 2e-5) -> Graph:
    """The graph of ``proto``, which gives what the evaluator gives for ``standard``."""
    graph = importers.load(save(proto, folder))
    feeds = feeds_for(graph)
    wanted = ReferenceEvaluator(standard).run(None, feeds)
    for one in (graph, pipeline.run(graph)):
        found = run_graph(one, feeds)
        for port, real in zip(one.outputs, wanted, strict=True):
            values = found[port.name].reshape(real.shape)
            np.testing.assert_allclose(values, real, rtol=tolerance, atol=tolerance)
    return graph


OLD: dict[str, tuple[int, list[Any], dict[str, Any]]] = {
    "relu of 1": (1, [node("Relu", "x", "y", consumed_inputs=[0])], {}),
    "broadcast along an axis": (
        6, [node("Add", "x c", "y", broadcast=1, axis=1)], {"c": random(4)},
    ),
    "broadcast of two axes": (
        6, [node("Mul", "x c", "y", broadcast=1, axis=1)], {"c": random(4, 6)},
    ),
    "broadcast at the end": (6, [node("Sub", "x c", "y", broadcast=1)], {"c": random(5)}),
    "clip": (6, [node("Clip", "x", "y", min=-0.5, max=0.75)], {}),
    "clip above": (10, [node("Clip", "x", "y", max=0.75)], {}),
    "gemm": (
        6, [node("Flatten", "x", "f"), node("Gemm", "f w b", "y", broadcast=1)],
        {"w": random(120, 3), "b": random(3)},
    ),
    "norm": (
        6, [node("BatchNormalization", "x s b m v", "y", is_test=1)],
        {"s": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, low=0.1)},
    ),
    "norm of 7": (
        7, [node("BatchNormalization", "x s b m v", "y")],
        {"s": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, low=0.1)},
    ),
    "dropout": (6, [node("Relu", "x", "h"), node("Dropout", "h", "y", is_test=1)], {}),
    "dropout of 7": (7, [node("Relu", "x", "h"), node("Dropout", "h", "y", ratio=0.5)], {}),
    "reshape of 1": (
        1, [node("Relu", "x", "h"), node("Reshape", "h", "y", shape=[0, -1, 5])], {},
    ),
    "pad of 2": (
        9, [node("Pad", "x", "y", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5)], {},
    ),
    "squeeze": (
        9, [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g", "y", axes=[2, 3])], {},
    ),
    "unsqueeze": (9, [node("Relu", "x", "h"), node("Unsqueeze", "h", "y", axes=[1])], {}),
    "softmax of 8": (8, [node("Softmax", "x", "y", axis=2)], {}),
    "softmax of 11": (11, [node("Softmax", "x", "y")], {}),
    "reduce": (8, [node("ReduceMean", "x", "y", axes=[1], keepdims=0)], {}),
    "concat without an axis": (1, [node("Concat", "x x", "y")], {}),
    "sum of 1": (1, [node("Sum", "x x x", "y")], {}),
    "cast by name": (1, [node("Cast", "x", "h", to="FLOAT"), node("Relu", "h", "y")], {}),
    "leaky": (1, [node("LeakyRelu", "x", "y", alpha=0.3)], {}),
    "pool": (1, [node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])], {}),
    "slice of constants": (
        9,
        [node("Slice", "c", "s", starts=[1], ends=[5], axes=[0]),
         node("Unsqueeze", "s", "s2", axes=[1, 2]), node("Add", "x s2", "y")],
        {"c": random(8)},
    ),
    "split of constants": (
        2,
        [node("Split", "c", "p q", axis=0, split=[2, 4]), node("Unsqueeze", "q", "r", axes=[1, 2]),
         node("Mul", "x r", "y", broadcast=1)],
        {"c": random(6)},
    ),
}  # fmt: skip


NOT_CONVERTED: dict[str, Any] = {
    "relu of 1": [node("Relu", "x", "y")],
    "concat without an axis": [node("Concat", "x x", "y", axis=1)],
    "cast by name": [node("Relu", "x", "y")],
    "reshape of 1": [node("Relu", "x", "h"), node("Reshape", "h shape", "y")],
    "broadcast along an axis": [node("Unsqueeze", "c one", "d"), node("Add", "x d", "y")],
    "broadcast of two axes": [node("Unsqueeze", "c last", "d"), node("Mul", "x d", "y")],
    "broadcast at the end": [node("Sub", "x c", "y")],
    "softmax of 8": [
        node("Flatten", "x", "f", axis=2), node("Softmax", "f", "s"),
        node("Reshape", "s back", "y"),
    ],
    "softmax of 11": [
        node("Flatten", "x", "f"), node("Softmax", "f", "s"), node("Reshape", "s back", "y"),
    ],
    "sum of 1": [node("Sum", "x x x", "y")],
    "norm": [node("BatchNormalization", "x s b m v", "y")],
    "norm of 7": [node("BatchNormalization", "x s b m v", "y")],
    "split of constants": [
        node("Split", "c sizes", "p q"), node("Unsqueeze", "q two", "r"), node("Mul", "x r", "y"),
    ],
    "dropout": [node("Relu", "x", "y")],
    "gemm": [node("Flatten", "x", "f"), node("Gemm", "f w b", "y")],
}  # fmt: skip
TODAY = {
    "one": np.array([1, 2]), "last": np.array([2]), "two": np.array([1, 2]),
    "shape": np.array([0, -1, 5]), "back": np.array([-1, 4, 6, 5]), "sizes": np.array([2, 4]),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_old_opsets_mean_what_they_meant(name: str, tmp_path: Path) -> None:
    opset, nodes, constants = OLD[name]
    proto = model(nodes, constants, opset=opset)
    proto.ir_version = 3
    for tensor in proto.graph.initializer:  # as files of that time list them
        shape = list(tensor.dims)
        proto.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, shape)
        )
    if name in NOT_CONVERTED:
        standard = model(NOT_CONVERTED[name], {**constants, **TODAY})
    else:
        standard = version_converter.convert_version(proto, 17)
    same(proto, standard, tmp_path)


def test_a_file_older_than_opsets(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")])
    del proto.opset_import[:]
    proto.ir_version = 2
    same(proto, model([node("Relu", "x", "y")]), tmp_path)


G = {"w": random(5, 7), "b": random(7), "half": np.float32(0.5), "two": np.float32(2)}
FOREIGN: dict[str, tuple[list[Any], list[Any], dict[str, Any]]] = {
    "gelu": ([foreign("Gelu", "x", "y")], [node("Gelu", "x", "y")], {}),
    "biased gelu": (
        [foreign("BiasGelu", "x c", "y")], [node("Add", "x c", "h"), node("Gelu", "h", "y")],
        {"c": random(5)},
    ),
    "fast gelu": (
        [foreign("FastGelu", "x", "y")], [node("Gelu", "x", "y", approximate="tanh")], {},
    ),
    "quick gelu": (
        [foreign("QuickGelu", "x", "y", alpha=1.0)],
        [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], {},
    ),
    "fused conv": (
        [foreign("FusedConv", "x w b", "y", activation="LeakyRelu", activation_params=[0.2],
                 pads=[1, 1, 1, 1])],
        [node("Conv", "x w b", "h", pads=[1, 1, 1, 1]), node("LeakyRelu", "h", "y", alpha=0.2)],
        {"w": W, "b": random(6)},
    ),
    "fused conv and sum": (
        [foreign("FusedConv", "x w b x", "y", activation="Relu", pads=[1, 1, 1, 1])],
        [node("Conv", "x w b", "h", pads=[1, 1, 1, 1]), node("Add", "h x", "s"),
         node("Relu", "s", "y")],
        {"w": random(4, 4, 3, 3), "b": random(4)},
    ),
    "fused matmul": (
        [foreign("FusedMatMul", "x w", "y", alpha=0.5, transB=1)],
        [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "h"),
         node("Mul", "h half", "y")], {"w": random(7, 5), "half": np.float32(0.5)},
    ),
    "fused gemm": (
        [node("Flatten", "x", "f"), foreign("FusedGemm", "f w b", "y", activation="Tanh")],
        [node("Flatten", "x", "f"), node("Gemm", "f w b", "h"), node("Tanh", "h", "y")],
        {"w": random(120, 3), "b": random(3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "standard", "constants"), FOREIGN.values(), ids=FOREIGN)
def test_fused_operators(nodes: Any, standard: Any, constants: Any, tmp_path: Path) -> None:
    same(model(nodes, constants, opset=20), model(standard, constants, opset=20), tmp_path)


LEVELS = np.random.default_rng(3)
QW = LEVELS.integers(-90, 90, (6, 4, 3, 3)).astype(np.int8)
QM = LEVELS.integers(0, 200, (5, 7)).astype(np.uint8)
SCALES = {
    "sx": np.float32(2.0**-12), "zx": np.uint16(30000), "sy": np.float32(2.0**-11),
    "zy": np.uint16(32000),
    "sw": np.float32(0.01), "zw": np.int8(3), "w": QW,
    "swc": np.linspace(0.005, 0.02, 6).astype(np.float32), "zwc": np.zeros(6, np.int8),
    "b": LEVELS.integers(-900, 900, 6).astype(np.int32), "sb": np.float32(2.0**-12 * 0.01),
    "sbc": (2.0**-12 * np.linspace(0.005, 0.02, 6)).astype(np.float32),
    "sm": np.float32(0.02), "zm": np.uint8(100), "m": QM,
    "gm": LEVELS.integers(0, 200, (120, 3)).astype(np.uint8),
    "gb": LEVELS.integers(-900, 900, 3).astype(np.int32),
    "a23": np.array([2, 3]), "sgb": np.float32(2.0**-12 * 0.02), "si": np.int32(0),
}  # fmt: skip
START = node("QuantizeLinear", "x sx zx", "q")
END = node("DequantizeLinear", "r sy zy", "y")
X = node("DequantizeLinear", "q sx zx", "d")
QUANTIZED: dict[str, tuple[list[Any], list[Any]]] = {
    "conv": (
        [node("QLinearConv", "q sx zx w sw zw sy zy b", "r", pads=[1, 1, 1, 1])],
        [node("DequantizeLinear", "w sw zw", "dw"), node("DequantizeLinear", "b sb", "db"),
         node("Conv", "d dw db", "c", pads=[1, 1, 1, 1])],
    ),
    "conv per channel": (
        [node("QLinearConv", "q sx zx w swc zwc sy zy b", "r")],
        [node("DequantizeLinear", "w swc zwc", "dw", axis=0),
         node("DequantizeLinear", "b sbc", "db", axis=0), node("Conv", "d dw db", "c")],
    ),
    "matmul": (
        [node("QLinearMatMul", "q sx zx m sm zm sy zy", "r")],
        [node("DequantizeLinear", "m sm zm", "dm"), node("MatMul", "d dm", "c")],
    ),
    "add": (
        [foreign("QLinearAdd", "q sx zx q sx zx sy zy", "r")], [node("Add", "d d", "c")],
    ),
    "mul": (
        [foreign("QLinearMul", "q sx zx q sx zx sy zy", "r")], [node("Mul", "d d", "c")],
    ),
    "sigmoid": ([foreign("QLinearSigmoid", "q sx zx sy zy", "r")], [node("Sigmoid", "d", "c")]),
    "leaky": (
        [foreign("QLinearLeakyRelu", "q sx zx sy zy", "r", alpha=0.2)],
        [node("LeakyRelu", "d", "c", alpha=0.2)],
    ),
    "pool": (
        [foreign("QLinearAveragePool", "q sx zx sy zy", "r", kernel_shape=[2, 2])],
        [node("AveragePool", "d", "c", kernel_shape=[2, 2])],
    ),
    "global pool": (
        [foreign("QLinearGlobalAveragePool", "q sx zx sy zy", "r")],
        [node("GlobalAveragePool", "d", "c")],
    ),
    "concat": (
        [foreign("QLinearConcat", "sy zy q sx zx q sx zx", "r", axis=1)],
        [node("Concat", "d d", "c", axis=1)],
    ),
    "softmax": (
        [foreign("QLinearSoftmax", "q sx zx sy zy", "r", axis=3, opset=13)],
        [node("Softmax", "d", "c", axis=3)],
    ),
    "mean": (
        [foreign("QLinearReduceMean", "q sx zx sy zy", "r", axes=[2, 3], keepdims=0)],
        [node("ReduceMean", "d a23", "c", keepdims=0)],
    ),
    "gemm": (
        [node("Flatten", "q", "f"), foreign("QGemm", "f sx zx gm sm zm gb sy zy", "r")],
        [node("DequantizeLinear", "gm sm zm", "dm"), node("DequantizeLinear", "gb sgb", "db"),
         node("Flatten", "d", "f"), node("Gemm", "f dm db", "c")],
    ),
}  # fmt: skip


FLOATS: dict[str, tuple[list[Any], list[Any]]] = {
    "a product with integer weights": (
        [foreign("DynamicQuantizeMatMul", "x m sm zm c", "y")],
        [node("DequantizeLinear", "m sm zm", "dm"), node("MatMul", "x dm", "p"),
         node("Add", "p c", "y")],
    ),
    "a product of integers as a float": (
        [node("DynamicQuantizeLinear", "x", "q s z"),
         foreign("MatMulIntegerToFloat", "q m s sm z zm c", "y")],
        [node("DequantizeLinear", "m sm zm", "dm"), node("MatMul", "x dm", "p"),
         node("Add", "p c", "y")],
    ),
    "a dynamic pair": (
        [node("DynamicQuantizeLinear", "x", "q s z"), node("DequantizeLinear", "q s z", "d"),
         node("Tanh", "d", "y")],
        [node("Tanh", "x", "y")],
    ),
    "bits left out": ([foreign("Trunc", "x s8 z0 n8 n4", "y", BREVITAS)],
                      [node("Mul", "x sixteenth", "y")]),
    "more bits than a pair has": (
        [node("Relu", "x", "h"), foreign("Quant", "h s8 z0 n24", "y", BREVITAS)],
        [node("Relu", "x", "y")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "standard"), FLOATS.values(), ids=FLOATS)
def test_forms_that_give_reals(nodes: Any, standard: Any, tmp_path: Path) -> None:
    constants = {
        **SCALES, "c": random(7), "s8": np.float32(0.125), "z0": np.float32(0),
        "n8": np.float32(8), "n4": np.float32(4), "n24": np.float32(24),
        "sixteenth": np.float32(1 / 16),
    }  # fmt: skip
    same(model(nodes, constants, opset=21), model(standard, constants, opset=21), tmp_path)


@pytest.mark.parametrize(("nodes", "standard"), QUANTIZED.values(), ids=QUANTIZED)
def test_operators_on_integers(nodes: Any, standard: Any, tmp_path: Path) -> None:
    """Both round to 16 bits in the evaluator, and not here."""
    proto = model([START, *nodes, END], SCALES, opset=21)
    last = node("QuantizeLinear", "c sy zy", "r")
    graph = same(
        proto, model([START, X, *standard, last, END], SCALES, opset=21), tmp_path, 2.0**-10
    )
    assert graph.hints


def test_weights_of_integer_operators_keep_their_grid(tmp_path: Path) -> None:
    nodes = [START, node("QLinearConv", "q sx zx w swc zwc sy zy b", "r"), END]
    graph = importers.load(save(model(nodes, SCALES, opset=21), tmp_path))
    (layer,) = [n for n in graph.nodes if n.op == "conv2d"]
    assert graph.hints[layer.inputs[1]].scale == tuple(float(s) for s in SCALES["swc"])


DYNAMIC = [
    node("DynamicQuantizeLinear", "x", "q s z"),
    node("ConvInteger", "q w z zw", "i"),
    node("Cast", "i", "f", to=1),
    node("Mul", "s sw", "t"),
    node("Mul", "f t", "y"),
]
STATIC = [
    START,
    node("ConvInteger", "q w zx zw", "i"),
    node("Cast", "i", "f", to=1),
    node("Mul", "f sb", "y"),
]


def test_dynamic_scales_are_taken_for_exact(tmp_path: Path) -> None:
    standard = [node("DequantizeLinear", "w sw zw", "dw"), node("Conv", "x dw", "y")]
    graph = same(model(DYNAMIC, SCALES), model(standard, SCALES, opset=21), tmp_path)
    assert ops(pipeline.run(graph)) == ["conv2d"]


def test_integer_products_of_a_static_scale(tmp_path: Path) -> None:
    standard = [node("DequantizeLinear", "w sw zw", "dw"), node("Conv", "x dw", "y")]
    graph = same(model(STATIC, SCALES, opset=21), model(standard, SCALES, opset=21), tmp_path, 1e-4)
    assert ops(pipeline.run(graph)) == ["conv2d"]


def test_integer_matrix_products(tmp_path: Path) -> None:
    nodes = [START, node("MatMulInteger", "q m zx zm", "i"), node("Cast", "i", "y", to=1)]
    constants = {**SCALES, "k": np.float32(1 / SCALES["sx"]), "one": np.float32(1)}
    standard = [node("DequantizeLinear", "m one zm", "dm"), node("MatMul", "x dm", "p"),
                node("Mul", "p k", "y")]  # fmt: skip
    same(model(nodes, constants, opset=21), model(standard, constants, opset=21), tmp_path, 1e-4)


QUANT = {
    "s": np.float32(0.125), "z": np.float32(0), "n": np.float32(4), "w": W,
    "ws": np.linspace(0.05, 0.2, 6).astype(np.float32).reshape(6, 1, 1, 1),
}  # fmt: skip


def test_brevitas_weights_are_rounded_and_data_limited(tmp_path: Path) -> None:
    nodes = [
        node("Tanh", "x", "t"),
        foreign("Quant", "t s z n", "d", BREVITAS, signed=1, narrow=0, rounding_mode="ROUND"),
        foreign("Quant", "w ws z n", "v", BREVITAS, signed=1, narrow=1, rounding_mode="ROUND"),
        node("Conv", "d v", "c"),
        foreign("Quant", "c s z n", "y", BREVITAS, signed=0, narrow=0, rounding_mode="ROUND"),
    ]
    rounded = np.clip(np.rint(W / QUANT["ws"]), -7, 7) * QUANT["ws"]
    standard = [node("Tanh", "x", "d"), node("Conv", "d v", "c"), node("Clip", "c o t", "y")]
    limits = {"o": 0.0, "t": 15 / 8}
    constants = {"v": rounded, **{n: np.float32(v) for n, v in limits.items()}}
    graph = same(model(nodes, QUANT), model(standard, constants), tmp_path)
    assert {graph.hints[p.tensor].scale for p in graph.outputs} == {(0.125,)}


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_models_in_other_precisions(kind: Any, tmp_path: Path) -> None:
    elements = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    proto = model([node("Conv", "x w", "c"), node("Relu", "c", "y")], {"w": W.astype(kind)})
    proto.graph.input[0].type.tensor_type.elem_type = elements
    standard = model(
        [node("Conv", "x w", "c"), node("Relu", "c", "y")],
        {"w": W.astype(kind).astype(np.float32)},
    )
    same(proto, standard, tmp_path)


def test_a_model_in_bfloat16(tmp_path: Path) -> None:
    weights = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, W.shape, W.reshape(-1))
    proto = model([node("Conv", "x w", "y")])
    proto.graph.initializer.append(weights)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    near = onnx.numpy_helper.to_array(weights).astype(np.float32)
    same(proto, model([node("Conv", "x w", "y")], {"w": near}), tmp_path)


def function(name: str, inputs: list[str], outputs: list[str], nodes: list[Any],
             attributes: list[str] | None = None, opset: int = 17) -> Any:  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("local", 1)]
    return onnx.helper.make_function(
        "local", name, inputs, outputs, nodes, opsets, attributes or []
    )


def _leaky() -> Any:
    inner = node("LeakyRelu", "a", "b")
    inner.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    return function("Leak", ["a"], ["b"], [inner], ["slope"])


def test_functions_are_written_out(tmp_path: Path) -> None:
    twice = function(
        "Twice", ["a", "w"], ["b"],
        [foreign("Leak", "a", "h", "local", slope=0.3), node("Conv", "h w", "c"),
         foreign("Leak", "c", "b", "local", slope=0.1)],
    )  # fmt: skip
    proto = model([node("Relu", "x", "h"), foreign("Twice", "h w", "y", "local")], {"w": W})
    proto.functions.extend([twice, _leaky()])
    standard = [
        node("Relu", "x", "r"), node("LeakyRelu", "r", "h", alpha=0.3), node("Conv", "h w", "c"),
        node("LeakyRelu", "c", "y", alpha=0.1),
    ]  # fmt: skip
    same(proto, model(standard, {"w": W}), tmp_path)


def test_a_function_has_its_own_opset_and_names(tmp_path: Path) -> None:
    old = function("Limit", ["x"], ["y"], [node("Clip", "x", "y", min=0.0, max=0.5)], opset=6)
    proto = model([foreign("Limit", "x", "h", "local"), foreign("Limit", "h", "y", "local")])
    proto.functions.append(old)
    limits = {"l": np.float32(0), "h": np.float32(0.5)}
    same(proto, model([node("Clip", "x l h", "y")], limits), tmp_path)


def faults(proto: Any, folder: Path) -> str:
    return "\n".join(str(e) for e in importers.problems_of(save(proto, folder)))


def test_functions_that_do_not_end_or_reach_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "MAX_NODES", 300)
    proto = model([foreign("F", "x", "y", "local")])
    proto.functions.append(function("F", ["a"], ["b"], [foreign("F", "a", "b", "local")]))
    assert "or in itself" in faults(proto, tmp_path)
    proto = model([foreign("F", "x", "y", "local")])
    proto.functions.append(function("F", ["a"], ["b"], [node("Add", "a x", "b")]))
    assert "reads what nothing in it writes" in faults(proto, tmp_path)
    proto = model([foreign("F0", "x", "y", "local")])
    for level in range(40):  # twice as many nodes at each level
        inner = [foreign(f"F{level + 1}", "a", "h", "local"),
                 foreign(f"F{level + 1}", "h", "b", "local")]  # fmt: skip
        proto.functions.append(function(f"F{level}", ["a"], ["b"], inner))
    proto.functions.append(function("F40", ["a"], ["b"], [node("Relu", "a", "b")]))
    assert "more than 300 nodes" in faults(proto, tmp_path)


def branch(nodes: list[Any], output: str, inputs: list[Any] | None = None) -> Any:
    value = onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    return onnx.helper.make_graph(nodes, output, inputs or [], [value])


def test_a_known_condition_picks_its_branch(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Shape", "c", "s"),
        node("Gather", "s one", "n"),
        node("Equal", "n six", "same"),
        node("If", "same", "y", then_branch=branch([node("Tanh", "c", "t")], "t"),
             else_branch=branch([node("Erf", "c", "t")], "t")),
    ]  # fmt: skip
    constants = {"w": W, "one": np.array(1), "six": np.array(6)}
    same(
        model(nodes, constants),
        model([node("Conv", "x w", "c"), node("Tanh", "c", "y")], {"w": W}), tmp_path,
    )  # fmt: skip


def loop(trips: Any, keep: str = "k") -> Any:
    value = onnx.helper.make_tensor_value_info
    inputs = [value("i", onnx.TensorProto.INT64, []), value("k", onnx.TensorProto.BOOL, []),
              value("a", onnx.TensorProto.FLOAT, None)]  # fmt: skip
    nodes = [node("Cast", "i", "f", to=1), node("Add", "a f", "b"), node("Sigmoid", "b", "c")]
    if keep == "stop":
        nodes.append(node("Less", "i one", "stop"))
    outputs = [value(keep, onnx.TensorProto.BOOL, []), value("c", onnx.TensorProto.FLOAT, None),
               value("b", onnx.TensorProto.FLOAT, None)]  # fmt: skip
    body = onnx.helper.make_graph(nodes, "body", inputs, outputs)
    proto = model([node("Loop", "n yes x", "y z", body=body)],
                  {"n": np.array(trips), "yes": np.array(True), "one": np.array(1)},
                  outputs="y z")  # fmt: skip
    return proto


@pytest.mark.parametrize(("keep", "turns"), [("k", 3), ("stop", 2)])
def test_a_loop_is_unrolled(keep: str, turns: int, tmp_path: Path) -> None:
    """3 trips, or until the condition fails; the scanned rows are stacked."""
    graph = importers.load(save(loop(3, keep), tmp_path))
    rows = random(1, 4, 6, 5)
    wanted = ReferenceEvaluator(loop(3, keep)).run(None, {"x": rows})
    found = run_graph(graph, {"x": rows})
    assert ops(graph).count("sigmoid") == turns
    for port, real in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[port.name].reshape(real.shape), real, atol=2e-6)


def scan(opset: int = 17, **attrs: Any) -> Any:
    """A cell over the rows of its data."""
    value, real = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [node("MatMul", "row w", "a"), node("MatMul", "h r", "b"), node("Add", "a b", "s"),
             node("Tanh", "s", "new"), node("Identity", "new", "shown")]  # fmt: skip
    inputs = [value("h", real, [1, 4]), value("row", real, [1, 3])]
    outputs = [value("new", real, [1, 4]), value("shown", real, [1, 4])]
    body = onnx.helper.make_graph(nodes, "cell", inputs, outputs)
    constants = {"w": random(3, 4), "r": random(4, 4, seed=1), "start": random(1, 4)}
    given = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1], **attrs}
    return model([node("Scan", "start x", "z y", body=body, **given)], constants,
                 {"x": (1, 5, 3)}, outputs="y z", opset=opset)  # fmt: skip


@pytest.mark.parametrize("back", [0, 1], ids=["forward", "backward"])
@pytest.mark.parametrize("turned", [0, 1], ids=["in order", "turned"])
def test_a_scan_is_unrolled(back: int, turned: int, tmp_path: Path) -> None:
    proto = scan(scan_input_directions=[back], scan_output_directions=[turned])
    graph, rows = importers.load(save(proto, tmp_path)), random(1, 5, 3, seed=2)
    held = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    state, wanted = held["start"], []
    for place in range(5)[:: -1 if back else 1]:
        state = np.tanh(rows[:, place] @ held["w"] + state @ held["r"])
        wanted.append(state)
    found = run_graph(graph, {"x": rows})
    stacked = np.stack(wanted[:: -1 if turned else 1], 1)
    np.testing.assert_allclose(found["y"].reshape(stacked.shape), stacked, atol=2e-6)
    np.testing.assert_allclose(found["z"].reshape(state.shape), state, atol=2e-6)


def test_a_scan_of_opset_8_is_refused(tmp_path: Path) -> None:
    assert "opset 9 or later" in faults(scan(8), tmp_path)


def test_control_flow_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "MAX_NODES", 300)
    assert "more than 300 nodes" in faults(loop(1 << 60), tmp_path)
    graph = branch([node("Relu", "x", "t")], "t")
    nodes = [
        node("ReduceMean", "x", "m", keepdims=0, axes=[0, 1, 2, 3]),
        node("Cast", "m", "c", to=9),
        node("If", "c", "y", then_branch=graph, else_branch=graph),
    ]
    text = faults(model(nodes, inputs={"x": (1, 4, 6, 5)}), tmp_path)
    assert "the condition of If is computed at run time" in text
