"""Products of two computed tensors, however their elements lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random

from mcuq.errors import McuqError

ROW = {"x": ("N", 6, 8)}


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "y")], {}),
        ([node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "t x", "y")], {}),
        ([node("Einsum", "x x", "y", equation="bij,bkj->bik")], {}),
        ([node("Einsum", "x x", "y", equation="bij,bik->bkj")], {}),
        ([node("Einsum", "x x", "y", equation="bij,bkj->bki")], {}),
        ([node("MatMul", "x w", "y")], {"w": random(1, 8, 5)}),
        ([node("Unsqueeze", "x one", "u"), node("MatMul", "w u", "y")],
         {"w": random(3, 4, 6), "one": np.array([1])}),
        ([node("Relu", "x", "r"), node("Einsum", "r x", "y", equation="bij,bij->bi")], {}),
    ],
    ids=["x xT", "xT x", "einsum rows", "einsum columns", "einsum turned", "one weight matrix",
         "several weight matrices", "einsum of rows with rows"],
)  # fmt: skip
def test_products_agree(nodes: list[object], constants: dict[str, object], tmp_path: Path) -> None:
    agrees(model(nodes, constants, ROW), tmp_path)


def test_a_factor_of_an_input_in_any_order_goes_behind(tmp_path: Path) -> None:
    nodes = [
        node("Mul", "x half", "m"),
        node("Reshape", "m shape", "r"),
        node("Einsum", "r r", "y", equation="bij,bkj->bik"),
    ]
    constants = {"half": np.float32(0.5), "shape": np.array([0, 3, 20])}
    agrees(model(nodes, constants, {"x": ("N", 3, 4, 5)}), tmp_path)


def attention(scale: float) -> object:
    """Two heads of four over six tokens, all three from one layer, as exporters write it."""
    nodes = [
        node("MatMul", "x w", "qkv"),
        node("Reshape", "qkv split", "r"),
        node("Transpose", "r", "t", perm=[2, 0, 3, 1, 4]),
        *(node("Gather", f"t {i}", n, axis=0) for i, n in enumerate("qkv")),
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "s"),
        node("Mul", "s scale", "m"),
        node("Softmax", "m", "p", axis=-1),
        node("MatMul", "p v", "o"),
        node("Transpose", "o", "ot", perm=[0, 2, 1, 3]),
        node("Reshape", "ot joined", "j"),
        node("MatMul", "j w2", "y"),
    ]
    constants = {
        "w": random(8, 24), "w2": random(8, 8), "split": np.array([0, 6, 3, 2, 4]),
        "scale": np.float32(scale), "joined": np.array([0, 6, 8]),
        **{str(i): np.array(i) for i in range(3)},
    }  # fmt: skip
    return model(nodes, constants, ROW)


def test_attention_moves_nothing(tmp_path: Path) -> None:
    graph = agrees(attention(0.5), tmp_path)
    assert {"copy", "transpose", "mul"}.isdisjoint(ops(graph))
    assert ops(graph).count("matmul") == 2


@pytest.mark.parametrize("equation", ["bij,bjk", "ij,jk->i"])
def test_what_is_no_product_is_refused(equation: str, tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("Einsum", "x r", "y", equation=equation)]
    with pytest.raises(McuqError):
        agrees(model(nodes, {}, ROW), tmp_path)


@pytest.mark.parametrize("more", [{}, {"alpha": 0.5}, {"beta": 2.0, "alpha": 3.0}])
def test_gemm_of_computed_operands(more: dict[str, float], tmp_path: Path) -> None:
    nodes = [node("Reshape", "x shape", "b"), node("Gemm", "a b c", "y", transB=1, **more)]
    inputs = {"a": (1, 4), "x": (1, 12), "c": (1, 3)}
    agrees(model(nodes, {"shape": np.array([3, 4])}, inputs), tmp_path, rows=1)
