"""What the depthwise kernels of s16 data share: a pixel at a time, by the places of its taps."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Field
from mcuq.ops.depthwise_conv2d import window
from mcuq.qir import QGraph

_TAPS = 51  # at most: their places are kept on the stack
_TURN = 3  # taps
_FROM_PLAIN = frozenset({"weights", "bias", "shift", "out_c", "groups", "out_min", "out_max"})


def count(node: Node, qgraph: QGraph) -> int:
    """The taps, up to a multiple of three."""
    kernel_h, kernel_w, _ = qgraph.tensor(node.inputs[1]).shape
    return _TURN * math.ceil(kernel_h * kernel_w / _TURN)


def order(channels: int, group: int) -> Array:
    """The channels in groups; where they are no multiple, the last ones overlap those before.

    >>> order(6, 4).tolist()
    [0, 1, 2, 3, 2, 3, 4, 5]
    """
    whole = np.arange(channels // group * group)
    last = np.arange(channels - group, channels) if channels % group else whole[:0]
    return np.concatenate([whole, last])


def packed(weights: Array, channels: Array, group: int) -> Array:
    """(kh, kw, C) -> (groups, taps, group) of ``channels``, with taps of zero at the end."""
    rows = weights.reshape(-1, weights.shape[2])[:, channels]
    rows = np.pad(rows, ((0, -len(rows) % _TURN), (0, 0)))
    return np.ascontiguousarray(rows.reshape(len(rows), -1, group).transpose(1, 0, 2))


def call(
    symbol: str, node: Node, qgraph: QGraph, weights: ConstArray, limits: tuple[Field, ...]
) -> tuple[Call, ...]:
    """The call of ``symbol``, whose parameters are called after it."""
    shape = qgraph.tensor(node.inputs[1]).shape
    (plain,) = weighted.convolution(symbol, node, qgraph, window(node, shape), 1)
    fields = (
        Field("weights", weights.suffix),
        *(
            Field({"in_c": "channels"}.get(field.name, field.name), field.value)
            for field in plain.fields
            if field.name not in _FROM_PLAIN
        ),
        Field("taps", count(node, qgraph)),
        *limits,
    )
    params, scratch = f"{symbol}_params", 2 * shape[2]
    return (Call(symbol, params, fields, plain.inputs, plain.output, (weights,), scratch),)


def accepts(group: int) -> Callable[[Node, QGraph], bool]:
    """No multiplier, channels for a group, taps that the stack has room for."""

    def accepts(node: Node, qgraph: QGraph) -> bool:
        channels = qgraph.tensor(node.inputs[0]).shape[3]
        same = qgraph.tensor(node.output).shape[3] == channels
        return same and channels >= group and count(node, qgraph) <= _TAPS

    return accepts


def cost(node: Node, qgraph: QGraph, a_pixel: float) -> float:
    """Instructions, given those of a pixel: beside them, taps are placed anew for some."""
    _, out_h, out_w, channels = qgraph.tensor(node.output).shape
    sizes = qgraph.tensor(node.inputs[0]).shape[1:3]
    win = window(node, qgraph.tensor(node.inputs[1]).shape)
    inside = [int((win.counts(axis, size) == win.kernel[axis]).sum())
              for axis, size in enumerate(sizes)]  # fmt: skip
    placed = out_h * out_w - inside[0] * max(0, inside[1] - 1)
    return 250 + 4 * channels + out_h * out_w * a_pixel + placed * (50 + 13 * count(node, qgraph))
