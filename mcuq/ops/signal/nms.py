"""nms: which boxes are left of those that overlap, class by class, as ONNX's NonMaxSuppression.

Inputs: boxes and scores, any shape. Box b's number c lies at ``start + b * step + c * apart`` of
``box_places``, its score of a class likewise in ``score_places``. Of each class the ``most`` best
scores, falling, the first of equal ones first, of those above ``score`` whose box overlaps none of
the class before it by more than ``iou``:

    overlap * 2**24 > iou * (area + other area - overlap),  iou = ceil(iou * 2**24)

in the integers of the boxes, or of twice these where a box is its centre and size. y = (1, classes
* most, 3), s16: rows (0, class, box) without gaps, then rows of -1.

C: mcuq_nms_s16.c
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.spec import Form, Format, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import INT32, Fields, flag, real, several, whole

MOST_BOXES = 32767
MOST_ROWS = 32767
"""Of the output."""
ONE = 24
"""Bits of the fraction of ``iou`` in integers."""
Overlaps = Callable[[Array, Array, Array], Array]
"""(overlap, area, other areas) -> whether it is too much."""


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, classes * most, 3)."""
    return (1, node.int("classes") * node.int("most"), 3)


def picked(values: Array, places: Sequence[int], rows: int, columns: int) -> Array:
    """(M, ...) -> (M, rows, columns), of what lies at ``places``."""
    start, step, apart = places
    index = start + np.arange(rows)[:, None] * step + np.arange(columns) * apart
    found: Array = values.reshape(len(values), -1)[:, index]
    return found


def corners(boxes: Array, center: bool) -> tuple[Array, Array, Array, Array]:
    """(..., 4) -> the least and largest of both axes; where ``center``, of twice the numbers."""
    a, b, c, d = np.moveaxis(boxes, -1, 0)
    if center:
        return 2 * a - c, 2 * a + c, 2 * b - d, 2 * b + d
    return np.minimum(a, c), np.maximum(a, c), np.minimum(b, d), np.maximum(b, d)


def chosen(boxes: Array, scores: Array, least: float, node: Node, too_much: Overlaps) -> Array:
    """(B, 4) without their zero and (B, classes), of which ``least`` counts -> (rows, 3) int16."""
    most = node.int("most")
    found = np.full((scores.shape[1] * most, 3), -1, np.int16)
    sides = np.stack(corners(boxes, bool(node.attrs["center"])))
    row = 0
    for number, column in enumerate(scores.T):
        left = np.flatnonzero(column >= least)
        left = left[np.argsort(-column[left], kind="stable")]
        for _ in range(most):
            if not left.size:
                break
            found[row] = 0, number, left[0]
            row += 1
            left = left[1:][~_suppressed(sides[:, left[0], None], sides[:, left[1:]], too_much)]
    return found


def _suppressed(best: Array, others: Array, too_much: Overlaps) -> Array:
    """(4, 1) and (4, n) sides -> (n,): whether a box overlaps the best by too much."""
    width = np.minimum(best[1], others[1]) - np.maximum(best[0], others[0])
    height = np.minimum(best[3], others[3]) - np.maximum(best[2], others[2])
    area, areas = ((s[1] - s[0]) * (s[3] - s[2]) for s in (best, others))
    meet = (width > 0) & (height > 0) & (area > 0) & (areas > 0)
    found: Array = meet & too_much(width * height, area, areas)
    return found


def _parts(node: Node, inputs: Sequence[Array]) -> tuple[Array, Array]:
    count, classes = node.int("boxes"), node.int("classes")
    boxes = picked(inputs[0], node.ints("box_places"), count, 4)
    return boxes, picked(inputs[1], node.ints("score_places"), count, classes)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """(M, ...) twice -> (M, rows, 3)."""
    import torch

    limit = node.float("iou")

    def too_much(overlap: Array, area: Array, areas: Array) -> Array:
        found: Array = overlap > limit * (area + areas - overlap)
        return found

    boxes, scores = _parts(node, [each.detach().double().numpy() for each in inputs])
    least = float(np.nextafter(node.float("score"), math.inf))
    rows = [chosen(b, s, least, node, too_much) for b, s in zip(boxes, scores, strict=True)]
    return torch.from_numpy(np.stack(rows)).to(inputs[0].dtype)


def limit(score: float, step: float, zero: int) -> int:
    """The least integer whose real is above ``score``, within 32 bits.

    >>> limit(0.5, 2.0**-8, -128), limit(0.501, 2.0**-8, -128)
    (1, 1)
    """
    if math.isinf(score):
        return -INT32
    exact = math.floor(Fraction(str(score)) / Fraction(step)) + zero + 1
    return min(max(exact, -INT32), INT32)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node with its limits in integers."""
    boxes, scores = (acts[name] for name in node.inputs)
    return IntForm(in_integers(node, boxes, scores, 2.0 ** -frac_of(scores)))


def in_integers(node: Node, boxes: QTensor, scores: QTensor, step: float) -> Node:
    """``node`` for the numbers of these tensors, where a ``step`` of a score is so much."""
    least = limit(node.float("score"), step, scores.zero)
    iou = math.ceil(Fraction(str(node.float("iou"))) * 2**ONE)
    return replace(node, attrs={**node.attrs, "iou": iou, "score": least, "zero": boxes.zero})


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(M, ...) s8 or s16 twice -> (M, rows, 3) s16."""
    times = node.int("iou")

    def too_much(overlap: Array, area: Array, areas: Array) -> Array:
        found: Array = (overlap << ONE) > times * (area + areas - overlap)
        return found

    boxes, scores = (part.astype(np.int64) for part in _parts(node, inputs))
    boxes = boxes - node.int("zero")
    least = node.int("score")
    rows = [chosen(b, s, least, node, too_much) for b, s in zip(boxes, scores, strict=True)]
    return np.stack(rows)


def places_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """NonMaxSuppression takes up to 32767 boxes and gives up to 32767 rows, all inside its data"""
    count, classes = node.int("boxes"), node.int("classes")
    for key, columns, shape in (("box_places", 4, shapes[0]), ("score_places", classes, shapes[1])):
        start, step, apart = node.ints(key)
        if start + (count - 1) * step + (columns - 1) * apart >= math.prod(shape):
            return False
    return count <= MOST_BOXES and classes * node.int("most") <= MOST_ROWS


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and the zero of its boxes."""
    boxes, scores, made = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    if not {boxes.kind, scores.kind} <= {"s8", "s16"} or made.kind != "s16":
        yield f"its data is {boxes.kind}, {scores.kind} and {made.kind}"
    if node.int("zero") != boxes.zero:
        yield "its zero is not that of its boxes"


_PLACES = several(whole(0, INT32), 3, 3)
_SAME: Fields = {
    "boxes": whole(1, MOST_BOXES),
    "classes": whole(1, MOST_ROWS),
    "most": whole(1, MOST_ROWS),
    "center": flag,
    "box_places": _PLACES,
    "score_places": _PLACES,
}
OP = OpSpec(
    "nms",
    ("NonMaxSuppression",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(places_fit,),
    note="behind the network, on its boxes and scores",
    classifies=True,
    output=Format("s16", 0, 0),
    runs_s16=True,
    schema=Schema(
        Form({"iou": real(0.0, 1.0), "score": real(-math.inf, math.inf), **_SAME}, (2, 2)),
        Form({"iou": whole(0, 1 << ONE), "score": whole(), "zero": whole(), **_SAME}, (2, 2)),
        faults,
    ),
)
