"""Register-blocked variants for cores without SIMD: Cortex-M0 to M3 and RV32.

Two inputs that meet the same weight share a word, so that one multiplication serves two sums;
``mcuq_pair.h`` proves it. What that asks of the weights, at most 255 in magnitude per group of
four, is arranged here: what a group cannot hold becomes an extra tap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels import weighted
from mcuq.kernels.dsp_blocks import scratch_budget
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


def extra_pairs(extra: Sequence[Extra]) -> list[tuple[int, int]]:
    """(tap, weight) of one channel -> (taps on from the previous, weight), each a byte."""
    pairs: list[tuple[int, int]] = []
    at = 0
    for tap, weight in extra:
        while tap - at > 255:
            pairs.append((255, 0))
            at += 255
        pairs.append((tap - at, weight & 255))
        at = tap
    return pairs


def _weights(node: Node, qgraph: QGraph) -> Array:
    return qgraph.data(node.inputs[1])


def _channels(node: Node, qgraph: QGraph, pairs: Sequence[Sequence[object]]) -> ConstArray:
    """[out_c][2]: bias; shift + 256 * number of extra pairs."""
    bias = np.asarray(qgraph.data(node.inputs[2]), np.int64)
    counts = np.array([len(row) for row in pairs])
    second = np.asarray(node.ints("shift")) + 256 * counts
    data = np.stack([bias, second], 1).astype(np.int32)
    comment = "bias with rounding constant and zeros; shift + 256 * extra pairs"
    return ConstArray("channels", "int32_t", data, comment)


def _packed(node: Node, qgraph: QGraph, rows: Array) -> tuple[ConstArray, ...]:
    """weights, channels and, if there are any, extra."""
    kept, extra = group_weights(rows)
    pairs = [extra_pairs(row) for row in extra]
    arrays = (
        ConstArray("weights", "int8_t", kept, "[out_c][taps]"),
        _channels(node, qgraph, pairs),
    )
    flat = [pair for row in pairs for pair in row]
    if not flat:
        return arrays
    comment = "(taps on, weight) pairs that the groups could not hold"
    return (*arrays, ConstArray("extra", "uint8_t", np.array(flat, np.uint8), comment))


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


def _rows(node: Node, qgraph: QGraph) -> Array:
    weights = _weights(node, qgraph)
    return weights.reshape(len(weights), -1)


def _conv_lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    arrays = _packed(node, qgraph, _rows(node, qgraph))
    taps = arrays[0].data.shape[1]
    win = _conv_window(node, qgraph)
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("taps", taps),
        *(Field(f"in_{key}", size) for key, size in zip("hwc", image[1:], strict=True)),
        *(Field(f"out_{key}", size) for key, size in zip("hwc", out[1:], strict=True)),
        Field("pad_top", win.pads[0]),
        Field("pad_left", win.pads[1]),
        *_window_fields(win),
        Field("pad_value", node.int("pad_value")),
        *_range_fields(node),
    )
    scratch = 8 * taps + -(-5 * win.kernel[1] * image[3] // 4) * 4
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


def _range_fields(node: Node) -> tuple[Field, ...]:
    limits = (node.int("out_min"), node.int("out_max"))
    narrow = int(limits != (-128, 127))
    return (Field("out_min", limits[0]), Field("out_max", limits[1]), Field("narrow", narrow))


def _conv_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per block of four pixels: its inputs, kernel rows and channels, the latter with their taps."""
    per_tap, per_row, per_channel, per_group = weighted.pick(
        cpu, (10.0, 80.0, 55.0, 22.0), (14.0, 130.0, 75.0, 34.0), (10.0, 80.0, 50.0, 38.0)
    )
    out_c, taps = _rows(node, qgraph).shape
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    channel = per_channel + per_group * -(-taps // GROUP)
    rows = per_row * _conv_window(node, qgraph).kernel[0]
    return -(-out_h * out_w // 4) * (taps * per_tap + rows + out_c * channel)


def _conv_gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    if index != 0:
        return None
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    return forward_gap(_conv_window(node, qgraph), image[1:], out[3], 4)


# ---- depthwise_conv2d ----


@dataclass(frozen=True)
class Band:
    """How a depthwise convolution is cut: output rows of a band, its input rows, their pixels."""

    rows: int
    lines: int
    wide: int


def _depthwise_window(node: Node, qgraph: QGraph) -> Window:
    return window(node, _weights(node, qgraph).shape[:2])


def _band(node: Node, qgraph: QGraph) -> Band:
    """As many rows as scratch may hold without raising the network's peak, in equal bands."""
    win = _depthwise_window(node, qgraph)
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    one_row, reach = win.spans()
    wide = (out_w - 1) * win.strides[1] + reach
    pitch = wide * qgraph.tensor(node.inputs[0]).shape[3]
    spare = scratch_budget(node, qgraph) // pitch - one_row
    rows = max(1, min(out_h, spare // win.strides[0] + 1))
    rows = -(-out_h // -(-out_h // rows))
    return Band(rows, (rows - 1) * win.strides[0] + one_row, wide)


def _depthwise_accepts(node: Node, qgraph: QGraph) -> bool:
    win = _depthwise_window(node, qgraph)
    band = _band(node, qgraph)
    shape = (*qgraph.tensor(node.inputs[0]).shape, *qgraph.tensor(node.output).shape)
    small = max((*win.kernel, *win.strides, *win.dilations)) <= 255
    return small and max(*shape, *win.pads, band.lines, band.wide) <= SIZE_MAX


def _depthwise_3x3_accepts(node: Node, qgraph: QGraph) -> bool:
    win = _depthwise_window(node, qgraph)
    plain = win.kernel == (3, 3) and win.strides[1] <= 2 and win.dilations[1] == 1
    same = qgraph.tensor(node.inputs[0]).shape[3] == qgraph.tensor(node.output).shape[3]
    return plain and same and _depthwise_accepts(node, qgraph)


def _depthwise_fields(node: Node, qgraph: QGraph) -> tuple[Field, ...]:
    win, band = _depthwise_window(node, qgraph), _band(node, qgraph)
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    return (
        *(Field(key, key) for key in ("weights", "bias", "shift")),
        *(Field(f"in_{key}", size) for key, size in zip("hwc", image[1:], strict=True)),
        *(Field(f"out_{key}", size) for key, size in zip("hw", out[1:3], strict=True)),
        Field("multiplier", out[3] // image[3]),
        Field("band", band.rows),
        Field("lines", band.lines),
        Field("wide", band.wide),
        Field("pad_top", win.pads[0]),
        Field("pad_left", win.pads[1]),
        *_window_fields(win),
        Field("pad_value", node.int("pad_value")),
        *_range_fields(node),
    )


def _depthwise_lower(symbol: str, words: bool) -> Callable[[Node, QGraph], tuple[Call, ...]]:
    """``words``: the scratch begins with one word a tap."""

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        weights = _weights(node, qgraph)
        kernel_h, kernel_w, out_c = weights.shape
        rows = np.ascontiguousarray(weights.reshape(-1, out_c).T)
        bias, shift = weighted.constants(node, qgraph)[1:]
        arrays = (ConstArray("weights", "int8_t", rows, "[out_c][kernel_h][kernel_w]"), bias, shift)
        band = _band(node, qgraph)
        scratch = band.lines * band.wide * qgraph.tensor(node.inputs[0]).shape[3]
        scratch += 4 * kernel_h * kernel_w if words else 0
        return (
            Call(
                symbol,
                "mcuq_depthwise_conv2d_block_params",
                _depthwise_fields(node, qgraph),
                node.inputs[:1],
                node.output,
                arrays,
                -(-scratch // 4) * 4,
            ),
        )

    return lower


def _depthwise_gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A band is written after all input rows up to its last were copied."""
    if index != 0:
        return None
    win, band = _depthwise_window(node, qgraph), _band(node, qgraph)
    _, height, width, depth = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    gap = 0
    for first in range(0, out_h - band.rows, band.rows):
        copied = first * win.strides[0] - win.pads[0] + band.lines
        if copied < height:
            written = (first + band.rows) * out_w * out_c
            gap = max(gap, written - max(copied, 0) * width * depth)
    return gap


def _depthwise_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per output, and per tap of it."""
    per_output, per_tap = weighted.pick(cpu, (20.0, 7.0), (28.0, 12.0), (20.0, 7.0))
    kernel_h, kernel_w, _ = _weights(node, qgraph).shape
    return qgraph.tensor(node.output).size * (per_output + kernel_h * kernel_w * per_tap)


def _depthwise_3x3_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per channel of a band, its rows and its pairs of outputs."""
    per_channel, per_row, per_pair = weighted.pick(
        cpu, (150.0, 30.0, 85.0), (220.0, 60.0, 88.0), (150.0, 30.0, 85.0)
    )
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    bands = -(-out_h // _band(node, qgraph).rows)
    rows = out_h * (per_row + per_pair * -(-out_w // 2))
    return out_c * (bands * per_channel + rows)


# ---- dense ----


def _dense_lower(block: int) -> Callable[[Node, QGraph], tuple[Call, ...]]:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        weights = _weights(node, qgraph)
        out_len, in_len = weights.shape
        rows = np.pad(weights.astype(np.int32) + 128, ((0, -out_len % block), (0, 0)))
        rows[out_len:] = 128
        packed = rows.reshape(-1, block, in_len).transpose(0, 2, 1).astype(np.uint8)
        bias, shift = weighted.constants(node, qgraph)[1:]
        comment = f"[out_len / {block}][in_len][{block}], plus 128"
        arrays = (ConstArray("weights", "uint8_t", packed, comment), bias, shift)
        fields = (
            *(Field(array.suffix, array.suffix) for array in arrays),
            Field("in_len", in_len),
            Field("out_len", out_len),
            Field("out_min", node.int("out_min")),
            Field("out_max", node.int("out_max")),
        )
        symbol = f"mcuq_dense_s8_block{block}"
        params = "mcuq_dense_block_params"
        return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays),)

    return lower


def _dense_cost(block: int) -> Callable[[Node, QGraph, Cpu], float]:
    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """Per block of outputs: its inputs and outputs."""
        per_input, per_output = weighted.pick(
            cpu, (1 + 2.0 * block, 20.0), (2 + 3.0 * block, 30.0), (1 + 3.0 * block, 20.0)
        )
        out_len, in_len = _weights(node, qgraph).shape
        blocks = -(-out_len // block)
        return 60 + 4 * in_len + blocks * (30 + in_len * per_input) + out_len * per_output

    return cost


CONV2D = Variant(
    "conv2d", "mcuq_conv2d_s8_block", _conv_lower, _conv_cost, _conv_accepts, gap=_conv_gap
)
DEPTHWISE = Variant(
    "depthwise_conv2d",
    "mcuq_depthwise_conv2d_s8_block",
    _depthwise_lower("mcuq_depthwise_conv2d_s8_block", True),
    _depthwise_cost,
    _depthwise_accepts,
    gap=_depthwise_gap,
)
DEPTHWISE_3X3 = Variant(
    "depthwise_conv2d",
    "mcuq_depthwise_conv2d_3x3_s8_block",
    _depthwise_lower("mcuq_depthwise_conv2d_3x3_s8_block", False),
    _depthwise_3x3_cost,
    _depthwise_3x3_accepts,
    gap=_depthwise_gap,
)
DENSE_4, DENSE_8 = (
    Variant("dense", f"mcuq_dense_s8_block{block}", _dense_lower(block), _dense_cost(block))
    for block in (4, 8)
)

VARIANTS = (CONV2D, DEPTHWISE, DEPTHWISE_3X3, DENSE_4, DENSE_8)
