"""conv2d: y[o] = clip(b[o] + sum over taps and channels of w[o] * x). In integers:

    y = clamp((b[o] + sum w[o] * x) >> shift[o], out_min, out_max)

where b holds the rounding constant and all zeros (``weights.py``), and taps outside the image read
``pad_value``. Weights are (out_c, kh, kw, in_c / groups).

C: mcuq_conv2d_s8.c
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
    return windows.window(node, weights[1:3])


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, out_c)."""
    image, weights = shapes[0], shapes[1]
    return (image[0], *window(node, weights).out_size(image[1], image[2]), weights[0])


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The convolution in float."""
    import torch

    x, weights, bias = inputs
    win = window(node, tuple(weights.shape))
    image = windows.pad_float(windows.to_nchw(x), win, node.attrs["pad_value"])
    kernel = weights.permute(0, 3, 1, 2)
    y = torch.nn.functional.conv2d(
        image, kernel, bias, win.strides, 0, win.dilations, node.int("groups")
    )
    return clamp(windows.to_nhwc(y), node.attrs["clip"])


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
    ("Conv",),
    infer,
    run_float,
    limits=(representable, has_a_place, grouped),
    macs=macs,
    note="1-D and 2-D, any groups; BatchNormalization, Relu, Clip and Pad fold into it",
)
