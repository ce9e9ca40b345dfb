"""biquad: recursive filters of second order, one behind the other, along samples of 16 bits.

Input: samples (1, S) or (1, S, C), s16; output the filtered samples, s16 as well. ``sections`` are
b0, b1, b2, a1, a2 of each, in integers times 2**29. Between the sections samples have 12 more bits
behind the point, v = x * 2**12, and so have two numbers u, w that a section keeps for each channel:

    y = sat32((b0 v + u * 2**29 + 2**28) >> 29)
    u = sat32((b1 v - a1 y + w * 2**29 + 2**28) >> 29)
    w = sat32((b2 v - a2 y + 2**28) >> 29)                                 all in 64 bits
    x = sat16((y + 2**11) >> 12)                                           behind the last one

|b| < 4 and |a1| < 2, |a2| < 1: |b1 v - a1 y + w * 2**29| < 2**62 + 2**61 + 2**60 + 2**28.

With one input the filters begin at rest. In a stream they go on: the second input (1, 4 B) or
(1, 4 B, C) holds u and w of B sections, low and high halves, and lies, as it is after the last
sample, in front of the output's samples: (1, 4 B + S) or (1, 4 B + S, C).

C: mcuq_biquad_s16.c, mcuq_biquad_s16_kept.c
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcuq.fixed import RANGES, IntArray, half, saturate
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.spec import Along, Form, Format, IntForm, OpSpec, Schema, TorchTensor
from mcuq.qir import QGraph, QTensors
from mcuq.schema import INT32, real, several, whole

FRAC = 29
"""Of the coefficients."""

INNER = 12
"""Bits behind the point of samples between the sections, and of what a section keeps."""

COEFFICIENTS, MOST_SECTIONS, KEPT = 5, 8, 4

_Filter = Callable[[Array, Array, Array], tuple[Array, Array]]
"""Samples (N, S, C), kept (N, B, 2, C), sections (B, 5) -> filtered samples, kept."""


def kept_shape(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, 4 B) or (1, 4 B, C)."""
    return (1, KEPT * _count(node), *shapes[0][2:])


def _count(node: Node) -> int:
    return len(node.attrs["sections"]) // COEFFICIENTS


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's, with what is kept in front in a stream."""
    before = shapes[1][1] if len(shapes) > 1 else 0
    return (1, before + shapes[0][1], *shapes[0][2:])


def shapes_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Biquads take (1, S) or (1, S, C) samples, five numbers a section, of 8 at most"""
    whole_sections = len(node.attrs["sections"]) % COEFFICIENTS == 0
    kept = len(shapes) < 2 or shapes[1] == kept_shape(node, shapes)
    return len(shapes[0]) in (2, 3) and whole_sections and kept


def _run(node: Node, inputs: Sequence[Array], run: _Filter, dtype: type) -> Array:
    """The output from (N, S[, C]) samples and, in a stream, (N, 4 B[, C]) halves."""
    x = inputs[0].reshape(*inputs[0].shape[:2], -1)
    sections = np.array(node.attrs["sections"]).reshape(-1, COEFFICIENTS)
    kept = np.zeros((len(x), len(sections), 2, x.shape[2]), np.int64)
    if len(inputs) > 1:
        kept = _joined(inputs[1].reshape(len(x), len(sections), 2, 2, -1))
    y, kept = run(x, kept, sections)
    if len(inputs) > 1:
        y = np.concatenate([_halves(kept).reshape(len(x), -1, x.shape[2]), y], axis=1)
    return y.reshape(*y.shape[:2], *inputs[0].shape[2:]).astype(dtype)


def _joined(halves: Array) -> IntArray:
    """(N, B, 2, 2, C), low halves first -> (N, B, 2, C) int64."""
    low, high = (halves[:, :, :, i].astype(np.int64) for i in (0, 1))
    return (high << 16) + (low & 0xFFFF)


def _halves(kept: Array) -> IntArray:
    """(N, B, 2, C) -> (N, B, 2, 2, C): each half as it is in 16 bits with a sign."""
    whole = kept.astype(np.int64)
    low = ((whole & 0xFFFF) ^ 0x8000) - 0x8000
    return np.stack([low, whole >> 16], axis=3)


def _filtered(x: Array, kept: Array, sections: Array) -> tuple[Array, Array]:
    """In float64; what is kept is rounded at the ends alone."""
    state, found = kept / 2.0**INNER, np.empty(x.shape, np.float64)
    for t in range(x.shape[1]):
        v = x[:, t].astype(np.float64)
        for k, (b0, b1, b2, a1, a2) in enumerate(sections):
            y = b0 * v + state[:, k, 0]
            state[:, k, 0] = b1 * v - a1 * y + state[:, k, 1]
            state[:, k, 1] = b2 * v - a2 * y
            v = y
        found[:, t] = v
    return found, np.clip(np.round(state * 2.0**INNER), *RANGES["s32"])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """(N, S) or (N, S, C) -> the same; what a stream keeps is in the same halves as in integers."""
    import torch

    given = [each.detach().double().numpy() for each in inputs]
    return torch.from_numpy(_run(node, given, _filtered, np.float64)).to(inputs[0].dtype)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node with coefficients in integers."""
    sections = tuple(coefficient(float(value)) for value in node.attrs["sections"])
    return IntForm(replace(node, attrs={"sections": sections}))


