"""conv2d: y[o] = clip(b[o] + sum over taps and channels of w[o] * x). In integers:

    y = clip.clamp((b[o] + sum w[o] * x) >> shift[o], out_min, out_max)

where b holds the rounding constant and all zeros (``weights.py``), and taps outside the image read
``pad_value``. Weights are (out_c, kh, kw, in_c / groups).

Input and output are both s8 or both s16.

C: mcuq_conv2d_s8.c, mcuq_conv2d_s16.c
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import along, exact, windows
from mcuq.ops.parts.accumulate import exact_type, requantize, rows_per_chunk
from mcuq.ops.parts.layout import Layout
from mcuq.ops.parts.weights import bias_of, convolution_form, convolution_schema, cut_padding
from mcuq.ops.parts.windows import Window
from mcuq.ops.spec import IntForm, OpSpec, Padding, TorchTensor
from mcuq.qir import QGraph, QTensors
from mcuq.schema import whole

LAYOUT = Layout(outputs=0, inputs=3, taps=(1, 2))


def window(node: Node, weights: Shape) -> Window:
    """The sliding window for weights of this shape."""
    return windows.window(node, LAYOUT.kernel(weights))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, out_c)."""
    image, weights = shapes[0], shapes[1]
    return (image[0], *window(node, weights).out_size(image[1], image[2]), weights[0])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The convolution in float; in float64 its bits are the same everywhere (``exact.py``)."""
    import torch

    x, weights, bias = inputs
    if x.dtype == torch.float64:
        return clip.clamp(sums(node, x, weights, snap=True) + bias, node.attrs["clip"])
    win = window(node, tuple(weights.shape))
    image = windows.pad_float(windows.to_nchw(x), win, node.attrs["pad_value"])
    y = windows.convolved(image, weights.permute(0, 3, 1, 2), bias, win, node.int("groups"))
    return clip.clamp(windows.to_nhwc(y), node.attrs["clip"])


def sums(node: Node, x: TorchTensor, weights: TorchTensor, snap: bool) -> TorchTensor:
    """The sums of products, in any float; ``snap``: the factors on grids that make them exact."""
    win, groups = window(node, tuple(weights.shape)), node.int("groups")
    image = windows.padded_float(x, win, node.attrs["pad_value"])
    if snap:
        behind = exact.behind_groups(groups, weights.shape[0])
        image, weights = exact.factors(image, weights, 0, behind)
    return exact.conv2d(image, weights, win, groups)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer convolution; the output channel is the weights' first axis."""
    return convolution_form(node, graph, acts, weights, LAYOUT.outputs)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, b) -> as x, a few images at a time: the taps side by side, then one product."""
    x, weights, bias = inputs
    win, groups = window(node, weights.shape), node.int("groups")
    rows = weights.reshape(groups, weights.shape[0] // groups, -1)
    exact = exact_type(rows.reshape(weights.shape[0], -1), x.dtype)
    columns = [group.T.astype(exact) for group in rows]
    height, width = win.out_size(x.shape[1], x.shape[2])
    y = np.empty((len(x), height, width, weights.shape[0]), x.dtype)
    size = rows_per_chunk(height * width * win.area() * x.shape[3])
    for first in range(0, len(x), size):
        chunk = slice(first, first + size)
        image = windows.padded(x[chunk], win, node.int("pad_value")).astype(exact)
        parts = np.split(image, groups, axis=3)
        sums = [_product(p, win, c) for p, c in zip(parts, columns, strict=True)]
        acc = sums[0] if groups == 1 else np.concatenate(sums, axis=3)
        y[chunk] = requantize(acc, bias, node, x.dtype)
    return y


def _product(image: Array, win: Window, columns: Array) -> Array:
    """Padded (N, H, W, C) times (kh * kw * C, out_c) -> (N, out_h, out_w, out_c) int32."""
    pixels = windows.side_by_side(image, win)
    sums: Array = (pixels.reshape(-1, len(columns)) @ columns).astype(np.int32)
    return sums.reshape(*pixels.shape[:3], -1)


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """One per tap, channel of the group, and output element."""
    _, kh, kw, depth = shapes[1]
    return output[1] * output[2] * output[3] * kh * kw * depth


def has_a_place(node: Node, shapes: Sequence[Shape]) -> bool:
    """The kernel with its dilation fits into the padded image."""
    return windows.fits(window(node, shapes[1]), shapes[0])


def representable(node: Node, shapes: Sequence[Shape]) -> bool:
    """Sizes, kernels, strides, dilations and pads are at most 65535."""
    win = window(node, shapes[1])
    return windows.representable(win, (*shapes[0], shapes[1][0]))


def grouped(node: Node, shapes: Sequence[Shape]) -> bool:
    """Input and output channels are multiples of groups."""
    groups, depth, channels = node.int("groups"), shapes[0][3], shapes[1][0]
    return groups >= 1 and channels % groups == 0 and shapes[1][3] * groups == depth


OP = OpSpec(
    "conv2d",
    ("Conv", "ConvTranspose"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(representable, has_a_place, grouped, bias_of(0)),
    macs=macs,
    sums=sums,
    note="1-D and 2-D, any groups; BatchNormalization, Relu, Clip and Pad fold into it",
    weights=LAYOUT,
    per_channel=(2,),
    fuse_clip=clip.fuse,
    padding=Padding.VALUE,
    runs_s16=True,
    cut=cut_padding,
    along=along.weighted_window,
    schema=convolution_schema({"groups": whole(1, windows.SIZE_MAX)}, axis=0, rank=4),
)
