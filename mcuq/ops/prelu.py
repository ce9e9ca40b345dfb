"""prelu: x, times a slope of its channel (last axis) where negative. In integers, x' = q - zero_x:

    y = clamp((x' * (x' < 0 ? slope[c] : one) + bias) >> shift, out_min, out_max)

``one`` = 2**(shift + frac_y - frac_x), and slope[c] is the slope in the same unit, rounded;
``bias`` holds the output's zero and the rounding constant. The shift is the largest with which
``one`` and all slopes are below 2**22: then |x' * slope| < 2**30, |bias| <= 2**29 + 2**21, and
the sum fits 32 bits; in s16, whose zeros are 0, below 2**15. One slope for all is a table
(``leaky_relu``).

C: mcuq_prelu_s8.c, mcuq_prelu_s16.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import half, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.parts.weights import cut_values
from mcuq.ops.spec import Flow, Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, always
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, whole

MAX_SHIFT = {"s8": 22, "s16": 15}


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def slopes_of(node: Node) -> Array:
    """(C,) the slope of each channel."""
    return np.array(node.attrs["slopes"], np.float64)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x``, times the channel's slope where negative."""
    import torch

    x = inputs[0]
    return torch.where(x < 0, x * x.new_tensor(slopes_of(node)), x)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer prelu with a table of its slopes."""
    x, y = acts[node.inputs[0]], acts[node.output]
    slopes, finer = slopes_of(node), frac_of(y) - frac_of(x)
    shift = _shift(slopes, finer, MAX_SHIFT[x.kind])
    if not max(0, -finer) <= shift:
        raise ModelError(
            graph.name,
            f"node '{node.name}': its slopes, or its output, do not match its input in size",
            "Use smaller slopes",
        )
    data = round_half_up(slopes * 2.0 ** (shift + finer)).astype(np.int32)
    table = QTensor(f"{node.output}.slopes", data.shape, "s32", shift + finer, 0, data)
    attrs = {**_numbers(x, y, shift), "out_min": y.range[0], "out_max": y.range[1]}
    return IntForm(Node("prelu", node.name, (x.name, table.name), node.outputs, attrs), (table,))


def _numbers(x: QTensor, y: QTensor, shift: int) -> dict[str, int]:
    one = 1 << (shift + frac_of(y) - frac_of(x))
    return {"one": one, "bias": half(shift) + (y.zero << shift), "zero_x": x.zero, "shift": shift}


def _shift(slopes: Array, finer: int, bits: int) -> int:
    """The largest with which all multipliers stay below 2**bits, the power of two included."""
    largest = max(1.0, float(np.abs(slopes).max(initial=0.0)))
    return min(bits, bits - 1 - finer - math.ceil(math.log2(largest)))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, slopes s32 (C,)) -> the kind of x."""
    x = inputs[0].astype(np.int32) - node.int("zero_x")
    acc = x * np.where(x < 0, inputs[1], node.int("one")) + node.int("bias")
    acc >>= node.int("shift")
    return limited(acc, node, inputs[0].dtype)


def one_each(node: Node, shapes: Sequence[Shape]) -> bool:
    """PRelu has one slope for each channel, which lies last."""
    count = len(node.attrs["slopes"]) if "slopes" in node.attrs else shapes[1][0]
    return bool(count == shapes[0][-1])


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """The output no finer than a shift of 0 allows."""
    largest = max(1.0, float(np.abs(slopes_of(node)).max(initial=0.0)))
    room = MAX_SHIFT[kind] - 1 - math.ceil(math.log2(largest))
    yield node.output, fracs[node.inputs[0]] + max(room, 0)


def cut(node: Node, shape: Shape, inputs: Array | None, outputs: Array | None) -> Node:
    """The slopes of the channels that are kept."""
    return cut_values(node, "slopes", outputs)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors, or could overflow."""
    kind = forms.data_kind(node, qgraph)
    yield from forms.kinds(node, qgraph, kind, "s32", kind)
    yield from forms.in_range(node, qgraph)
    x, table, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    shift = frac_of(table) + frac_of(x) - frac_of(y)
    most = MAX_SHIFT[kind]
    if not (0 <= shift <= most and 0 <= frac_of(table) < most):
        yield f"its shift is {shift}, not in 0..{most}"
        return
    yield from forms.follows(node, _numbers(x, y, shift))
    if table.shape != (x.shape[-1],) or np.abs(qgraph.data(table.name)).max() > 1 << most:
        yield "its slopes do not fit"


_INTEGERS: Fields = {key: whole() for key in ("one", "bias", "zero_x", "shift")}
_SCHEMA = Schema(
    Form({"slopes": forms.VALUES}), Form({**_INTEGERS, **forms.RANGE}, constants=1), faults
)
OP = OpSpec(
    "prelu",
    ("PRelu",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(one_each,),
    note="a slope per channel",
    flow=Flow.EACH,
    keeps_sign=always,
    runs_s16=True,
    scaling=Scaling.CHANNELS,
    frac_limits=frac_limits,
    cut=cut,
    along=along.same,
    schema=_SCHEMA,
)
