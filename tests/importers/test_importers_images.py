"""Transposed convolutions, pools and linear resizing, against the evaluator."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_models import agrees, feeds_for, model, node, ops, random, run_graph, save

from mcuq import importers
from mcuq.passes import pipeline

IMAGE = {"x": (1, 4, 6, 5)}
LINE = {"x": (1, 4, 9)}
CUBE = {"x": (1, 4, 1, 6, 5)}

TRANSPOSED = {
    "stride 1": ((4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stride 1, dilated": ((4, 3, 3, 2), {"dilations": [2, 3]}),
    "twice, whole": ((4, 3, 2, 2), {"strides": [2, 2]}),
    "twice, 4 x 4": ((4, 3, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "twice, 3 x 3": ((4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1],
                                    "output_padding": [1, 1]}),
    "odd": ((4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "uneven pads": ((4, 2, 5, 3), {"strides": [3, 2], "pads": [0, 2, 3, 0]}),
    "kernel below the stride": ((4, 2, 1, 2), {"strides": [2, 3]}),
    "stride along one axis": ((4, 2, 3, 3), {"strides": [1, 2], "pads": [2, 0, 0, 1]}),
    "dilated": ((4, 2, 3, 2), {"strides": [2, 2], "dilations": [2, 3], "pads": [1, 0, 1, 2]}),
    "to a size": ((4, 2, 3, 3), {"strides": [2, 2], "output_shape": [12, 10],
                                 "auto_pad": "SAME_LOWER"}),
    "same": ((4, 2, 4, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "pads beyond the reach": ((4, 2, 2, 2), {"strides": [2, 2], "pads": [4, 3, 3, 5]}),
    "a line": ((4, 3, 5), {"strides": [3], "pads": [2, 1], "output_padding": [1]}),
}  # fmt: skip


@pytest.mark.parametrize("case", TRANSPOSED.values(), ids=TRANSPOSED)
def test_a_transposed_convolution_is_a_convolution_and_a_copy(case: Any, tmp_path: Path) -> None:
    shape, attrs = case
    constants = {"w": random(*shape), "b": random(shape[1])}
    proto = model([node("ConvTranspose", "x w b", "y", **attrs)], constants,
                  LINE if len(shape) == 3 else IMAGE)  # fmt: skip
    graph = agrees(proto, tmp_path, rows=1)
    plain = max(attrs.get("strides", [1])) == 1
    assert ops(graph) == (["conv2d"] if plain else ["conv2d", "copy"])
    weights = graph.data(graph.nodes[0].inputs[1])
    assert sorted(weights[weights != 0]) == sorted(constants["w"].reshape(-1))


@pytest.mark.parametrize(("groups", "layer"), [(2, "conv2d"), (4, "depthwise_conv2d")])
def test_groups_are_those_of_torch(groups: int, layer: str, tmp_path: Path) -> None:
    """onnx's evaluator writes one channel of each group."""
    weights, bias = random(4, 3, 4, 3), random(3 * groups)
    attrs = {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": groups}
    proto = model([node("ConvTranspose", "x w b", "y", **attrs)], {"w": weights, "b": bias}, IMAGE)
    graph = pipeline.run(importers.load(save(proto, tmp_path)))
    assert ops(graph) == [layer, "copy"]
    feeds = feeds_for(graph)
    wanted = torch.nn.functional.conv_transpose2d(
        *map(torch.from_numpy, (feeds["x"], weights, bias)), stride=2, padding=1, groups=groups
    )
    np.testing.assert_allclose(run_graph(graph, feeds)["y"], wanted, rtol=2e-5, atol=2e-5)


def test_twice_as_large_needs_no_table(tmp_path: Path) -> None:
    for name in ("twice, whole", "twice, 4 x 4", "twice, 3 x 3"):
        shape, attrs = TRANSPOSED[name]
        proto = model([node("ConvTranspose", "x w", "y", **attrs)], {"w": random(*shape)}, IMAGE)
        assert len(agrees(proto, tmp_path, rows=1).nodes[-1].ints("places")) == 1


AVERAGES = [
    {"kernel_shape": [3, 2], "strides": list(strides), "pads": list(pads), "ceil_mode": ceil,
     "count_include_pad": count}
    for strides, pads, ceil, count in product(
        ((2, 2), (3, 1)), ((0, 0, 0, 0), (1, 0, 1, 1)), (0, 1), (0, 1))
]  # fmt: skip
DILATED = [
    {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": pads, "strides": strides,
     "count_include_pad": 1}
    for strides in ([1, 1], [2, 1]) for pads in ([0, 0, 0, 0], [1, 0, 2, 1])
]  # fmt: skip


@pytest.mark.parametrize("attrs", [*AVERAGES, *DILATED], ids=str)
def test_average_pools_in_every_combination(attrs: Any, tmp_path: Path) -> None:
    agrees(model([node("AveragePool", "x", "y", **attrs)], {}, IMAGE, opset=22), tmp_path, rows=1)


def test_dilated_average_pools_whose_padding_does_not_count_are_refused(tmp_path: Path) -> None:
    pool = node("AveragePool", "x", "y", **{**DILATED[1], "count_include_pad": 0})
    (problem,) = importers.problems_of(save(model([pool], {}, IMAGE, opset=22), tmp_path))
    assert "AveragePool with dilations, and padding that does not count" in str(problem)


CUBES = {
    "Conv": ("x w", {"w": random(2, 4, 1, 3, 3)}, {"pads": [0, 1, 0, 0, 1, 0]}),
    "ConvTranspose": ("x w", {"w": random(4, 2, 1, 3, 3)}, {"strides": [1, 2, 2]}),
    "MaxPool": ("x", {}, {"kernel_shape": [1, 2, 3], "strides": [1, 2, 1]}),
    "AveragePool": ("x", {}, {"kernel_shape": [1, 2, 3], "pads": [0, 1, 1, 0, 0, 1]}),
    "BatchNormalization": ("x s b m v", {"s": random(4), "b": random(4), "m": random(4),
                                         "v": random(4, low=1.0, high=2.0)}, {}),
}  # fmt: skip


@pytest.mark.parametrize("op", CUBES)
def test_an_axis_of_one_is_no_third_dimension(op: str, tmp_path: Path) -> None:
    inputs, constants, attrs = CUBES[op]
    agrees(model([node(op, inputs, "y", **attrs)], constants, CUBE), tmp_path, rows=1)


def test_a_window_over_three_axes_is_refused(tmp_path: Path) -> None:
    proto = model([node("MaxPool", "x", "y", kernel_shape=[2, 2, 2])], {}, {"x": (1, 2, 4, 4, 4)})
    (problem,) = importers.problems_of(save(proto, tmp_path))
    assert "a 3-D window" in str(problem)


def test_indices_that_nobody_reads(tmp_path: Path) -> None:
    nodes = [node("MaxPool", "x", "h i", kernel_shape=[2, 2], dilations=[2, 1]),
             node("Relu", "h", "y")]  # fmt: skip
    agrees(model(nodes, {}, IMAGE), tmp_path, rows=1)
