"""Register-blocked variants for cores without SIMD: Cortex-M0 to M3 and RV32.

Two inputs that meet the same weight share a word, so that one multiplication serves two sums;
``mcuq_pair.h`` proves it. What that asks of the weights, at most 255 in magnitude per group of
four, is arranged here: what a group cannot hold becomes an extra tap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.windows import Window, window
from mcuq.qir import QGraph

GROUP = 4
GROUP_SUM = 255
SIZE_MAX = 32767

Extra = tuple[int, int]


def group_weights(rows: Array) -> tuple[Array, list[list[Extra]]]:
    """(n, taps) s8 -> (n, taps to a multiple of 4), and per row the (tap, weight) left over.

    >>> kept, extra = group_weights(np.array([[127, 127, 100, 0, 5]]))
    >>> kept.tolist(), extra
    ([[28, 127, 100, 0, 5, 0, 0, 0]], [[(0, 99)]])
    """
    kept = np.pad(rows.astype(np.int32), ((0, 0), (0, -rows.shape[1] % GROUP)))
    extra: list[list[Extra]] = [[] for _ in range(len(kept))]
    groups = np.abs(kept).reshape(len(kept), -1, GROUP).sum(2)
    for row, group in np.argwhere(groups > GROUP_SUM):
        taps = slice(group * GROUP, (group + 1) * GROUP)
        for tap, weight in _surplus(kept[row, taps]):
            kept[row, group * GROUP + tap] -= weight
            extra[row].append((int(group) * GROUP + tap, weight))
    return kept.astype(np.int8), extra


def _surplus(weights: Array) -> list[Extra]:
    """What to take from the weights of one group, largest first, each take a signed byte."""
    taken: list[Extra] = []
    left = int(np.abs(weights).sum()) - GROUP_SUM
    for tap in np.argsort(-np.abs(weights), kind="stable"):
        size = min(left, 127, abs(int(weights[tap])))
        if size > 0:
            taken.append((int(tap), int(np.sign(weights[tap])) * size))
            left -= size
    return sorted(taken)


def extra_bytes(extra: Sequence[Sequence[Extra]]) -> Array:
    """Per row: a count, then (taps on from the previous, weight) as two bytes each."""
    data: list[int] = []
    for row in extra:
        pairs: list[int] = []
        at = 0
        for tap, weight in row:
            while tap - at > 255:
                pairs += [255, 0]
                at += 255
            pairs += [tap - at, weight & 255]
            at = tap
        data += [len(pairs) // 2, *pairs]
    return np.array(data, dtype=np.int64)


def _extra_array(extra: Sequence[Sequence[Extra]]) -> tuple[ConstArray, ...]:
    """The packed extras; none if no row has any."""
    if not any(extra):
        return ()
    data = extra_bytes(extra).astype(np.uint8)
    comment = "per channel a count, then (taps on, weight) pairs that the groups could not hold"
    return (ConstArray("extra", "uint8_t", data, comment),)


def _weights(node: Node, qgraph: QGraph) -> Array:
    return qgraph.data(node.inputs[1])


def _bias_and_shift(node: Node, qgraph: QGraph) -> tuple[ConstArray, ConstArray]:
    bias = np.asarray(qgraph.data(node.inputs[2]), np.int32)
    shift = np.asarray(node.ints("shift"), np.int8)
    return (
        ConstArray("bias", "int32_t", bias, "with rounding constants and zeros"),
        ConstArray("shift", "int8_t", shift),
    )


# ---- forward access: how far the output may run into the input ----


def forward_gap(win: Window, image: Sequence[int], out_c: int, block: int) -> int:
    """Bytes by which the output has to start before an input (h, w, c) that is walked forward.

    Output pixels are written ``block`` at a time, after all their inputs were read.
    """
    height, width, depth = image
    rows, columns = win.out_size(height, width)
    top = np.maximum(np.arange(rows) * win.strides[0] - win.pads[0], 0)
    left = np.maximum(np.arange(columns) * win.strides[1] - win.pads[1], 0)
    first = (top[:, None] * width + left[None, :]).ravel() * depth
    still = np.minimum.accumulate(first[::-1])[::-1]
    ends = np.arange(block, len(first), block)
    return max(0, int((ends * out_c - still[ends]).max(initial=0)))


# ---- conv2d ----


def _conv_window(node: Node, qgraph: QGraph) -> Window:
    return window(node, _weights(node, qgraph).shape[1:3])


def _conv_accepts(node: Node, qgraph: QGraph) -> bool:
    win = _conv_window(node, qgraph)
    shape = (*qgraph.tensor(node.inputs[0]).shape, *qgraph.tensor(node.output).shape)
    small = max((*win.kernel, *win.strides, *win.dilations)) <= 255
    return node.int("groups") == 1 and small and max(*shape, *win.pads) <= SIZE_MAX


def _conv_fits(node: Node, qgraph: QGraph) -> bool:
    return _conv_accepts(node, qgraph) and _counts_fit(_rows(node, qgraph))


def _counts_fit(rows: Array) -> bool:
    _, extra = group_weights(rows)
    return all(len(extra_bytes([row])) <= 1 + 2 * 255 for row in extra)


def _rows(node: Node, qgraph: QGraph) -> Array:
    weights = _weights(node, qgraph)
    return weights.reshape(len(weights), -1)


def _conv_lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    kept, extra = group_weights(_rows(node, qgraph))
    extras = _extra_array(extra)
    win = _conv_window(node, qgraph)
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    fields = (
        Field("weights", "weights"),
        Field("bias", "bias"),
        Field("shift", "shift"),
        *(Field("extra", array.suffix) for array in extras),
        Field("taps", kept.shape[1]),
        *(Field(f"in_{key}", size) for key, size in zip("hwc", image[1:], strict=True)),
        *(Field(f"out_{key}", size) for key, size in zip("hwc", out[1:], strict=True)),
        Field("pad_top", win.pads[0]),
        Field("pad_left", win.pads[1]),
        *_window_fields(win),
        *(Field(key, node.int(key)) for key in ("pad_value", "out_min", "out_max")),
    )
    weights = ConstArray("weights", "int8_t", kept, "[out_c][taps]")
    arrays = (weights, *_bias_and_shift(node, qgraph), *extras)
    scratch = 8 * kept.shape[1] + -(-image[3] // 4) * 4
    return (
        Call(
            "mcuq_conv2d_s8_block",
            "mcuq_conv2d_block_params",
            fields,
            node.inputs[:1],
            node.output,
            arrays,
            scratch,
        ),
    )


def _window_fields(win: Window) -> tuple[Field, ...]:
    pairs = (("kernel", win.kernel), ("stride", win.strides), ("dilation", win.dilations))
    return tuple(
        Field(f"{name}_{axis}", value)
        for name, values in pairs
        for axis, value in zip("hw", values, strict=True)
    )


def _conv_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return 0.0


def _conv_gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    if index != 0:
        return None
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    return forward_gap(_conv_window(node, qgraph), image[1:], out[3], 4)


CONV2D = Variant(
    "conv2d",
    "mcuq_conv2d_s8_block",
    _conv_lower,
    _conv_cost,
    _conv_fits,
    gap=_conv_gap,
)

VARIANTS = (CONV2D,)