def coefficient(value: float) -> int:
    """The integer of a coefficient.

    >>> coefficient(-1.5), coefficient(3.9999999999)
    (-805306368, 2147483647)
    """
    return min(max(round(value * 2.0**FRAC), -INT32), INT32)


def _sat(values: Array) -> IntArray:
    found: IntArray = np.clip((values + half(FRAC)) >> FRAC, *RANGES["s32"])
    return found


def _whole_filtered(x: Array, kept: Array, sections: Array) -> tuple[Array, Array]:
    state, found = kept.copy(), np.empty(x.shape, np.int64)
    for t in range(x.shape[1]):
        v = x[:, t].astype(np.int64) << INNER
        for k, (b0, b1, b2, a1, a2) in enumerate(sections):
            y = _sat(b0 * v + (state[:, k, 0] << FRAC))
            state[:, k, 0] = _sat(b1 * v - a1 * y + (state[:, k, 1] << FRAC))
            state[:, k, 1] = _sat(b2 * v - a2 * y)
            v = y
        found[:, t] = saturate((v + half(INNER)) >> INNER, "s16")
    return found, state


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(N, S) or (N, S, C) s16, and in a stream what is kept -> s16."""
    return _run(node, inputs, _whole_filtered, np.int16)


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Each sample is made of the same one, and of what is kept of those before."""
    return Along(1, lambda count: node) if axis == 1 else "it joins all channels"


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """Five of each section and sample."""
    return len(node.attrs["sections"]) * int(np.prod(shapes[0]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and coefficients beyond which sums do not fit 64 bits."""
    kinds = {qgraph.tensors[name].kind for name in (*node.inputs, node.output)}
    if kinds != {"s16"}:
        yield f"its data is {', '.join(sorted(kinds))}"
    a = np.array(node.ints("sections"), np.int64).reshape(-1, COEFFICIENTS)[:, 3:]
    if (np.abs(a) > np.array([2, 1]) << FRAC).any():
        yield "it is not stable"


OP = OpSpec(
    "biquad",
    (),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(shapes_fit,),
    macs=macs,
    note="recursive filters of samples",
    runs_s16=True,
    output=Format("s16", 0, 0),
    along=along,
    keeps=kept_shape,
    schema=Schema(
        Form({"sections": several(real(), COEFFICIENTS, COEFFICIENTS * MOST_SECTIONS)}, (1, 2)),
        Form({"sections": several(whole(), COEFFICIENTS, COEFFICIENTS * MOST_SECTIONS)}, (1, 2)),
        faults,
    ),
)
