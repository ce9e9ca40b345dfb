"""Boxes that are chosen behind a detector: ``[output.NAME.nms]``, and models that end so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_models import model, node, random, save

import mcuq
from mcuq import exporters, importers
from mcuq.config import Config, parse
from mcuq.errors import McuqError
from mcuq.flows.made_up import made_up
from mcuq.ir import from_memory
from mcuq.model import bundle
from mcuq.passes import pipeline
from mcuq.reference import feeds_to_int, port_to_real, run_int
from mcuq.stream.suppress import suppressed

BOXES, CLASSES = 20, 3
TABLE = {"boxes": "boxes", "iou": 0.4, "score": 0.55, "most": 4}
NUMBERS = {
    "w": random(12, 4 * BOXES, low=-0.5, high=0.5), "v": random(12, CLASSES * BOXES),
    "b": np.array([1, BOXES, 4]), "s": np.array([1, CLASSES, BOXES]),
    "m": np.array([4]), "i": np.array([0.4], np.float32), "t": np.array([0.55], np.float32),
}  # fmt: skip
HEAD = [
    node("MatMul", "x w", "c"), node("Reshape", "c b", "boxes"),
    node("MatMul", "x v", "l"), node("Sigmoid", "l", "p"), node("Reshape", "p s", "scores"),
]  # fmt: skip
CHOICE = node("NonMaxSuppression", "boxes scores m i t", "kept")


def detector(folder: Path, *behind: Any, outputs: str = "boxes scores", **numbers: Any) -> Path:
    proto = model([*HEAD, *behind], {**NUMBERS, **numbers}, {"x": (1, 12)}, outputs)
    for info in proto.graph.output:
        if info.name == "kept":
            info.type.tensor_type.elem_type = onnx.TensorProto.INT64
    return save(proto, folder, "find.onnx")


def rows(count: int = 40) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, 12)).astype(np.float32)


def compiled(path: Path, nms: Any = None, **options: Any) -> mcuq.Model:
    tables = {} if nms is None else {"output": {"scores": {"nms": nms}}}
    config = parse(tables, "a.toml")
    return mcuq.compile(path, None, rows(), config=config, effort="fast", **options)


def chosen_by_onnx(boxes: Any, scores: Any, center: int = 0) -> np.ndarray:
    """What ONNX's evaluator chooses, filled up with -1."""
    proto = model(
        [node("NonMaxSuppression", "boxes scores m i t", "y", center_point_box=center)],
        {key: NUMBERS[key] for key in "mit"}, {"boxes": boxes.shape, "scores": scores.shape},
    )  # fmt: skip
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    feeds = {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}
    (found,) = ReferenceEvaluator(proto).run(None, feeds)
    whole = np.full((4 * CLASSES, 3), -1)
    whole[: len(found)] = found
    return whole


def results(made: mcuq.Model) -> dict[str, np.ndarray]:
    """The outputs for many rows, as reals."""
    graph = made.compiled.program.qgraph
    found = run_int(graph, feeds_to_int(graph, {"x": rows(200)}))
    return {p.name: from_memory(p, port_to_real(p, found[p.tensor])) for p in graph.outputs}


@pytest.mark.parametrize(("center", "bits"), [(0, 8), (1, 16)])
def test_a_model_that_ends_so_chooses_as_onnx_among_its_integers(
    center: int, bits: int, tmp_path: Path
) -> None:
    choice = node("NonMaxSuppression", "boxes scores m i t", "kept", center_point_box=center)
    made = compiled(detector(tmp_path, choice, outputs="kept"), bits=bits)
    found = results(made)
    assert list(found) == ["boxes", "scores", "kept"]
    counts = set()
    for boxes, scores, kept in zip(*found.values(), strict=True):
        np.testing.assert_array_equal(kept, chosen_by_onnx(boxes[None], scores[None], center))
        counts.add(int((kept[:, 1] >= 0).sum()))
    assert len(counts) > 2
    (advice,) = (line for line in made.compiled.advice if "kept" in line)
    assert advice == (
        "output 'kept' chooses among the boxes 'boxes' by their scores 'scores': these are "
        "outputs, too"
    )


def test_a_table_says_the_same(tmp_path: Path) -> None:
    ended = results(compiled(detector(tmp_path, CHOICE, outputs="kept")))
    told = results(compiled(detector(tmp_path), TABLE))
    np.testing.assert_array_equal(told["scores_selected"], ended["kept"])


def test_boxes_that_lie_as_columns(tmp_path: Path) -> None:
    wanted = results(compiled(detector(tmp_path), TABLE))["scores_selected"]
    turned = node("Transpose", "boxes", "columns", perm=[0, 2, 1])
    path = detector(tmp_path, turned, outputs="columns scores")
    found = results(compiled(path, {**TABLE, "boxes": "columns"}))
    np.testing.assert_array_equal(found["scores_selected"], wanted)


