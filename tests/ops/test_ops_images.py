"""Numbers of resize_linear: ties, extremes, and shares that no weight of 11 bits holds."""

from __future__ import annotations

import numpy as np
import pytest

from mcuq.ir import Graph, Node, Tensor
from mcuq.ops import resize_linear
from mcuq.qir import QGraph

NO_GRAPH = QGraph("resize", (), (), (), {})


def line(first: tuple[int, ...], shares: tuple[float, ...]) -> Node:
    attrs = {"rows": (0,), "row_shares": (0.0,), "columns": first, "column_shares": shares}
    return Node("resize_linear", "resize", ("x",), ("y",), attrs)


def integers(node: Node, width: int) -> Node:
    tensors = {"x": Tensor("x", (1, 1, width, 1))}
    return resize_linear.to_int(node, Graph("resize", (), (), (node,), tensors), {}, {}).node


@pytest.mark.parametrize(
    ("pixels", "share", "wanted"),
    [
        ((2, 3), 0.5, 3),
        ((-3, -2), 0.5, -2),
        ((-128, 127), 0.5, 0),
        ((-128, -128), 0.3, -128),
        ((127, 127), 0.7, 127),
        ((-128, 127), 1 / 2048, -128),
        ((0, 100), 0.25, 25),
        ((0, 6), 0.25, 2),
        ((127, -128), 0.999, -128),
    ],
)
def test_between_two(pixels: tuple[int, int], share: float, wanted: int) -> None:
    node = integers(line((0,), (share,)), 2)
    x = np.array(pixels, np.int8).reshape(1, 1, 2, 1)
    assert resize_linear.run_int(node, NO_GRAPH, [x]).tolist() == [[[[wanted]]]]


def test_a_share_that_rounds_to_one_is_the_next_place() -> None:
    node = integers(line((0, 1, 2), (0.99999, 0.9, 0.0)), 3)
    assert node.ints("columns") == (1, 1, 2)
    assert node.ints("column_weights") == (0, 1843, 0)
