"""decide: when a class begins and ends, of its last scores: mean, hysteresis, refractory time.

Inputs: scores (1, N, C), the last N of each class, and what it wrote the step before, (1, 3):

    wait = max(wait - 1, 0)
    held = 0 if the mean of class held < off
    event = best if held = 0, wait = 0 and the mean of the class best >= on, else 0
    held, wait = event, refractory if event

Classes are counted from 1, 0 is none; best is the first one with the largest mean of those that
are ``counted``. y = (event, held, wait), s16. Integers compare sums of N scores:

    mean >= t  <=>  sum q >= ceil(N (t * 2**frac + zero))

C: mcuq_decide_s16.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.spec import Form, Format, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QGraph, QTensors, frac_of
from mcuq.schema import INT32, Fields, real, several, whole

LONGEST = 32767
"""Steps of a refractory time, and scores of a mean."""

MOST_CLASSES = 4096


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, 3)."""
    return shapes[1]


def decisions(scores: Array, before: Array, on: float, off: float, node: Node) -> Array:
    """(M, C) sums of scores and (M, 3) -> (M, 3) int64: M steps, apart from each other."""
    counted = np.array(node.ints("counted"), bool)
    held, wait = before.astype(np.int64).T[1:]
    rows = np.arange(len(scores))
    wait = np.maximum(wait - 1, 0)
    known = (held >= 1) & (held <= scores.shape[1])
    of_held = scores[rows, np.where(known, held - 1, 0)]
    held = np.where(known & (of_held < off), 0, held)
    masked = np.where(counted, scores, -np.inf)
    best = masked.argmax(axis=1)
    begins = (held == 0) & (wait == 0) & (masked[rows, best] >= on)
    event = np.where(begins, best + 1, 0)
    held, wait = np.where(begins, event, held), np.where(begins, node.int("refractory"), wait)
    found: Array = np.stack([event, held, wait], axis=1)
    return found


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """(M, N, C) and (M, 3) -> (M, 3)."""
    import torch

    scores, before = (each.detach().double().numpy() for each in inputs)
    on, off = (scores.shape[1] * node.float(key) for key in ("on", "off"))
    found = decisions(scores.sum(axis=1), before, on, off, node)
    return torch.from_numpy(found).to(inputs[0].dtype)


def limit(mean: float, count: int, frac: int, zero: int) -> int:
    """The least sum of ``count`` scores whose mean is ``mean`` or more, within 32 bits.

    >>> limit(0.8, 5, 8, -128)
    384
    """
    exact = count * (Fraction(str(mean)) * Fraction(2) ** frac + zero)
    return min(max(math.ceil(exact), -INT32), INT32)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node with limits of sums."""
    x, count = acts[node.inputs[0]], graph.shape(node.inputs[0])[1]
    limits = {key: limit(node.float(key), count, frac_of(x), x.zero) for key in ("on", "off")}
    return IntForm(replace(node, attrs={**node.attrs, **limits}))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(M, N, C) and (M, 3) s16 -> (M, 3) s16."""
    scores, before = inputs
    sums = scores.astype(np.int64).sum(axis=1)
    return decisions(sums, before, node.int("on"), node.int("off"), node).astype(np.int16)


def shapes_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Decide takes (1, N, C) scores, N to 32767 and C to 4096, and (1, 3) of the step before"""
    if len(shapes[0]) != 3 or shapes[1] != (1, 3):
        return False
    _, count, classes = shapes[0]
    return count <= LONGEST and len(node.ints("counted")) == classes <= MOST_CLASSES


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and an end below the beginning."""
    kinds = [qgraph.tensors[name].kind for name in (*node.inputs, node.output)]
    if kinds[0] not in ("s8", "s16") or kinds[1:] != ["s16", "s16"]:
        yield f"its data is {', '.join(kinds)}"
    if node.int("off") > node.int("on"):
        yield "off is above on"


_SAME: Fields = {
    "refractory": whole(0, LONGEST),
    "counted": several(whole(0, 1), 1, MOST_CLASSES),
}
OP = OpSpec(
    "decide",
    (),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(shapes_fit,),
    note="a mean of scores, hysteresis and a refractory time",
    classifies=True,
    output=Format("s16", 0, 0),
    runs_s16=True,
    schema=Schema(
        Form({"on": real(), "off": real(), **_SAME}, (2, 2)),
        Form({"on": whole(), "off": whole(), **_SAME}, (2, 2)),
        faults,
    ),
)
