"""max_pool2d: the largest value in each window; padding never wins. In integers the same.

C: mcuq_max_pool2d_s8.c, mcuq_max_pool2d_s16.c
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms, windows
from mcuq.ops.parts.windows import Window
from mcuq.ops.spec import Flow, Form, IntForm, OpSpec, Padding, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors


def window(node: Node) -> Window:
    """The sliding window."""
    return windows.window(node, node.ints("kernel"))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, C)."""
    batch, height, width, channels = shapes[0]
    return (batch, *window(node).out_size(height, width), channels)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The largest value of each window."""
    import torch

    win = window(node)
    image = windows.pad_float(windows.to_nchw(inputs[0]), win, (-np.inf,))
    y = torch.nn.functional.max_pool2d(image, win.kernel, win.strides, 0, win.dilations)
    return windows.to_nhwc(y)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node: the order of integers is that of the reals."""
    keys = ("kernel", "strides", "dilations", "pads")
    return IntForm(replace(node, attrs={key: node.ints(key) for key in keys}))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The largest value of each window; the lowest value in the padding exceeds none inside."""
    x, win = inputs[0], window(node)
    lowest = int(np.iinfo(x.dtype).min)
    views = (view for _, _, view in windows.taps(windows.padded(x, win, lowest), win))
    y = next(views).copy()
    for view in views:
        np.maximum(y, view, out=y)
    return y


def unseen(node: Node, inputs: Sequence[TorchTensor]) -> float:
    """Below the lowest maximum nothing shows; other rows may reach as far below that as it lies
    below the highest.
    """
    largest = run_float(node, inputs)
    lowest, highest = float(largest.min()), float(largest.max())
    return lowest - (highest - lowest)


def representable(node: Node, shapes: Sequence[Shape]) -> bool:
    """Sizes, kernels, strides, dilations and pads are at most 65535."""
    return windows.representable(window(node), shapes[0])


def covers(node: Node, shapes: Sequence[Shape]) -> bool:
    """Each pooling window lies in the padded image and holds at least one element of the image."""
    win = window(node)
    return windows.fits(win, shapes[0]) and windows.covers(win, shapes[0])


_FORM = Form({**forms.WINDOW, "kernel": forms.PAIR}, ranks=(4,))
OP = OpSpec(
    "max_pool2d",
    ("MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "TopK"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(representable, covers),
    values=Values.PICKED,
    flow=Flow.EACH,
    unseen=unseen,
    is_identity=lambda node, graph: windows.single_taps(window(node)),
    padding=Padding.LOWEST,
    keeps_scale=True,
    runs_s16=True,
    scaling=Scaling.CHANNELS,
    offsets=(1,),
    along=along.pool,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
