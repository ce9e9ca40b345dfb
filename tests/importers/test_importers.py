"""Every ONNX operator against onnx's reference evaluator, before and after the passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers

W = random(6, 4, 3, 3)
INT = np.int64


def conv(**attrs: Any) -> Any:
    return model([node("Conv", "x w b", "y", **attrs)], {"w": W, "b": random(6)})


def one(op: str, inputs: str = "x", constants: Any = None, opset: int = 17, **attrs: Any) -> Any:
    return model([node(op, inputs, "y", **attrs)], constants, opset=opset)


def vector(op: str, inputs: str, constants: Any = None, **attrs: Any) -> Any:
    return model([node(op, inputs, "y", **attrs)], constants, {"x": ("N", 8)})


def sequence(op: str, inputs: str, constants: Any = None, **attrs: Any) -> Any:
    return model([node(op, inputs, "y", **attrs)], constants, {"x": ("N", 4, 9)})


IMAGES = {
    "conv": conv(),
    "conv strides pads": conv(strides=[2, 1], pads=[1, 0, 2, 1]),
    "conv dilations": conv(dilations=[2, 1], pads=[2, 1, 2, 1]),
    "conv same upper": conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": conv(auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv valid": conv(auto_pad="VALID"),
    "conv no bias": one("Conv", "x w", {"w": W}),
    "conv grouped": one("Conv", "x w", {"w": random(6, 2, 3, 2)}, group=2),
    "conv depthwise": one("Conv", "x w", {"w": random(4, 1, 3, 3)}, group=4, pads=[1] * 4),
    "conv multiplier": one("Conv", "x w b", {"w": random(8, 1, 2, 2), "b": random(8)}, group=4),
    "conv 1x1": one("Conv", "x w", {"w": random(3, 4, 1, 1)}),
    "max pool": one("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "max pool ceil": one("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max pool dilated": one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    "average pool": one("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]),
    "average pool padded": one(
        "AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1
    ),
    "average pool ceil": one("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "global average": one("GlobalAveragePool"),
    "global max": one("GlobalMaxPool"),
    "mean over space": one("ReduceMean", axes=[2, 3], keepdims=0),
    "mean, axes as input": one("ReduceMean", "x a", {"a": np.array([-1, 2], INT)}, 18),
    "mean over rows": one("ReduceMean", axes=[2], keepdims=1),
    "mean over columns": one("ReduceMean", axes=[3], keepdims=0),
    "mean over channels": one("ReduceMean", axes=[1], keepdims=1),
    "max over space": one("ReduceMax", axes=[2, 3], keepdims=0),
    "pad": one("Pad", "x p v", {"p": np.array([0, 0, 1, 2, 0, 1, 0, 1]), "v": np.float32(0.5)}),
    "pad axes": one("Pad", "x p - a", {"p": np.array([1, 2]), "a": np.array([-1])}, 18),
    "pad nothing": model(
        [node("Pad", "x p", "h"), node("Relu", "h", "y")], {"p": np.zeros(8, INT)}
    ),
    "batch norm": one(
        "BatchNormalization", "x s b m v",
        {"s": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, low=0.1)},
    ),
}  # fmt: skip

ELEMENTWISE = {
    "relu": one("Relu"),
    "clip": one("Clip", "x l h", {"l": np.float32(-0.5), "h": np.float32(1)}),
    "clip above": one("Clip", "x - h", {"h": np.float32(1)}),
    "sigmoid": one("Sigmoid"),
    "tanh": one("Tanh"),
    "hard sigmoid": one("HardSigmoid", alpha=0.3, beta=0.4),
    "hard swish": one("HardSwish"),
    "leaky relu": one("LeakyRelu", alpha=0.2),
    "prelu": one("PRelu", "x s", {"s": np.full((1, 1, 1), 0.1, np.float32)}),
    "elu": one("Elu", alpha=0.7),
    "gelu": one("Gelu", opset=20),
    "gelu tanh": one("Gelu", opset=20, approximate="tanh"),
    "neg": one("Neg"),
    "add scalar": one("Add", "x c", {"c": np.float32(0.5)}),
    "add per channel": one("Add", "x c", {"c": random(4, 1, 1)}),
    "add per column": one("Add", "x c", {"c": random(5)}),
    "add per row and column": one("Add", "x c", {"c": random(1, 6, 5)}),
    "add whole": one("Add", "c x", {"c": random(4, 6, 5)}),
    "sub from constant": one("Sub", "c x", {"c": random(4, 1, 1)}),
    "sub constant": one("Sub", "x c", {"c": random(4, 1, 1)}),
    "mul": one("Mul", "x c", {"c": random(1, 4, 1, 1)}),
    "div": one("Div", "x c", {"c": random(4, 1, 1, low=0.5, high=2)}),
    "square": one("Mul", "x x"),
    "sum": one("Sum", "x x"),
}

SHAPES = {
    "softmax": vector("Softmax", "x"),
    "softmax channels": one("Softmax", axis=1),
    "softmax columns": one("Softmax", axis=3),
    "flatten": model([node("Tanh", "x", "t"), node("Flatten", "t", "y")]),
    "flatten late": model(
        [node("Flatten", "x", "f", axis=2), node("Softmax", "f", "s", axis=1),
         node("Reshape", "s r", "y")], {"r": np.array([-1, 4, 30])},
    ),
    "transpose": model([node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Relu", "t", "y")]),
    "squeeze": model(
        [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g a", "y")],
        {"a": np.array([2, 3])},
    ),
    "unsqueeze": model(
        [node("Unsqueeze", "x a", "u"), node("Relu", "u", "y")], {"a": np.array([1, -1])},
    ),
    "dropout": model([node("Relu", "x", "r"), node("Dropout", "r", "y")]),
    "concat channels": model(
        [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Concat", "a b", "y", axis=1)],
        {"w": W},
    ),
    "concat rows": model(
        [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Concat", "a b", "y", axis=2)],
        {"w": W},
    ),
    "concat columns": model(
        [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Concat", "b a a", "y", axis=-1)],
        {"w": W},
    ),
}  # fmt: skip

LINEAR = {
    "gemm": vector("Gemm", "x w b", {"w": random(8, 3), "b": random(3)}),
    "gemm all attributes": vector(
        "Gemm", "x w b", {"w": random(3, 8), "b": random(1)}, transB=1, alpha=0.5, beta=2.0
    ),
    "gemm no bias": vector("Gemm", "x w", {"w": random(8, 3)}),
    "matmul": vector("MatMul", "x w", {"w": random(8, 3)}),
    "matmul add": model(
        [node("MatMul", "x w", "m"), node("Add", "m b", "y")],
        {"w": random(8, 3), "b": random(3)}, {"x": ("N", 8)},
    ),
    "matmul rank 3": sequence("MatMul", "x w", {"w": random(9, 3)}),
    "matmul rank 4": one("MatMul", "x w", {"w": random(5, 3)}),
    "matmul weights of rank 3": sequence("MatMul", "x w", {"w": random(1, 9, 3)}),
    "matmul after conv": model(
        [node("Conv", "x w", "c"), node("MatMul", "c m", "y")], {"w": W, "m": random(3, 7)},
    ),
    "flatten gemm": model(
        [node("Conv", "x w", "c"), node("Flatten", "c", "f"), node("Gemm", "f m", "y")],
        {"w": W, "m": random(72, 3)},
    ),
    "norm of a vector": vector(
        "BatchNormalization", "x s b m v",
        {"s": random(8), "b": random(8, seed=1), "m": random(8, seed=2), "v": random(8, low=0.1)},
    ),
    "norm of a flat image": model(
        [node("Conv", "x w", "c"), node("Flatten", "c", "f"),
         node("BatchNormalization", "f s b m v", "y")],
        {"w": W, "s": random(72), "b": random(72), "m": random(72), "v": random(72, low=0.1)},
    ),
}  # fmt: skip

SEQUENCES = {
    "conv1d": sequence("Conv", "x w b", {"w": random(6, 4, 3), "b": random(6)}, pads=[1, 1]),
    "conv1d depthwise": sequence("Conv", "x w", {"w": random(4, 1, 3)}, group=4, strides=[2]),
    "conv1d same": sequence("Conv", "x w", {"w": random(2, 4, 4)}, auto_pad="SAME_UPPER"),
    "max pool 1d": sequence("MaxPool", "x", kernel_shape=[2], strides=[2], ceil_mode=1),
    "average pool 1d": sequence("AveragePool", "x", kernel_shape=[3], pads=[1, 1]),
    "global average 1d": sequence("GlobalAveragePool", "x"),
    "pad 1d": sequence("Pad", "x p", {"p": np.array([0, 0, 2, 0, 0, 1])}),
    "norm 1d": sequence(
        "BatchNormalization", "x s b m v",
        {"s": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, low=0.1)},
    ),
    "concat time": model(
        [node("Conv", "x w", "a"), node("Concat", "a a", "y", axis=2)],
        {"w": random(6, 4, 3)}, {"x": ("N", 4, 9)},
    ),
    "concat rows of a matrix": sequence("Concat", "x x", axis=1),
    "relu 1d": sequence("Relu", "x"),
}  # fmt: skip

TABLES = {**IMAGES, **ELEMENTWISE, **SHAPES, **LINEAR, **SEQUENCES}


@pytest.mark.parametrize("proto", TABLES.values(), ids=TABLES)
def test_agrees_with_the_evaluator(proto: Any, tmp_path: Path) -> None:
    agrees(proto, tmp_path)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_argmax(axis: int, keep: int, tmp_path: Path) -> None:
    graph = agrees(one("ArgMax", axis=axis, keepdims=keep), tmp_path)
    assert graph.outputs[0].kind == "s32"


def test_argmax_as_another_integer(tmp_path: Path) -> None:
    agrees(model([node("ArgMax", "x", "i", axis=1), node("Cast", "i", "y", to=6)]), tmp_path)


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 20])
def test_opsets(opset: int, tmp_path: Path) -> None:
    agrees(
        model([node("Conv", "x w", "c"), node("Relu", "c", "y")], {"w": W}, opset=opset), tmp_path
    )


def test_softmax_before_opset_13_joins_the_axes(tmp_path: Path) -> None:
    graph = importers.load(save(one("Softmax", opset=11), tmp_path))
    feeds = feeds_for(graph)
    flat = np.exp(feeds["x"].reshape(2, -1))
    wanted = (flat / flat.sum(axis=1, keepdims=True)).reshape(2, 4, 6, 5)
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], wanted, rtol=1e-5)


def test_nhwc_model_needs_no_transpose(tmp_path: Path) -> None:
    nodes = [
        node("Sub", "x m", "s"),
        node("Transpose", "s", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w", "c"),
        node("Transpose", "c", "b", perm=[0, 2, 3, 1]),
        node("Reshape", "b r", "f"),
        node("Gemm", "f g", "y"),
    ]
    constants = {"m": random(4), "w": W, "r": np.array([-1, 72]), "g": random(72, 3)}
    graph = agrees(model(nodes, constants, {"x": ("N", 6, 5, 4)}), tmp_path)
    assert ops(graph) == ["conv2d", "reshape", "dense"]
    assert graph.inputs[0].order is None


def test_sequences_normalised_in_the_model_need_no_transpose(tmp_path: Path) -> None:
    nodes = [node("Sub", "x m", "s"), node("Mul", "s k", "n"), node("Conv", "n w", "y")]
    constants = {"m": random(4, 1), "k": np.float32(0.5), "w": random(6, 4, 3)}
    assert ops(agrees(model(nodes, constants, {"x": ("N", 4, 9)}), tmp_path)) == ["conv2d"]


def test_nchw_input_is_channels_last_inside(tmp_path: Path) -> None:
    graph = agrees(conv(), tmp_path)
    assert graph.shape("x") == (1, 6, 5, 4)
    assert graph.inputs[0].shape == (1, 4, 6, 5)


def test_channel_shuffle_is_one_transpose(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c a", "g"),
        node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t b", "s"),
        node("Conv", "s v", "y", group=2),
    ]
    constants = {
        "w": W, "v": random(2, 3, 1, 1), "a": np.array([-1, 2, 3, 4, 3]),
        "b": np.array([-1, 6, 4, 3]),
    }  # fmt: skip
    graph = agrees(model(nodes, constants), tmp_path)
    assert ops(graph).count("transpose") == 1


def test_patches_of_five_axes_are_one_copy(tmp_path: Path) -> None:
    nodes = [
        node("Tanh", "x", "h"),
        node("Reshape", "h a", "p"),
        node("Transpose", "p", "t", perm=[0, 2, 4, 1, 3, 5]),
        node("Reshape", "t b", "s"),
        node("MatMul", "s w", "y"),
    ]
    constants = {
        "a": np.array([-1, 4, 3, 2, 2, 3]), "b": np.array([-1, 6, 24]), "w": random(24, 5)
    }  # fmt: skip
    graph = agrees(model(nodes, constants, {"x": ("N", 4, 6, 6)}), tmp_path)
    assert ops(graph).count("copy") == 1
    assert "transpose" not in ops(graph)


@pytest.mark.parametrize("seed", range(12))
def test_random_views_keep_every_element(seed: int, tmp_path: Path) -> None:
    """Permutes and reshapes between operators that need a layout of their own."""
    pick = np.random.default_rng(seed)
    perm = [0, *(1 + pick.permutation(3)).tolist()]
    back = [0, *(1 + pick.permutation(3)).tolist()]
    sizes = (4, 6, 3)
    turned = tuple(sizes[p - 1] for p in perm[1:])
    split = [-1, turned[0] * turned[1], turned[2]] if seed % 2 else [-1, *turned]
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=perm),
        node("Reshape", "t r", "s"),
        node("Tanh", "s", "h"),
        node("Reshape", "h q", "u"),
        node("Transpose", "u", "v", perm=back),
        node("Add", "v v", "d"),
        node("Flatten", "d", "f"),
        node("Gemm", "f g", "z"),
        node("Softmax", "v", "p", axis=int(pick.integers(1, 4))),
    ]
    constants = {
        "w": random(4, 3, 1, 1), "r": np.array(split), "q": np.array([-1, *turned]),
        "g": random(72, 5),
    }  # fmt: skip
    proto = model(nodes, constants, {"x": ("N", 3, 6, 3)}, outputs="z v p d")
    agrees(proto, tmp_path)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Mul", "c k", "y"), node("Sigmoid", "c", "z")]
    shapes = {"x": ("N", 4, 6, 5), "k": ("N", 6, 4, 3)}
    graph = agrees(model(nodes, {"w": W}, shapes, "y z"), tmp_path)
    assert [p.name for p in graph.inputs] == ["x", "k"]
    assert [p.name for p in graph.outputs] == ["y", "z"]


def test_attention_over_channels_broadcasts(tmp_path: Path) -> None:
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Conv", "g w", "c"),
        node("HardSigmoid", "c", "h"),
        node("Mul", "x h", "y"),
    ]
    assert "transpose" not in ops(agrees(model(nodes, {"w": random(4, 4, 1, 1)}), tmp_path))


def test_shape_arithmetic_is_folded(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Shape", "c", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "m"),
        node("Concat", "m minus", "r", axis=0),
        node("Reshape", "c r", "f"),
        node("Gemm", "f g", "y"),
    ]
    constants = {
        "w": W, "zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]),
        "g": random(72, 3),
    }  # fmt: skip
    assert ops(agrees(model(nodes, constants), tmp_path)) == ["conv2d", "reshape", "dense"]


def test_arithmetic_on_weights_is_folded(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "w", "t", perm=[1, 0]),
        node("Mul", "t two", "u"),
        node("MatMul", "x u", "y"),
    ]
    proto = model(nodes, {"w": random(3, 8), "two": np.float32(2)}, {"x": ("N", 8)})
    assert ops(agrees(proto, tmp_path)) == ["dense"]


def test_constant_nodes(tmp_path: Path) -> None:
    nodes = [node("Constant", "", "c", value_float=0.5), node("Add", "x c", "y")]
    agrees(model(nodes), tmp_path)


def test_fixed_batch_becomes_one(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x r", "f"), node("Gemm", "f g", "y")]
    constants = {"r": np.array([3, 120]), "g": random(120, 2)}
    graph = agrees(model(nodes, constants, {"x": (3, 4, 6, 5)}), tmp_path, rows=3)
    assert graph.inputs[0].shape == (1, 4, 6, 5)


HALF, ONE, ROOT, THREE = (np.float32(v) for v in (0.5, 1, np.sqrt(2), 3))
CHAINS = {
    "gelu": (
        [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"),
         node("Mul", "x a", "m"), node("Mul", "m half", "y")], "gelu",
    ),
    "gelu, half first": (
        [node("Mul", "x half", "h"), node("Div", "x root", "d"), node("Erf", "d", "e"),
         node("Add", "one e", "a"), node("Mul", "a h", "y")], "gelu",
    ),
    "silu": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], "silu"),
    "hard swish": (
        [node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), node("Mul", "s x", "y")],
        "hard_swish",
    ),
    "hard swish, clipped": (
        [node("Add", "x three", "a"), node("Clip", "a zero six", "c"), node("Div", "c six", "d"),
         node("Mul", "x d", "y")], "hard_swish",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "op"), CHAINS.values(), ids=CHAINS)
def test_chains_become_one_function(nodes: Any, op: str, tmp_path: Path) -> None:
    constants = {
        "half": HALF, "one": ONE, "root": ROOT, "three": THREE, "zero": np.float32(0),
        "six": np.float32(6),
    }  # fmt: skip
    assert ops(agrees(model(nodes, constants), tmp_path)) == [op]


def test_other_chains_are_one_function_too(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "s s", "y")]
    assert ops(agrees(model(nodes), tmp_path)) == ["smooth_chain"]
