"""avg_pool2d: the mean of each window, over all its taps or (not include_pad) those inside.

In integers, exact with one rounding:

    num = sum of (q - zero_x) over the taps inside,  den = count << right
    y = clamp(zero_y + floor((2 * num * 2**left + den) / (2 * den)), out_min, out_max)

where left - right = frac_y - frac_x and one of both is 0.

C: mcuq_avg_pool2d_s8.c
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node, Shape
from mcuq.ops import windows
from mcuq.ops.clip import clamp
from mcuq.ops.spec import OpSpec, TorchTensor
from mcuq.ops.windows import Window


def window(node: Node) -> Window:
    """The sliding window."""
    return windows.window(node, node.ints("kernel"))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, C)."""
    batch, height, width, channels = shapes[0]
    return (batch, *window(node).out_size(height, width), channels)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The mean of each window."""
    import torch

    win = window(node)
    image = windows.pad_float(windows.to_nchw(inputs[0]), win, (0.0,))
    y = windows.to_nhwc(torch.nn.functional.avg_pool2d(image, win.kernel, win.strides))
    if any(win.pads) and not node.attrs["include_pad"]:
        inside = windows.counts(win, inputs[0].shape[1], inputs[0].shape[2])
        y = y * y.new_tensor(win.area() / inside)[None, :, :, None]
    return clamp(y, node.attrs["clip"])


def representable(node: Node, shapes: Sequence[Shape]) -> bool:
    """Sizes, kernels, strides and pads are at most 65535, and a window has at most 2**20 taps."""
    win = window(node)
    return windows.representable(win, shapes[0]) and win.area() <= 2**20


def covers(node: Node, shapes: Sequence[Shape]) -> bool:
    """Each pooling window lies in the padded image and holds at least one element of the image."""
    win = window(node)
    return windows.fits(win, shapes[0]) and windows.covers(win, shapes[0])


OP = OpSpec(
    "avg_pool2d",
    ("AveragePool", "GlobalAveragePool", "ReduceMean"),
    infer,
    run_float,
    limits=(representable, covers),
)
