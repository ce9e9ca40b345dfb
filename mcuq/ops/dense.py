"""dense: y = clip(w x + b), weights (out, in). In integers:

    y = clip.clamp((b[o] + sum w[o] * x) >> shift[o], out_min, out_max)

Input and output are both s8 or both s16.

C: mcuq_dense_s8.c, mcuq_dense_s16.c
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import exact
from mcuq.ops.parts.accumulate import exact_type, requantize
from mcuq.ops.parts.layout import Layout
from mcuq.ops.parts.weights import bias_of, weighted_form, weighted_schema
from mcuq.ops.spec import IntForm, OpSpec, TorchTensor
from mcuq.qir import QGraph, QTensors

LAYOUT = Layout(outputs=0, inputs=1)


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out)."""
    return (shapes[0][0], shapes[1][0])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(x w^T + b)``; in float64 its bits are the same everywhere (``exact.py``)."""
    import torch

    x, weights, bias = inputs
    if x.dtype == torch.float64:
        return clip.clamp(sums(node, x, weights, snap=True) + bias, node.attrs["clip"])
    return clip.clamp(torch.nn.functional.linear(x, weights, bias), node.attrs["clip"])


def sums(node: Node, x: TorchTensor, weights: TorchTensor, snap: bool) -> TorchTensor:
    """The sums of products, in any float; ``snap``: the factors on grids that make them exact."""
    if snap:
        x, weights = exact.factors(x, weights, 0, lambda reach: reach)
    return x @ weights.T


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer layer; the output channel is the weights' first axis."""
    return weighted_form(node, graph, acts, weights, LAYOUT.outputs, {})


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, b) -> the kind of x."""
    x, weights, bias = inputs
    exact = exact_type(weights, x.dtype)
    acc = (x.astype(exact) @ weights.T.astype(exact)).astype(np.int32)
    return requantize(acc, bias, node, x.dtype)


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """One per weight."""
    return shapes[1][0] * shapes[1][1]


def vectors(node: Node, shapes: Sequence[Shape]) -> bool:
    """A fully connected layer reads a vector as long as the rows of its weights."""
    return len(shapes[0]) == 2 and shapes[0][1] == shapes[1][1]


OP = OpSpec(
    "dense",
    ("Gemm", "MatMul"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(vectors, bias_of(0)),
    macs=macs,
    sums=sums,
    note="constant weights",
    weights=LAYOUT,
    per_channel=(2,),
    fuse_clip=clip.fuse,
    runs_s16=True,
    schema=weighted_schema({}, {}, axis=0, rank=2),
)
