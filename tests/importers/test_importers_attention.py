"""Attention as one operator: ONNX's, and com.microsoft's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers

FLAT = {"q": ("N", 6, 8), "k": ("N", 5, 8), "v": ("N", 5, 8)}
HEADS = {"q": ("N", 4, 6, 8), "k": ("N", 2, 6, 8), "v": ("N", 2, 6, 8)}


@pytest.mark.parametrize(
    ("inputs", "mask", "attrs"),
    [
        (FLAT, None, {"q_num_heads": 2, "kv_num_heads": 2}),
        (FLAT, random(6, 5), {"q_num_heads": 2, "kv_num_heads": 2, "scale": 0.3}),
        (FLAT, random(6, 5) > -0.5, {"q_num_heads": 2, "kv_num_heads": 2}),
        (HEADS, None, {"is_causal": 1}),
        (HEADS, None, {"softcap": 2.0}),
    ],
    ids=["heads", "bias", "mask", "causal, two queries a key", "softcap"],
)
def test_attention(inputs: Any, mask: Any, attrs: dict[str, Any], tmp_path: Path) -> None:
    names = "q k v" if mask is None else "q k v m"
    constants = {} if mask is None else {"m": mask}
    proto = model([node("Attention", names, "y", **attrs)], constants, inputs, opset=23)
    proto.ir_version = 10
    graph = agrees(proto, tmp_path)
    assert ops(graph).count("matmul") == 2
    assert "transpose" not in ops(graph)


def attended(q: Any, k: Any, v: Any, heads: int) -> Any:
    """Scaled dot products of (N, L, C) arrays."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    made = shares / shares.sum(axis=-1, keepdims=True) @ v
    return made.transpose(0, 2, 1, 3).reshape(len(made), made.shape[2], -1)


def microsoft(op: str, inputs: str, constants: Any, shapes: Any) -> Any:
    made = onnx.helper.make_node(op, inputs.split(), ["y"], domain="com.microsoft", num_heads=2)
    proto = model([made], constants, shapes)
    proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return proto


def test_three_inputs_with_a_bias_of_microsoft(tmp_path: Path) -> None:
    bias = random(24)
    proto = microsoft("MultiHeadAttention", "q k v b", {"b": bias}, FLAT)
    graph = importers.load(save(proto, tmp_path))
    feeds = feeds_for(graph)
    moved = [feeds[n] + b for n, b in zip("qkv", np.split(bias, 3), strict=True)]
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], attended(*moved, 2), atol=1e-5)


def test_one_layer_for_all_of_microsoft(tmp_path: Path) -> None:
    weights, bias = random(8, 24), random(24)
    proto = microsoft("Attention", "x w b", {"w": weights, "b": bias}, {"x": ("N", 6, 8)})
    graph = importers.load(save(proto, tmp_path))
    feeds = feeds_for(graph)
    parts = np.split(feeds["x"] @ weights + bias, 3, axis=-1)
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], attended(*parts, 2), atol=1e-5)