def test_boxes_of_anchors_are_laid_out_in_a_copy(tmp_path: Path) -> None:
    """Their places in memory are no rows of one step."""
    numbers = {
        "n": np.array([48, 32]), "e": np.array([1, 6, 2, 4]), "f": np.array([1, 4, 2, 4]),
        "g": np.array([1, 12, 4]), "h": np.array([1, 8, 4]),
    }  # fmt: skip
    maps = [
        node("Split", "c n", "j k", axis=1), node("Reshape", "j e", "l1"),
        node("Reshape", "k f", "l2"), node("Transpose", "l1", "m1", perm=[0, 2, 1, 3]),
        node("Transpose", "l2", "m2", perm=[0, 2, 1, 3]), node("Reshape", "m1 g", "n1"),
        node("Reshape", "m2 h", "n2"), node("Concat", "n1 n2", "apart", axis=1),
    ]  # fmt: skip
    path = detector(tmp_path, *maps, outputs="apart scores", **numbers)
    made = compiled(path, {**TABLE, "boxes": "apart"})
    qgraph = made.compiled.program.qgraph
    assert "copy" in [qgraph.nodes[-2].op]
    for boxes, scores, kept in zip(*results(made).values(), strict=True):
        np.testing.assert_array_equal(kept, chosen_by_onnx(boxes[None], scores[None]))


@pytest.mark.emulated
def test_every_core_chooses_the_same(tmp_path: Path) -> None:
    made = compiled(detector(tmp_path, CHOICE, outputs="kept"))
    cores = ["cortex-m0", "cortex-m4", "cortex-m55", "rv32imc"]
    assert [verdict.exact for verdict in made.check(cores, vectors=4)] == [True] * 5


def test_a_model_that_is_written_again_ends_so(tmp_path: Path) -> None:
    graph = importers.load(detector(tmp_path, CHOICE, outputs="kept"))
    path = exporters.save(pipeline.run(graph), tmp_path / "again.onnx")
    assert importers.load(path).behind == graph.behind
    feeds = {"x": rows(1)}
    wanted = ReferenceEvaluator(str(tmp_path / "find.onnx")).run(None, feeds)
    found = ReferenceEvaluator(str(path)).run(["kept"], feeds)
    np.testing.assert_array_equal(found[0], wanted[0])


def test_what_it_takes_is_estimated(tmp_path: Path) -> None:
    plain = made_up(pipeline.run(importers.load(detector(tmp_path))), Config())
    path = detector(tmp_path, CHOICE, outputs="kept")
    ended = made_up(pipeline.run(importers.load(path)), Config())
    assert [n.op for n in ended.nodes] == [*(n.op for n in plain.nodes), "nms"]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    made = compiled(detector(tmp_path), TABLE)
    made.write(tmp_path / "out")
    assert bundle.dump(bundle.load(tmp_path / "out")) == bundle.dump(made.compiled.bundle)
    assert "#define FIND_OUT_SCORES_SELECTED_LEN 36" in made.files["find.h"]
    assert made.evaluate(rows()).sqnr_db > 20


def test_no_box_overlaps_and_equal_scores_come_in_order(tmp_path: Path) -> None:
    graph = importers.load(detector(tmp_path, CHOICE, outputs="kept"))
    (wanted,) = graph.behind
    made = suppressed(graph, [wanted])
    assert made.behind == ()
    node_of = made.nodes[-1]
    run = mcuq.ops.float_of(node_of)
    import torch

    boxes = torch.zeros(1, BOXES, 4)  # no area: nothing overlaps
    scores = torch.full((1, CLASSES, BOXES), 0.75)
    found = run(node_of, [boxes, scores])[0].numpy()
    assert found.tolist() == [[0, c, b] for c in range(CLASSES) for b in range(4)]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"iou": 0.5, "most": 3}, "output.scores.nms: does not say boxes. Name the output"),
        ({**TABLE, "iou": 1.5}, "iou is 1.5, not a number in 0..1"),
        ({**TABLE, "score": "high"}, "score is 'high', not a number"),
        ({**TABLE, "most": 0}, "most is 0, not an integer in 1..32767"),
        ({**TABLE, "boxes": "box"}, "has no output 'box'. Did you mean 'boxes'"),
        ({**TABLE, "boxes": "scores"}, "no axis of its shape (1, 3, 20) is said that holds four"),
        ({**TABLE, "overlap": 0.5}, "unknown key overlap"),
        ("all", "output.scores.nms: is not a table"),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_a_line(table: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError) as caught:
        compiled(detector(tmp_path), table)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


MIDDLE: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "behind it more is computed": (
        [CHOICE, node("Gather", "boxes kept", "y")], "y", {},
        "NonMaxSuppression within the network (read by 'Gather:y'). Let the network end",
    ),
    "no box": ([node("NonMaxSuppression", "boxes scores", "kept")], "kept", {},
               "NonMaxSuppression of 0 boxes"),
    "a computed limit": (
        [node("ReduceMax", "scores", "h", keepdims=0), node("Unsqueeze", "h a", "g"),
         node("NonMaxSuppression", "boxes scores m g", "kept")], "kept", {"a": np.array([0])},
        "a limit of NonMaxSuppression is computed",
    ),
    "no overlap": ([CHOICE], "kept", {"i": np.array([np.nan], np.float32)}, "is no number"),
    "other boxes": (
        [node("Reshape", "c e", "few"), node("NonMaxSuppression", "few scores m", "kept")],
        "kept", {"e": np.array([1, 10, 8])}, "boxes of shape (1, 10, 8) and scores of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIDDLE)
def test_models_that_do_not_end_so_are_refused(name: str, tmp_path: Path) -> None:
    behind, outputs, numbers, text = MIDDLE[name]
    problems = importers.problems_of(detector(tmp_path, *behind, outputs=outputs, **numbers))
    assert text in str(problems[0])
    assert "\n" not in str(problems[0])
