"""depthwise_conv2d: y[o] = clip(b[o] + sum over taps of w[.., o] * x[o // multiplier]).

In integers as conv2d:

    y = clamp((b[o] + sum w[.., o] * x[o // multiplier]) >> shift[o], out_min, out_max)

Weights are (kh, kw, out_c), multiplier = out_c / in_c.

C: mcuq_depthwise_conv2d_s8.c
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node, Shape
from mcuq.ops import windows
from mcuq.ops.clip import clamp
from mcuq.ops.spec import OpSpec, TorchTensor
from mcuq.ops.windows import Window


def window(node: Node, weights: Shape) -> Window:
    """The sliding window for weights of this shape."""
    return windows.window(node, weights[:2])


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, out_c)."""
    image, weights = shapes[0], shapes[1]
    return (image[0], *window(node, weights).out_size(image[1], image[2]), weights[2])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The convolution in float."""
    import torch

    x, weights, bias = inputs
    win = window(node, tuple(weights.shape))
    image = windows.pad_float(windows.to_nchw(x), win, node.attrs["pad_value"])
    kernel = weights.permute(2, 0, 1)[:, None]
    y = torch.nn.functional.conv2d(
        image, kernel, bias, win.strides, 0, win.dilations, image.shape[1]
    )
    return clamp(windows.to_nhwc(y), node.attrs["clip"])


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
    limits=(representable, has_a_place, multiplies),
    macs=macs,
    note="Conv with one group per input channel, any multiplier",
)
