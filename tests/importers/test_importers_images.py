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
from mcuq.quantize import given

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
    "stride along one axis": ((4, 2, 3, 3), {"strides": [1, 2], "pads": [2, 0, 0, 2]}),
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
     "count_include_pad": counted}
    for strides in ([1, 1], [2, 1]) for pads in ([0, 0, 0, 0], [1, 0, 2, 1]) for counted in (0, 1)
]  # fmt: skip


@pytest.mark.parametrize("attrs", [*AVERAGES, *DILATED], ids=str)
def test_average_pools_in_every_combination(attrs: Any, tmp_path: Path) -> None:
    agrees(model([node("AveragePool", "x", "y", **attrs)], {}, IMAGE, opset=22), tmp_path, rows=1)


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


VOLUME = {"x": ("N", 4, 5, 6, 7)}
_W = {"w": random(6, 4, 3, 3, 2), "b": random(6)}
VOLUMES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("Conv", "x w b", _W, {}),
    "padded": ("Conv", "x w b", _W, {"pads": [1, 1, 0, 2, 1, 1]}),
    "strides": ("Conv", "x w b", _W, {"strides": [2, 1, 3], "pads": [1, 0, 1, 0, 2, 1]}),
    "dilated": ("Conv", "x w", _W, {"dilations": [2, 1, 2], "pads": [2, 1, 1, 2, 1, 1]}),
    "same": ("Conv", "x w", _W, {"auto_pad": "SAME_UPPER", "strides": [2, 2, 2]}),
    "groups": ("Conv", "x w b", {"w": random(6, 2, 3, 3, 3), "b": random(6)}, {"group": 2}),
    "of each channel": ("Conv", "x w", {"w": random(4, 1, 2, 3, 3)}, {"group": 4}),
    "one plane at a time": ("Conv", "x w", {"w": random(5, 4, 1, 3, 3)}, {}),
    "one place of each": ("Conv", "x w", {"w": random(5, 4, 3, 1, 1)}, {"strides": [1, 2, 2]}),
    "all planes": ("Conv", "x w", {"w": random(5, 4, 5, 3, 3)}, {}),
    "largest": ("MaxPool", "x", {}, {"kernel_shape": [2, 2, 3], "strides": [2, 1, 2]}),
    "largest, dilated": ("MaxPool", "x", {}, {"kernel_shape": [2, 2, 2], "dilations": [3, 2, 1]}),
    "largest, at the end": ("MaxPool", "x", {}, {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2],
                                                 "ceil_mode": 1}),
    "average": ("AveragePool", "x", {}, {"kernel_shape": [2, 3, 2], "pads": [1, 1, 0, 0, 1, 1]}),
    "average with padding": ("AveragePool", "x", {}, {
        "kernel_shape": [2, 3, 2], "pads": [1, 1, 0, 0, 1, 1], "count_include_pad": 1}),
    "average at the end": ("AveragePool", "x", {}, {
        "kernel_shape": [2, 3, 2], "strides": [2, 2, 2], "ceil_mode": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", VOLUMES)
def test_windows_over_three_axes(name: str, tmp_path: Path) -> None:
    op, inputs, constants, attrs = VOLUMES[name]
    kept = {key: value for key, value in constants.items() if key in inputs.split()}
    agrees(model([node(op, inputs, "y", **attrs)], kept, VOLUME, opset=19), tmp_path, rows=1)


def test_same_pads_along_three_axes(tmp_path: Path) -> None:
    """Which the evaluator cannot run."""
    found = []
    for pads in ({"auto_pad": "SAME_UPPER"}, {"pads": [1, 0, 0, 1, 1, 1]}):
        pool = node("MaxPool", "x", "y", kernel_shape=[3, 2, 2], **pads)
        graph = importers.load(save(model([pool], {}, VOLUME), tmp_path))
        found.append(run_graph(graph, feeds_for(graph))["y"])
    assert found[0].shape == (2, 4, 5, 6, 7)
    np.testing.assert_array_equal(*found)


REFUSED_VOLUMES = {
    "transposed": ("ConvTranspose", "x w", {"w": random(3, 2, 2, 2, 2)}, {}, "weights of 3"),
    "indices": ("MaxPool", "x", {}, {"kernel_shape": [2, 2, 2]}, "indices of MaxPool are read"),
    "too large": ("Conv", "x w", {"w": random(6, 4, 7, 3, 3)}, {}, "larger than its data"),
    "other channels": ("Conv", "x w", {"w": random(6, 3, 3, 3, 3)}, {}, "weights"),
}


@pytest.mark.parametrize("name", REFUSED_VOLUMES)
def test_refused_windows_over_three_axes(name: str, tmp_path: Path) -> None:
    op, inputs, constants, attrs, reason = REFUSED_VOLUMES[name]
    outputs = "y i" if name == "indices" else "y"
    proto = model([node(op, inputs, outputs, **attrs)], constants, VOLUME, outputs=outputs)
    problems = importers.problems_of(save(proto, tmp_path))
    assert reason in " ".join(str(problem) for problem in problems)


def test_indices_that_nobody_reads(tmp_path: Path) -> None:
    nodes = [node("MaxPool", "x", "h i", kernel_shape=[2, 2], dilations=[2, 1]),
             node("Relu", "h", "y")]  # fmt: skip
    agrees(model(nodes, {}, IMAGE), tmp_path, rows=1)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


MODES = "half_pixel asymmetric align_corners pytorch_half_pixel half_pixel_symmetric".split()
SCALES = {"twice": (2, 2), "fractional": (1.3, 1.7), "smaller": (0.6, 0.5), "rows": (3, 1),
          "columns": (1, 0.4)}  # fmt: skip


WHOLE = ("twice", "rows", "columns")  # of align_corners, which is read in two ways otherwise
RESIZES = [(mode, name) for mode in MODES for name in SCALES
           if mode != "align_corners" or name in WHOLE]  # fmt: skip


@pytest.mark.parametrize(("mode", "name"), RESIZES)
def test_linear_in_every_coordinate_mode(mode: str, name: str, tmp_path: Path) -> None:
    resize = node("Resize", "x - s", "y", mode="linear", coordinate_transformation_mode=mode)
    graph = agrees(
        model([resize], {"s": floats(1, 1, *SCALES[name])}, IMAGE, opset=19), tmp_path, rows=1
    )
    assert ops(graph) == ["resize_linear"]


LINEAR = {
    "to a size": ([node("Resize", "x - - n", "y", mode="linear")],
                  {"n": np.array([1, 4, 9, 7])}, IMAGE),
    "as large as fits": (
        [node("Resize", "x - - n", "y", mode="linear", axes=[3, 2],
              keep_aspect_ratio_policy="not_larger")], {"n": np.array([9, 7])}, IMAGE),
    "channels last": ([node("Resize", "x - s", "y", mode="linear")],
                      {"s": floats(1, 2, 1.5, 1)}, IMAGE),
    "a line": ([node("Resize", "x - s", "y", mode="linear")], {"s": floats(1, 1, 2.5)}, LINE),
    "a vector": ([node("Resize", "x - s", "y", mode="linear")], {"s": floats(1, 2)},
                 {"x": (1, 7)}),
    "same": ([node("Resize", "x - s", "h", mode="linear"), node("Relu", "h", "y")],
             {"s": floats(1, 1, 1, 1)}, IMAGE),
}  # fmt: skip


@pytest.mark.parametrize("case", LINEAR.values(), ids=LINEAR)
def test_linear_along_other_axes(case: Any, tmp_path: Path) -> None:
    agrees(model(*case, opset=19), tmp_path, rows=1)


def test_version_10_is_asymmetric(tmp_path: Path) -> None:
    """The evaluator lacks it."""
    old = model([node("Resize", "x s", "y", mode="linear")], {"s": floats(1, 1, 2, 3)}, IMAGE,
                opset=10)  # fmt: skip
    new = model([node("Resize", "x - s", "y", mode="linear",
                      coordinate_transformation_mode="asymmetric")],
                {"s": floats(1, 1, 2, 3)}, IMAGE, opset=19)  # fmt: skip
    assert importers.load(save(old, tmp_path)).nodes == agrees(new, tmp_path, rows=1).nodes


@pytest.mark.parametrize(
    ("attrs", "reason"),
    [
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"},
         "align_corners to 2.5 elements is read in two ways"),
    ],
)  # fmt: skip
def test_what_is_not_resized_is_refused(attrs: Any, reason: str, tmp_path: Path) -> None:
    constants = {"s": floats(1, 1, 0.5, 0.5), "r": floats(0, 0, 0, 0, 1, 1, 1, 1)}
    proto = model([node("Resize", "x r s", "y", **attrs)], constants, IMAGE, opset=19)
    (problem,) = importers.problems_of(save(proto, tmp_path))
    assert reason in str(problem)


def test_scales_of_quantized_weights_repeat_for_each_phase(tmp_path: Path) -> None:
    """Scales per output channel, axis 1 of a transposed convolution; its integers stay."""
    fracs = (3, 5, 7)
    whole = np.random.default_rng(0).integers(-128, 128, (4, 3, 4, 4)).astype(np.int8)
    constants = {
        "s": np.array(2.0**-4, np.float32), "z": np.array(0, np.int8), "w": whole,
        "k": 2.0 ** -np.array(fracs, np.float32), "n": np.zeros(3, np.int8),
        "t": np.array(2.0**-1, np.float32),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w k n", "v", axis=1),
        node("ConvTranspose", "d v", "h", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("QuantizeLinear", "h t z", "r"), node("DequantizeLinear", "r t z", "y"),
    ]  # fmt: skip
    graph = pipeline.run(importers.load(save(model(nodes, constants, IMAGE), tmp_path)))
    (layer,) = (n for n in graph.nodes if n.op == "conv2d")
    assert given.kept_weights(graph)[layer.inputs[1]] == fracs * 4
    assert given.kept_activations(graph)[layer.output] == ("s8", 1, 0)
