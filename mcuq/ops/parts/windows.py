"""Sliding windows: what conv2d, depthwise_conv2d and the pools share.

Arrays are (N, H, W, C) here; attributes are ordered height, width and top, left, bottom, right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mcuq.ir import Array, Node, Shape
from mcuq.ops.spec import TorchTensor

SIZE_MAX = 65535
"""The largest size, kernel, stride, dilation or pad: the C params hold them in uint16_t."""


@dataclass(frozen=True)
class Window:
    """A kernel and how it moves over an image."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    def spans(self) -> tuple[int, int]:
        """The rows and columns between the first and the last tap, both included.

        >>> Window((3, 1), (1, 1), (2, 1), (0, 0, 0, 0)).spans()
        (5, 1)
        """
        (kh, kw), (dh, dw) = self.kernel, self.dilations
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """The number of places of the window in an image.

        >>> Window((3, 3), (2, 2), (1, 1), (1, 1, 1, 1)).out_size(8, 7)
        (4, 4)
        """
        top, left, bottom, right = self.pads
        high, wide = self.spans()
        rows = (height + top + bottom - high) // self.strides[0] + 1
        return rows, (width + left + right - wide) // self.strides[1] + 1

    def area(self) -> int:
        """The number of taps."""
        return self.kernel[0] * self.kernel[1]

    def inside(self, axis: int, size: int) -> tuple[Array, Array]:
        """(places,) each: the first tap that falls inside the image, and the first one after it."""
        places, step = self.out_size(size, size)[axis], self.dilations[axis]
        start = np.arange(places) * self.strides[axis] - self.pads[axis]
        first, end = -(start // step), -((start - size) // step)
        kernel = self.kernel[axis]
        return first.clip(0, kernel), end.clip(0, kernel)

    def counts(self, axis: int, size: int) -> Array:
        """(places,) how many taps fall inside the image, along one axis.

        >>> Window((3, 1), (2, 1), (1, 1), (1, 0, 1, 0)).counts(0, 4).tolist()
        [2, 3]
        """
        first, end = self.inside(axis, size)
        found: Array = np.maximum(end - first, 0)
        return found


def window(node: Node, kernel: Sequence[int]) -> Window:
    """The window of ``node``, whose kernel size is given (of a pool) or that of its weights."""
    (kh, kw), (sh, sw) = kernel, node.ints("strides")
    dh, dw = (int(v) for v in node.attrs.get("dilations", (1, 1)))
    top, left, bottom, right = node.ints("pads")
    return Window((int(kh), int(kw)), (sh, sw), (dh, dw), (top, left, bottom, right))


def single_taps(win: Window) -> bool:
    """Whether each place holds one value of the image, and each value has one."""
    return win.kernel == (1, 1) and win.strides == (1, 1) and not any(win.pads)


def counts(win: Window, height: int, width: int) -> Array:
    """(out_h, out_w): how many taps of each place fall inside the image."""
    rows, columns = (win.counts(axis, size) for axis, size in enumerate((height, width)))
    return np.outer(rows, columns)


def padded(x: Array, win: Window, value: int) -> Array:
    """``x`` in the middle of ``value``; ``x`` itself without pads."""
    if not any(win.pads):
        return x
    top, left, bottom, right = win.pads
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


Image = TypeVar("Image", Array, TorchTensor)


def taps(x: Image, win: Window) -> Iterator[tuple[int, int, Image]]:
    """(row, column, view) of each tap of the kernel; a view is (N, out_h, out_w, C) of padded x."""
    (kh, kw), (dh, dw), (sh, sw) = win.kernel, win.dilations, win.strides
    high, wide = win.spans()
    bottom, right = x.shape[1] - high, x.shape[2] - wide
    for ky in range(kh):
        for kx in range(kw):
            top, left = ky * dh, kx * dw
            yield ky, kx, x[:, top : top + bottom + 1 : sh, left : left + right + 1 : sw]


def side_by_side(x: Array, win: Window) -> Array:
    """Padded (N, H, W, C) -> (N, out_h, out_w, kh * kw * C), the taps of each place in a row."""
    spans = np.lib.stride_tricks.sliding_window_view(x, win.spans(), axis=(1, 2))
    (sh, sw), (dh, dw) = win.strides, win.dilations
    found = spans[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)
    return found.reshape(*found.shape[:3], -1)


def pad_float(x: TorchTensor, win: Window, values: Sequence[float]) -> TorchTensor:
    """NCHW ``x`` padded with ``values``, one for all or one per channel."""
    import torch

    if not any(win.pads):
        return x
    top, left, bottom, right = win.pads
    edges = (left, right, top, bottom)
    if len(values) == 1:
        return torch.nn.functional.pad(x, edges, value=float(values[0]))
    outside = torch.nn.functional.pad(torch.zeros_like(x[:1]), edges, value=1.0)
    fill = x.new_tensor([float(v) for v in values]).reshape(1, -1, 1, 1)
    return torch.nn.functional.pad(x, edges) + outside * fill


def convolved(
    image: TorchTensor, kernel: TorchTensor, bias: TorchTensor, win: Window, groups: int
) -> TorchTensor:
    """The convolution of the padded NCHW ``image`` with an (O, C / groups, kh, kw) kernel.

    A stride along W that is never taken counts as 1: oneDNN (torch 2.13) reads memory of others
    at one input channel, one place along W, stride_h 1, stride_w above 1 and more than one row.
    """
    import torch

    strides = win.strides
    wide = win.spans()[1]
    if image.shape[1] == 1 and (image.shape[3] - wide) // strides[1] == 0:
        image, strides = image[..., :wide], (strides[0], 1)
    return torch.nn.functional.conv2d(image, kernel, bias, strides, 0, win.dilations, groups)


def padded_float(x: TorchTensor, win: Window, values: Sequence[float]) -> TorchTensor:
    """NHWC ``x`` padded with ``values``, one for all or one per channel."""
    return to_nhwc(pad_float(to_nchw(x), win, values))


def to_nchw(x: TorchTensor) -> TorchTensor:
    """NHWC -> NCHW."""
    return x.permute(0, 3, 1, 2)


def to_nhwc(x: TorchTensor) -> TorchTensor:
    """NCHW -> NHWC."""
    return x.permute(0, 2, 3, 1)


def fits(win: Window, shape: Shape) -> bool:
    """Whether the window has a place in the padded image."""
    return min(win.out_size(shape[1], shape[2])) >= 1


def covers(win: Window, shape: Shape) -> bool:
    """Whether each place of the window holds at least one element of the image."""
    return all(bool(win.counts(axis, shape[axis + 1]).all()) for axis in (0, 1))


def taken(node: Node, shapes: Sequence[Shape], output: Shape) -> list[Shape]:
    """What ``node`` takes for one image beside its output: the padded one, all taps of all places.

    Empty for nodes without a window.
    """
    if not {"strides", "pads"} <= node.attrs.keys() or len(shapes[0]) != 4:  # a copy has strides
        return []
    kernel = node.attrs.get("kernel")
    if kernel is None:
        kernel = shapes[1][:2] if node.op == "depthwise_conv2d" else shapes[1][1:3]
    win = window(node, kernel)
    (_, height, width, channels), (top, left, bottom, right) = shapes[0], win.pads
    padded_image = (height + top + bottom, width + left + right, channels)
    return [padded_image, (output[1], output[2], win.area(), channels)]


def representable(win: Window, shape: Shape) -> bool:
    """Whether all sizes are at least 1 (pads: 0) and fit the C params."""
    sizes = (*win.kernel, *win.strides, *win.dilations, *shape)
    return min(sizes) >= 1 and min(win.pads) >= 0 and max(*sizes, *win.pads) <= SIZE_MAX
