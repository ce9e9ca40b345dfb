"""What the DSP kernels' entries share: blocks of pixels, scratch, access order, int16 order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mcuq.ir import Node
from mcuq.ops import layout_of
from mcuq.qir import QGraph

LEAST_SCRATCH = 3456  # bytes a block may always take
MOST_PIXELS = 66


@dataclass(frozen=True)
class ConvShapes:
    """The shapes of a convolution over an image."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int

    @property
    def representable(self) -> bool:
        """Whether the C params hold it: sizes in int16_t, kernel, stride, dilation in uint8_t."""
        sizes = (self.in_h, self.in_w, self.in_c, self.out_h, self.out_w, self.out_c)
        steps = (self.kernel_h, self.kernel_w, self.stride_h, self.stride_w)
        small = max(*steps, self.dilation_h, self.dilation_w) < 2**8
        return small and max(*sizes, self.pad_top, self.pad_left) < 2**15

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.out_h * self.out_w

    def first_read(self, pixel: int) -> int:
        """No output from ``pixel`` on reads an input byte before this one."""
        y, x = divmod(pixel, self.out_w)
        top, left = y * self.stride_h - self.pad_top, x * self.stride_w - self.pad_left
        row = self.in_w * self.in_c
        here = max(top, 0) * row + max(left, 0) * self.in_c
        later = max(top + self.stride_h, 0) * row
        return min(here, later) if y + 1 < self.out_h else here


def window(node: Node, qgraph: QGraph) -> ConvShapes:
    """The shapes of a conv2d or depthwise_conv2d."""
    _, in_h, in_w, in_c = qgraph.tensors[node.inputs[0]].shape
    _, out_h, out_w, out_c = qgraph.tensors[node.output].shape
    weights = qgraph.data(node.inputs[1]).shape
    kernel_h, kernel_w = layout_of(node).kernel(weights)
    (stride_h, stride_w), (dilation_h, dilation_w) = node.ints("strides"), node.ints("dilations")
    top, left, _, _ = node.ints("pads")
    sizes = (in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w)
    return ConvShapes(*sizes, stride_h, stride_w, dilation_h, dilation_w, top, left)


def block_pixels(pixels: int, pixel_bytes: int, budget: int) -> int:
    """Pixels of a block: in threes, all about equal, at most ``budget`` bytes if three fit."""
    most = max(3, min(MOST_PIXELS, budget // pixel_bytes // 3 * 3))
    count = math.ceil(pixels / most)
    return 3 * math.ceil(math.ceil(pixels / count) / 3)


def blocks(pixels: int, block: int) -> Iterator[int]:
    """The pixel count of each block."""
    for first in range(0, pixels, block):
        yield min(block, pixels - first)


def gap_of_blocks(at: ConvShapes, block: int) -> int:
    """A block is read as a whole before it is written, and all later blocks read further on."""
    ends = range(block, at.pixels, block)
    return max([0, *(pixel * at.out_c - at.first_read(pixel) for pixel in ends)])


def scratch_budget(node: Node, qgraph: QGraph) -> int:
    """Bytes of scratch that do not raise the network's peak, or ``LEAST_SCRATCH``.

    That is what the step that holds most has and this one has not.
    """
    return max(LEAST_SCRATCH, qgraph.most_held - qgraph.held(node))
