"""Outputs that join values of very different size, such as coordinates and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from mcuq.config import Config, parse
from mcuq.ir import from_memory
from mcuq.reference import feeds_to_int, outputs_of, port_to_real, run_int

CONSTANTS = {
    "w": random(4, 3, 1, 1), "v": random(3, 3, 1, 1) * 4, "f": np.float32(640.0),
    "a": np.array([1, 4, -1]), "b": np.array([1, 3, -1]), "c": np.array([-1.0], np.float32),
}  # fmt: skip
BOXES = [node("Conv", "x w", "l"), node("Sigmoid", "l", "u"), node("Mul", "u f", "boxes")]
SCORES = [node("Conv", "x v", "m"), node("Add", "m c", "n"), node("Sigmoid", "n", "scores")]
FLAT = [node("Reshape", "boxes a", "flat_boxes"), node("Reshape", "scores b", "flat_scores")]
IMAGE = {"x": (1, 3, 6, 6)}
JOINED = [*BOXES, *SCORES, *FLAT, node("Concat", "flat_boxes flat_scores", "y", axis=1)]
LINE = "output 'y' joins values of very different size"


def rows(count: int = 24) -> np.ndarray:
    return np.random.default_rng(6).normal(size=(count, 3, 6, 6)).astype(np.float32)


def compiled(folder: Path, nodes: Any, config: Config | None = None, **options: Any) -> mcuq.Model:
    path = save(model(nodes, CONSTANTS, IMAGE), folder, "find.onnx")
    return mcuq.compile(path, None, rows(), config=config, effort="fast", **options)


def decibels(made: mcuq.Model, axis: int) -> np.ndarray:
    """The SQNR of the output along an axis, in the model's own shape."""
    graph, qgraph = made.compiled.bundle.graph, made.compiled.bundle.qgraph
    feeds = {"x": rows().transpose(0, 2, 3, 1)}
    (exact,) = (from_memory(p, outputs_of(graph, feeds)[p.name]) for p in graph.outputs)
    (port,) = qgraph.outputs
    found = run_int(qgraph, feeds_to_int(qgraph, feeds))[port.tensor]
    values = from_memory(port, port_to_real(port, found))
    rest = tuple(a for a in range(exact.ndim) if a != axis)
    noise = ((values - exact) ** 2).mean(axis=rest)
    return np.asarray(10 * np.log10((exact**2).mean(axis=rest) / noise))


def told(made: mcuq.Model) -> list[str]:
    return [line for line in made.compiled.advice if LINE in line]


def test_coordinates_and_scores_have_scales_of_their_own(tmp_path: Path) -> None:
    made = compiled(tmp_path, JOINED)
    (port,) = made.compiled.bundle.qgraph.outputs
    assert (port.kind, len(set(port.scale[:4])), len(set(port.scale[4:]))) == ("s8", 1, 1)
    assert port.scale[0] / port.scale[6] == 512.0
    assert decibels(made, 1).min() > 30.0
    assert told(made) == [
        f"{LINE}: its parts have scales of their own, one per channel ([quantize] bits = "
        '{ "y" = 8 } in --config keeps one scale of 8 bits)'
    ]
    assert "#define FIND_OUT_Y_SCALES {" in made.files["find.h"]
    assert all(verdict.exact for verdict in made.check([], vectors=6))


def test_one_scale_is_kept_where_bits_are_said(tmp_path: Path) -> None:
    """Then the scores are lost, as a line has always said."""
    made = compiled(tmp_path, JOINED, Config(quantize={"bits": {"y": 8}}))
    assert len(made.compiled.bundle.qgraph.outputs[0].scale) == 1
    assert told(made) == []
    assert decibels(made, 1)[4:].max() < 15.0


def test_scores_of_several_sizes_of_boxes(tmp_path: Path) -> None:
    """Joined along the channels, and then one behind the other."""
    apart = [
        node("Slice", "flat_boxes s0 s1 ax", "b1"), node("Slice", "flat_boxes s1 s2 ax", "b2"),
        node("Slice", "flat_scores s0 s1 ax", "c1"), node("Slice", "flat_scores s1 s2 ax", "c2"),
        node("Relu", "b1", "b3"), node("Relu", "c1", "c3"), node("Relu", "b2", "b4"),
        node("Relu", "c2", "c4"), node("Concat", "b3 c3", "h1", axis=1),
        node("Concat", "b4 c4", "h2", axis=1), node("Concat", "h1 h2", "y", axis=2),
    ]  # fmt: skip
    ends = {"s0": np.array([0]), "s1": np.array([20]), "s2": np.array([36]), "ax": np.array([2])}
    nodes = [*BOXES, *SCORES, *FLAT, *apart]
    path = save(model(nodes, {**CONSTANTS, **ends}, IMAGE), tmp_path, "find.onnx")
    made = mcuq.compile(path, None, rows(), effort="fast")
    assert len(told(made)) == 1
    assert decibels(made, 1).min() > 30.0


