"""depthwise_conv2d: y[o] = clip(b[o] + sum over taps of w[.., o] * x[o // multiplier]).

In integers as conv2d:

    y = clip.clamp((b[o] + sum w[.., o] * x[o // multiplier]) >> shift[o], out_min, out_max)

Weights are (kh, kw, out_c), multiplier = out_c / in_c.

C: mcuq_depthwise_conv2d_s8.c, mcuq_depthwise_conv2d_s16.c
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import along, exact, windows
from mcuq.ops.parts.accumulate import requantize, rows_per_chunk
from mcuq.ops.parts.layout import Layout
from mcuq.ops.parts.weights import bias_of, convolution_form, convolution_schema, cut_padding
from mcuq.ops.parts.windows import Window
from mcuq.ops.spec import IntForm, OpSpec, Padding, TorchTensor
from mcuq.qir import QGraph, QTensors

LAYOUT = Layout(outputs=2, taps=(0, 1))


def window(node: Node, weights: Shape) -> Window:
    """The sliding window for weights of this shape."""
    return windows.window(node, LAYOUT.kernel(weights))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, out_c)."""
    image, weights = shapes[0], shapes[1]
    return (image[0], *window(node, weights).out_size(image[1], image[2]), weights[2])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The convolution in float; in float64 its bits are the same everywhere (``exact.py``)."""
    import torch

    x, weights, bias = inputs
    if x.dtype == torch.float64:
        return clip.clamp(sums(node, x, weights, snap=True) + bias, node.attrs["clip"])
    win = window(node, tuple(weights.shape))
    image = windows.pad_float(windows.to_nchw(x), win, node.attrs["pad_value"])
    kernel = weights.permute(2, 0, 1)[:, None]
    y = windows.convolved(image, kernel, bias, win, image.shape[1])
    return clip.clamp(windows.to_nhwc(y), node.attrs["clip"])


def sums(node: Node, x: TorchTensor, weights: TorchTensor, snap: bool) -> TorchTensor:
    """The sums of products, in any float; ``snap``: the factors on grids that make them exact."""
    win, multiplier = window(node, tuple(weights.shape)), weights.shape[2] // x.shape[3]
    image = windows.padded_float(x, win, node.attrs["pad_value"])
    if snap:
        image, weights = exact.factors(
            image, weights, 2, lambda reach: np.repeat(reach, multiplier)
        )
    return exact.depthwise_conv2d(image, weights, win)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer convolution; the output channel is the weights' last axis."""
    return convolution_form(node, graph, acts, weights, LAYOUT.outputs)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, b) -> the kind of x, a few images at a time, tap by tap in int32."""
    x, weights, bias = inputs
    win, multiplier = window(node, weights.shape), weights.shape[2] // x.shape[3]
    taps = weights.astype(np.int32)
    y = np.empty((len(x), *win.out_size(x.shape[1], x.shape[2]), weights.shape[2]), x.dtype)
    size = rows_per_chunk(4 * x.shape[1] * x.shape[2] * weights.shape[2])
    for first in range(0, len(x), size):
        chunk = slice(first, first + size)
        image = windows.padded(x[chunk], win, node.int("pad_value")).astype(np.int32)
        image = image if multiplier == 1 else np.repeat(image, multiplier, axis=3)
        acc = np.zeros((len(image), *y.shape[1:]), np.int32)
        product = np.empty_like(acc)
        for ky, kx, view in windows.taps(image, win):
            acc += np.multiply(view, taps[ky, kx], out=product)
        y[chunk] = requantize(acc, bias, node, x.dtype)
    return y


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """One per tap and output element."""
    return output[1] * output[2] * output[3] * shapes[1][0] * shapes[1][1]


def has_a_place(node: Node, shapes: Sequence[Shape]) -> bool:
    """The kernel with its dilation fits into the padded image."""
    return windows.fits(window(node, shapes[1]), shapes[0])


def representable(node: Node, shapes: Sequence[Shape]) -> bool:
    """Sizes, kernels, strides, dilations and pads are at most 65535."""
    win = window(node, shapes[1])
    return windows.representable(win, (*shapes[0], shapes[1][2]))


def multiplies(node: Node, shapes: Sequence[Shape]) -> bool:
    """Output channels are a multiple of input channels."""
    return shapes[1][2] % shapes[0][3] == 0


OP = OpSpec(
    "depthwise_conv2d",
    ("Conv",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(representable, has_a_place, multiplies, bias_of(2)),
    macs=macs,
    sums=sums,
    note="Conv with one group per input channel, any multiplier",
    weights=LAYOUT,
    per_channel=(2,),
    fuse_clip=clip.fuse,
    padding=Padding.VALUE,
    runs_s16=True,
    cut=cut_padding,
    along=along.weighted_window,
    schema=convolution_schema({}, axis=2, rank=3),
)
