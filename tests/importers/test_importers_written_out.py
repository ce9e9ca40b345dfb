"""Operators that are written out as others: at once, step by step, or by where values lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx_models import agrees, feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers
from mcuq.errors import McuqError
from mcuq.passes.pair_states import pair_states

DEPTH, LEVELS = {"d": np.array(6), "v": np.array([0.0, 1.0], np.float32)}, {"x": ("N", 6)}
WRITTEN: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], str]] = {
    "the class of the largest": (
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("OneHot", "i d v", "y")],
        DEPTH, LEVELS, "hardmax",
    ),
    "other levels": (
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("OneHot", "i d v", "y")],
        {**DEPTH, "v": np.array([-1.0, 2.0], np.float32)}, LEVELS, "hardmax",
    ),
    "classes of places, in front": (
        [node("ArgMax", "x", "i", axis=3, keepdims=0), node("OneHot", "i d v", "y", axis=1)],
        {**DEPTH, "d": np.array(5)}, {"x": ("N", 4, 6, 5)}, "hardmax",
    ),
    "shares of a sum": (
        [node("Abs", "x", "a"), node("LpNormalization", "a", "y", p=1, axis=1)], {}, LEVELS,
        "reciprocal",
    ),
    "a part": ([node("Compress", "x c", "y", axis=1)],
               {"c": np.array([1, 0, 1, 1, 0, 0], bool)}, LEVELS, "copy"),
    "the middle": ([node("CenterCropPad", "x s", "y", axes=[1])], {"s": np.array([3])}, LEVELS,
                   "copy"),
    "the middle and around": (
        [node("CenterCropPad", "x s", "y", axes=[2, 3])], {"s": np.array([3, 8])},
        {"x": ("N", 4, 6, 5)}, "pad",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_written_out(name: str, tmp_path: Path) -> None:
    nodes, constants, inputs, op = WRITTEN[name]
    assert op in ops(agrees(model(nodes, constants, inputs, opset=18), tmp_path))


def test_boxes_that_are_inputs_are_not_chosen_among(tmp_path: Path) -> None:
    proto = model(
        [node("NonMaxSuppression", "b s", "y")], {}, {"b": (1, 6, 4), "s": (1, 1, 6)}
    )  # fmt: skip
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.raises(McuqError, match="boxes or scores that are not computed"):
        importers.load(save(proto, tmp_path))


def test_turned_by_their_places(tmp_path: Path) -> None:
    angles = random(3, 4) * 3
    constants = {"c": np.cos(angles)[None], "s": np.sin(angles)[None]}
    proto = model(
        [node("Mul", "x g", "z"), node("RotaryEmbedding", "z c s", "y")],
        {**constants, "g": random(8)}, {"x": (1, 2, 3, 8)}, opset=23,
    )  # fmt: skip
    assert "copy" in ops(agrees(proto, tmp_path, rows=1))


TWICE = np.array([[[0, 0, 2, 2, 2], [1, 0, 0, 0, 2]]])
EDGES = np.array([[[0, 0], [0, 3], [0, 3], [0, 1], [0, 0], [0, 3]]])


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_updates_of_places(reduction: str, tmp_path: Path) -> None:
    """Several of one place, but without a reduction: that is for each once."""
    once = np.array([[[0, 1, 2, 0, 1]]]) if reduction == "none" else TWICE
    scatter = node("ScatterElements", "r i u", "y", axis=1, reduction=reduction)
    constants = {"i": once, "u": random(*once.shape)}
    nodes = [node("Tanh", "x", "r"), scatter]
    agrees(model(nodes, constants, {"x": (1, 3, 5)}, opset=18), tmp_path, rows=1)


def test_messages_along_constant_edges(tmp_path: Path) -> None:
    """A graph network: what neighbours send is added up."""
    nodes = [node("MatMul", "x w", "h"), node("Gather", "h from", "m", axis=1),
             node("ScatterND", "zeros to m", "y", reduction="add")]  # fmt: skip
    constants = {"w": random(3, 4), "from": np.array([1, 2, 0, 3, 3, 1]), "to": EDGES,
                 "zeros": np.zeros((1, 4, 4), np.float32)}  # fmt: skip
    agrees(model(nodes, constants, {"x": (1, 4, 3)}, opset=18), tmp_path, rows=1)


TRANSFORMED: dict[str, tuple[tuple[int, ...], dict[str, Any], dict[str, Any], str]] = {
    "reals": ((1, 10, 3, 1), {"axis": np.array(1)}, {}, "x - axis"),
    "pairs, the last axis but one": ((1, 3, 7, 2), {}, {}, "x"),
    "one side": ((1, 8, 3, 1), {"axis": np.array(1)}, {"onesided": 1}, "x - axis"),
    "back": ((1, 3, 8, 2), {}, {"inverse": 1}, "x"),
    "back to reals": ((1, 3, 5, 2), {}, {"inverse": 1, "onesided": 1}, "x"),
    "padded": ((1, 3, 7, 1), {"n": np.array(12)}, {}, "x n"),
    "cut": ((1, 3, 9, 1), {"n": np.array(6)}, {"onesided": 1}, "x n"),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_fourier_transforms_are_products(name: str, tmp_path: Path) -> None:
    shape, constants, attrs, inputs = TRANSFORMED[name]
    graph = agrees(
        model([node("DFT", inputs, "y", **attrs)], constants, {"x": shape}, opset=20),
        tmp_path, rows=1, tolerance=1e-4,
    )  # fmt: skip
    assert "conv2d" in ops(graph)


def test_a_fourier_transform_of_three_numbers_each_is_refused(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="of reals or pairs"):
        importers.load(save(model([node("DFT", "x", "y")], {}, {"x": (1, 4, 5, 3)}), tmp_path))


ROW = {"x": ("N", 6)}
TABLE = {"x": ("N", 3, 5)}
IMAGE = {"x": ("N", 2, 5, 6)}
VOLUME = {"x": ("N", 2, 3, 4, 5)}
KERNEL = {"w": random(4, 1, 3), "b": random(4)}
PRODUCTS = {"i": np.array(1)}
HEADS = {"q_num_heads": 4, "kv_num_heads": 2, "update_rule": "linear"}
LINEAR = {"q": ("N", 5, 12), "k": ("N", 5, 6), "v": ("N", 5, 4)}
GATES = {"d": ("N", 5, 2), "b": ("N", 5, 1)}
STATE = {"s": ("N", 2, 3, 2)}
ATTENDED = {"q": ("N", 2, 6, 4), "k": ("N", 2, 5, 4), "v": ("N", 2, 5, 4)}

CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "products": (node("CumProd", "x i", "y"), PRODUCTS, ROW),
    "products of others": (node("CumProd", "x i", "y", exclusive=1), PRODUCTS, ROW),
    "products from behind": (node("CumProd", "x i", "y", reverse=1, exclusive=1), PRODUCTS, TABLE),
    "a causal convolution": (
        node("CausalConvWithState", "x w b", "y z"), KERNEL, {"x": ("N", 4, 7)},
    ),
    "shorter than its window": (
        node("CausalConvWithState", "x w", "y z", activation="silu"), {"w": KERNEL["w"]},
        {"x": ("N", 4, 1)},
    ),
    "going on": (
        node("CausalConvWithState", "x w - s", "y z"), {"w": KERNEL["w"]},
        {"x": ("N", 4, 3), "s": ("N", 4, 2)},
    ),
    "linear attention": (node("LinearAttention", "q k v", "y z", **HEADS), {}, LINEAR),
    "linear attention going on": (
        node("LinearAttention", "q k v s", "y z", **HEADS), {}, {**LINEAR, **STATE},
    ),
    "gated": (
        node("LinearAttention", "q k v s d", "y z", **{**HEADS, "update_rule": "gated"}), {},
        {**LINEAR, **STATE, "d": ("N", 5, 6)},
    ),
    "corrected": (
        node("LinearAttention", "q k v - - b", "y z", **{**HEADS, "update_rule": "delta"}), {},
        {**LINEAR, "b": GATES["b"]},
    ),
    "gated and corrected": (
        node("LinearAttention", "q k v s d b", "y z", scale=0.7,
             **{**HEADS, "update_rule": "gated_delta"}),
        {}, {**LINEAR, **STATE, **GATES},
    ),
    "a grid": (
        node("AffineGrid", "x s", "y"), {"s": np.array([1, 3, 4, 5])}, {"x": (1, 2, 3)},
    ),
    "a grid from corner to corner": (
        node("AffineGrid", "x s", "y", align_corners=1), {"s": np.array([1, 3, 2, 4, 5])},
        {"x": (1, 3, 4)},
    ),
    "several exponents": (
        node("Pow", "x e", "y"), {"e": np.array([2.0, 3.0, 2.0, 0.0, 1.0, 4.0], np.float32)}, ROW,
    ),
    "transposed volumes": (
        node("ConvTranspose", "x w b", "y", strides=[2, 1, 3], pads=[1, 0, 2, 0, 1, 0],
             output_padding=[1, 0, 0], dilations=[1, 2, 1]),
        {"w": random(2, 3, 3, 2, 4), "b": random(3)}, VOLUME,
    ),
    "means of spread taps": (
        node("AveragePool", "x", "y", kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 2, 0, 1]),
        {}, IMAGE,
    ),
    "means of spread taps and more rows": (
        node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 3], strides=[3, 2],
             pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
        {}, IMAGE,
    ),
    "limits that cross": (
        node("Clip", "x l h", "y"), {"l": np.float32(1.0), "h": np.float32(-0.5)}, ROW,
    ),
    "the last of equals": (
        node("ArgMax", "x", "y", axis=2, select_last_index=1), {}, TABLE,
    ),
    "a window": (node("Attention", "q k v", "y", left_window_size=2, right_window_size=1), {},
                 ATTENDED),
    "a computed mask and no future": (
        node("Attention", "q k v m", "y", is_causal=1), {}, {**ATTENDED, "m": ("N", 1, 6, 5)},
    ),
    "a computed mask of fewer keys": (
        node("Attention", "q k v m", "y"), {}, {**ATTENDED, "m": ("N", 1, 6, 3)},
    ),
    "queries that see nothing": (
        node("Attention", "q k v m", "y"), {"m": np.arange(30).reshape(6, 5) > 11}, ATTENDED,
    ),
    "scores with a cap": (
        node("Attention", "q k v", "y past now z", softcap=1.5, qk_matmul_output_mode=1), {},
        ATTENDED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_the_standard_says(name: str, tmp_path: Path) -> None:
    made, constants, inputs = CASES[name]
    outputs = " ".join(o for o in made.output if len(o) == 1)
    proto = model([made], constants, inputs, outputs, opset=27)
    proto.ir_version = 10
    graph = agrees(proto, tmp_path, tolerance=1e-4)
    assert len(ops(graph)) < 200


COLUMNS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "columns": (
        node("Col2Im", "x i k", "y", strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 2]),
        {"i": np.array([6, 5]), "k": np.array([3, 2])}, {"x": ("N", 12, 12)},
    ),
    "columns of a series": (
        node("Col2Im", "x i k", "y"), {"i": np.array([5]), "k": np.array([2])}, {"x": ("N", 6, 4)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_laid_on_their_image(name: str, tmp_path: Path) -> None:
    """They become a ConvTranspose in groups, which the evaluator cannot run."""
    made, constants, inputs = COLUMNS[name]
    proto = model([made], constants, inputs, opset=18)
    graph = importers.load(save(proto, tmp_path))
    feeds = feeds_for(graph)
    (wanted,) = ReferenceEvaluator(proto).run(None, feeds)
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], wanted, rtol=1e-5, atol=1e-5)


def test_transposed_volumes_in_groups(tmp_path: Path) -> None:
    weights = random(4, 2, 2, 3, 2)
    made = node("ConvTranspose", "x w", "y", group=2, strides=[1, 2, 1])
    proto = model([made], {"w": weights}, {"x": ("N", 4, 3, 4, 5)})
    graph = importers.load(save(proto, tmp_path))
    feeds = feeds_for(graph)
    given = (torch.from_numpy(a) for a in (feeds["x"], weights))
    wanted = torch.nn.functional.conv_transpose3d(*given, stride=(1, 2, 1), groups=2)
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], wanted, rtol=1e-5, atol=1e-5)


def test_a_volume_whose_first_axis_is_no_batch_is_padded_along_it(tmp_path: Path) -> None:
    nodes = [node("Mul", "x x", "m"), node("Pad", "m p", "y")]
    proto = model(nodes, {"p": np.array([2, 0, 1, 1, 0, 0])}, {"x": (3, 4, 5)}, opset=18)
    graph = importers.load(save(proto, tmp_path))
    assert graph.outputs[0].shape[-3:] == (6, 4, 6)


REFUSED: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str]] = {
    "products of many": (
        node("CumProd", "x i", "y"), PRODUCTS, {"x": (1, 65)}, "CumProd over 65 values. Multiply",
    ),
    "many steps": (
        node("LinearAttention", "q k v d", "y", q_num_heads=1, kv_num_heads=1,
             update_rule="gated"),
        {}, {"q": (1, 5, 2), "k": (1, 5, 2), "v": (1, 5, 2), "d": (1, 5, 1)}, "with other inputs",
    ),
    "a grid of one element": (
        node("AffineGrid", "x s", "y", align_corners=1), {"s": np.array([1, 3, 1, 5])},
        {"x": (1, 2, 3)}, "read in two ways",
    ),
    "blocks that do not fit": (
        node("Col2Im", "x i k", "y"), {"i": np.array([5]), "k": np.array([7])}, {"x": (1, 7, 4)},
        "Col2Im of 7 x 4 for blocks of",
    ),
    "padding alone": (
        node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2], pads=[4, 4, 4, 4]),
        {}, IMAGE, "padding alone",
    ),
    "limits that are none": (
        node("Clip", "x l", "y"), {"l": np.float32(np.nan)}, ROW, "Clip from nan",
    ),
    "endless scores": (
        node("Attention", "q k v", "y past now z", is_causal=1, qk_matmul_output_mode=2), {},
        ATTENDED,
        "scores of minus infinity",
    ),
    "a remainder of a computed value": (
        node("Mod", "x z", "y", fmod=1), {}, {"x": (1, 4), "z": (1, 4)}, "Mod by a computed value",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    made, constants, inputs, reason = REFUSED[name]
    outputs = " ".join(o for o in made.output if len(o) == 1)
    proto = model([made], constants, inputs, outputs, opset=27)
    proto.ir_version = 10
    with pytest.raises(McuqError, match=reason):
        importers.load(save(proto, tmp_path))


def test_what_was_seen_before_is_a_state(tmp_path: Path) -> None:
    made = node("CausalConvWithState", "x w - past_state", "y present_state")
    inputs = {"x": (1, 4, 3), "past_state": (1, 4, 2)}
    proto = model([made], {"w": KERNEL["w"]}, inputs, "y present_state", opset=27)
    graph = pair_states(importers.load(save(proto, tmp_path)), {})
    assert graph.stream is not None
    assert [(s.read, s.written) for s in graph.stream.states] == [("past_state", "present_state")]


def test_the_state_of_linear_attention_pairs_by_its_name(tmp_path: Path) -> None:
    made = node("LinearAttention", "q k v past_state d", "y present_state",
                **{**HEADS, "update_rule": "gated"})  # fmt: skip
    inputs: dict[str, Any] = {name: (1, 1, *shape[2:]) for name, shape in LINEAR.items()}
    inputs |= {"d": (1, 1, 2), "past_state": (1, 2, 3, 2)}
    proto = model([made], {}, inputs, "y present_state", opset=27)
    graph = pair_states(importers.load(save(proto, tmp_path)), {})
    assert graph.stream is not None
    assert [s.read for s in graph.stream.states] == ["past_state"]