def test_parts_that_lie_one_behind_the_other_have_16_bits(tmp_path: Path) -> None:
    behind = [
        node("Flatten", "boxes", "p"), node("Flatten", "scores", "q"),
        node("Reshape", "p e", "r"), node("Reshape", "q g", "t"),
        node("Concat", "r t", "y", axis=1),
    ]  # fmt: skip
    shapes = {"e": np.array([1, 36, 4]), "g": np.array([1, 27, 4])}
    path = save(model([*BOXES, *SCORES, *behind], {**CONSTANTS, **shapes}, IMAGE), tmp_path)
    made = mcuq.compile(path, None, rows(), effort="fast")
    (port,) = made.compiled.bundle.qgraph.outputs
    assert (port.kind, len(port.scale)) == ("s16", 1)
    assert told(made) == [
        f'{LINE}: it has 16 bits ([quantize] bits = {{ "y" = 8 }} in --config keeps one scale of '
        "8 bits)"
    ]
    assert decibels(made, 1)[36:].min() > 15.0


def test_parts_of_one_size_have_one_scale(tmp_path: Path) -> None:
    made = compiled(tmp_path, [*SCORES, *BOXES, node("Concat", "u scores", "y", axis=1)])
    assert len(made.compiled.bundle.qgraph.outputs[0].scale) == 1
    assert told(made) == []


def test_boxes_are_chosen_within_one_output(tmp_path: Path) -> None:
    """By their own scale, and as with two outputs."""
    table = {"iou": 0.4, "score": 0.3, "most": 5, "center": True}
    one = parse({"output": {"y": {"nms": {**table, "boxes": "y", "joined": 1}}}}, "a.toml")
    made = compiled(tmp_path, JOINED, one)
    qgraph = made.compiled.bundle.qgraph
    port, kept = qgraph.outputs
    found = run_int(qgraph, feeds_to_int(qgraph, {"x": rows().transpose(0, 2, 3, 1)}))
    values = from_memory(port, port_to_real(port, found[port.tensor]))
    first = found[kept.tensor][:, 0]
    best = values[:, 4].argmax(axis=1)
    seen = values[:, 4].max(axis=1) > 0.3
    np.testing.assert_array_equal(first[seen, 2], best[seen])
    assert seen.any()
    assert (first[seen, 1] == 0).all()
    assert all(verdict.exact for verdict in made.check([], vectors=6))


@pytest.mark.parametrize(
    ("more", "text"),
    [({}, "no axis of its shape (1, 7, 36) is said"), ({"joined": 3}, "no axis of its shape")],
)
def test_an_output_with_both_says_which_axis(more: Any, text: str, tmp_path: Path) -> None:
    table = {"boxes": "y", "iou": 0.4, "most": 5, **more}
    with pytest.raises(mcuq.McuqError) as caught:
        compiled(tmp_path, JOINED, parse({"output": {"y": {"nms": table}}}, "a.toml"))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_a_maximum_joins_nothing_side_by_side(op: str, tmp_path: Path) -> None:
    """Its operands have one scale, as those of a concat have, but lie in one place."""
    made = compiled(tmp_path, [*BOXES, node(op, "boxes l", "y")])
    assert told(made) == []
    assert decibels(made, 1).min() > 20.0


def test_parts_of_five_axes(tmp_path: Path) -> None:
    """As YOLO joins the boxes and scores of each anchor, seen as one list of them at last."""
    five = {"five": np.array([1, 1, 4, 6, 6]), "three": np.array([1, 1, 3, 6, 6])}
    list_of = {"list": np.array([1, -1, 7])}
    nodes = [
        *BOXES, *SCORES, node("Reshape", "boxes five", "b5"), node("Reshape", "scores three", "s5"),
        node("Transpose", "b5", "bt", perm=[0, 1, 3, 4, 2]),
        node("Transpose", "s5", "st", perm=[0, 1, 3, 4, 2]),
        node("Concat", "bt st", "j", axis=4), node("Reshape", "j list", "y"),
    ]  # fmt: skip
    path = save(model(nodes, {**CONSTANTS, **five, **list_of}, IMAGE), tmp_path)
    made = mcuq.compile(path, None, rows(), effort="fast")
    assert len(told(made)) == 1
    assert decibels(made, 2).min() > 28.0
