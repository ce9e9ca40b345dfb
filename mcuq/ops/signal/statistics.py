"""statistics: what a few numbers say of windows of samples: mean, rms, min, max, zero crossings.

Input: samples (1, S) or (1, S, C), s16. Window t begins at ``start + t * hop`` and has ``frame``
samples; y (1, frames, K * C) has the statistics ``kinds`` one after the other, each of all C
channels, in reals of samples times ``gain``; crossings are their share of the frame - 1 steps. Of
the samples x of a channel in a window, n of them:

    mean        sum x                                    rms   isqrt((sum x**2 << 8) // n)
    min, max    the least and the largest x              crossings   how often x >= 0 changes
    y = clamp(((value * mult + half) >> shift) + zero, out_min, out_max)       in 64 bits

C: mcuq_statistics_s16.c, mcuq_statistics_s16_s8.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import DTYPES, RANGES, IntArray, half
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.parts.windows import SIZE_MAX
from mcuq.ops.spec import Along, Form, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensors, frac_of
from mcuq.schema import Fields, choice, real, several, whole

KINDS = ("mean", "rms", "min", "max", "crossings")
LONGEST = 65535
_ROOT_BITS = 4
_SHIFT_MAX = 46


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, frames, K * C)."""
    return (1, node.int("frames"), len(node.attrs["kinds"]) * channels(shapes[0]))


def channels(shape: Shape) -> int:
    """C of (1, S) or (1, S, C)."""
    return math.prod(shape[2:])


def windows_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Statistics take (1, S) or (1, S, C) samples, and windows that lie within them"""
    last = node.int("start") + (node.int("frames") - 1) * node.int("hop") + node.int("frame")
    return len(shapes[0]) in (2, 3) and last <= shapes[0][1]


def _places(node: Node) -> IntArray:
    """(frames, frame): the samples of each window."""
    starts = node.int("start") + node.int("hop") * np.arange(node.int("frames"))
    found: IntArray = starts[:, None] + np.arange(node.int("frame"))
    return found


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """(N, S) or (N, S, C) -> (N, frames, K * C)."""
    import torch

    x = inputs[0].reshape(len(inputs[0]), inputs[0].shape[1], -1)
    w = x[:, torch.from_numpy(_places(node))]
    gain, positive = node.float("gain"), (w >= 0).to(x.dtype)
    changes = (positive[:, :, 1:] - positive[:, :, :-1]).abs()
    found = {
        "mean": w.mean(2) * gain,
        "rms": (w**2).mean(2).sqrt() * gain,
        "min": w.amin(2) * gain,
        "max": w.amax(2) * gain,
        "crossings": changes.mean(2),
    }
    return torch.cat([found[kind] for kind in node.attrs["kinds"]], dim=-1)


def _unit(node: Node, kind: str) -> float:
    """The real that one step of the integer statistic is."""
    if kind == "crossings":
        return 1.0 / (node.int("frame") - 1)
    parts = {"mean": node.int("frame"), "rms": 1 << _ROOT_BITS}
    return node.float("gain") / parts.get(kind, 1)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The node with a factor and a shift for each statistic."""
    x, y = acts[node.inputs[0]], acts[node.output]
    steps = 2.0 ** frac_of(y)
    whole_units = {"crossings": 1.0}
    factors = [
        _unit(node, kind) * steps * whole_units.get(kind, 2.0 ** -frac_of(x))
        for kind in node.attrs["kinds"]
    ]
    found = [_factor(factor) for factor in factors]
    if any(shift < 0 for _, shift in found):
        reason = f"node '{node.name}': its statistics are too large for their format"
        raise ModelError(graph.name, reason, "Scale the samples down")
    low, high = RANGES[y.kind]
    attrs = {key: node.attrs[key] for key in _PLACES} | {
        "mult": tuple(mult for mult, _ in found),
        "shift": tuple(shift for _, shift in found),
        "zero": y.zero,
        "out_min": low,
        "out_max": high,
    }
    return IntForm(Node(node.op, node.name, node.inputs, node.outputs, attrs))


def _factor(value: float) -> tuple[int, int]:
    """The integer of 15 bits, and the shift, that stand for a factor; shift -1: none does."""
    shift = min(_SHIFT_MAX, 14 - math.floor(math.log2(value)))
    if shift < 0:
        return 0, -1
    return min(32767, math.floor(value * 2.0**shift + 0.5)), shift


def values(node: Node, x: Array) -> IntArray:
    """(N, S) or (N, S, C) s16 -> (N, frames, K, C) int64: the statistics before their factors."""
    w = x.reshape(len(x), x.shape[1], -1).astype(np.int64)[:, _places(node)]
    count = node.int("frame")
    found = {
        "mean": w.sum(axis=2),
        "rms": _roots(((w**2).sum(axis=2) << (2 * _ROOT_BITS)) // count),
        "min": w.min(axis=2),
        "max": w.max(axis=2),
        "crossings": ((w[:, :, 1:] >= 0) != (w[:, :, :-1] >= 0)).sum(axis=2),
    }
    return np.stack([found[kind] for kind in node.attrs["kinds"]], axis=2)


def _roots(squares: IntArray) -> IntArray:
    """The whole part of the roots, of squares below 2**52.

    >>> _roots(np.array([0, 24, 25, 2**38 - 1])).tolist()
    [0, 4, 5, 524287]
    """
    root = np.sqrt(squares.astype(np.float64)).astype(np.int64)
    root -= root * root > squares
    root += (root + 1) * (root + 1) <= squares
    return root


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(N, S) or (N, S, C) s16 -> (N, frames, K * C) of the output's kind."""
    found = values(node, inputs[0])
    mult, shift = (np.array(node.ints(key), np.int64)[:, None] for key in ("mult", "shift"))
    halves = np.array([half(s) for s in node.ints("shift")], np.int64)[:, None]
    y = ((found * mult + halves) >> shift) + node.int("zero")
    return limited(y, node, DTYPES[qgraph.tensors[node.output].kind]).reshape(*y.shape[:2], -1)


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Windows are made of the samples under them."""
    if axis != 1:
        return "it joins all channels"

    def made(count: int) -> Node:
        return node.with_attrs(frames=count, start=0)

    return Along(1, made, node.int("frame"), node.int("hop"), -node.int("start"))


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """A square of each sample of each window."""
    return node.int("frames") * node.int("frame") * channels(shapes[0])


def rescaled(node: Node, factor: Array) -> Node:
    """The same of samples that are ``factor`` times as large."""
    return node.with_attrs(gain=node.float("gain") / float(factor.reshape(-1)[0]))


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, and as many factors as statistics."""
    x, y = qgraph.tensors[node.inputs[0]], qgraph.tensors[node.output]
    if x.kind != "s16" or y.kind not in ("s8", "s16"):
        yield f"its data is {x.kind}, {y.kind}"
    if not len(node.attrs["kinds"]) == len(node.attrs["mult"]) == len(node.attrs["shift"]):
        yield "it has not one factor for each statistic"
    yield from forms.in_range(node, qgraph)


_SIZE = whole(1, SIZE_MAX)
_PLACES: Fields = {
    "frame": whole(2, LONGEST),
    "hop": _SIZE,
    "start": whole(0, SIZE_MAX),
    "frames": _SIZE,
    "kinds": several(choice(KINDS), 1, len(KINDS)),
}
_NUMBERS: Fields = {
    "mult": several(whole(0, 32767), 1, len(KINDS)),
    "shift": several(whole(0, _SHIFT_MAX), 1, len(KINDS)),
    "zero": whole(-32768, 32767),
    **forms.RANGE,
}
OP = OpSpec(
    "statistics",
    (),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(windows_fit,),
    macs=macs,
    runs_s16=True,
    narrows=True,
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    along=along,
    note="of windows of samples: mean, rms, min, max, zero crossings",
    schema=Schema(Form({**_PLACES, "gain": real(1e-30)}), Form({**_PLACES, **_NUMBERS}), faults),
)
