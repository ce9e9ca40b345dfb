"""depthwise_conv2d on cores without SIMD: bands of output rows, channel by channel.

``mcuq_depthwise_conv2d_s8_block_3x3`` for most 3x3 kernels, ``mcuq_depthwise_conv2d_s8_block``
for any shape; ``mcuq_depthwise_conv2d_s8_block_3x3_pair`` on Cortex-M3 and up, where a channel of
the whole image fits scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.block import fields as blocked_fields
from mcuq.kernels.block.conv2d import GROUP_SUM
from mcuq.kernels.dsp.blocks import scratch_budget
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.depthwise_conv2d import window
from mcuq.ops.parts.windows import Window
from mcuq.qir import QGraph

_ANY = "mcuq_depthwise_conv2d_s8_block"
_3X3 = "mcuq_depthwise_conv2d_s8_block_3x3"
_PAIR = "mcuq_depthwise_conv2d_s8_block_3x3_pair"
_SPLIT = 32  # in shift: a kernel row is two groups


@dataclass(frozen=True)
class Band:
    """How the layer is cut: output rows of a band, the input rows they read, pixels of these."""

    rows: int
    lines: int
    wide: int


def _window(node: Node, qgraph: QGraph) -> Window:
    return window(node, qgraph.tensor(node.inputs[1]).shape)


def band(node: Node, qgraph: QGraph) -> Band:
    """As many rows as scratch may hold without raising the network's peak, in equal bands."""
    win = _window(node, qgraph)
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    one_row, reach = win.spans()
    wide = (out_w - 1) * win.strides[1] + reach
    pitch = wide * qgraph.tensor(node.inputs[0]).shape[3]
    spare = scratch_budget(node, qgraph) // pitch - one_row
    rows = max(1, min(out_h, spare // win.strides[0] + 1))
    rows = -(-out_h // -(-out_h // rows))
    return Band(rows, (rows - 1) * win.strides[0] + one_row, wide)


def _accepts(node: Node, qgraph: QGraph) -> bool:
    cut = band(node, qgraph)
    fits = max(cut.lines, cut.wide) <= blocked_fields.SIZE_MAX
    return fits and blocked_fields.representable(node, qgraph, _window(node, qgraph))


def _accepts_3x3(node: Node, qgraph: QGraph) -> bool:
    win = _window(node, qgraph)
    suits = win.kernel == (3, 3) and win.strides[1] <= 2 and win.dilations[1] == 1
    channels = {qgraph.tensor(name).shape[3] for name in (node.inputs[0], node.output)}
    return suits and len(channels) == 1 and _accepts(node, qgraph)


def halves(node: Node, qgraph: QGraph) -> Band:
    """The cut of the pair kernel: one half of the output rows; the other lies that far below."""
    win = _window(node, qgraph)
    _, out_h, out_w, _ = qgraph.tensor(node.output).shape
    one_row, reach = win.spans()
    rows = -(-out_h // 2)
    lines, wide = (rows - 1) * win.strides[0] + one_row, (out_w - 1) * win.strides[1] + reach
    return Band(rows, lines, wide)


def _pair_bytes(node: Node, qgraph: QGraph) -> int:
    cut = halves(node, qgraph)
    return 4 * cut.lines * cut.wide


def _kernel_rows(node: Node, qgraph: QGraph) -> Array:
    """(3, 3, out_c): the weights' magnitudes."""
    magnitudes: Array = np.abs(qgraph.data(node.inputs[1]).astype(np.int32))
    return magnitudes


def split_channels(node: Node, qgraph: QGraph) -> Array:
    """(out_c,): whether a kernel row's weights sum to more than a group holds."""
    sums: Array = _kernel_rows(node, qgraph).sum(1).max(0)
    return sums > GROUP_SUM


def _accepts_pair(node: Node, qgraph: QGraph) -> bool:
    """Two taps of a group and any third alone are exact: only -128 beside -128 is too much."""
    if not _accepts_3x3(node, qgraph):
        return False
    fits = _pair_bytes(node, qgraph) <= scratch_budget(node, qgraph)
    return fits and int(_kernel_rows(node, qgraph)[:, :2].sum(1).max()) <= GROUP_SUM


def _lower_pair(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias, shift = _arrays(node, qgraph)
    flags = (shift.data + _SPLIT * split_channels(node, qgraph)).astype(np.int8)
    about = f"+ {_SPLIT}: a kernel row is two groups"
    arrays = (weights, bias, ConstArray("shift", "int8_t", flags, about))
    fields, scratch = _fields(node, qgraph, halves(node, qgraph)), _pair_bytes(node, qgraph)
    params = "mcuq_depthwise_conv2d_block_params"
    return (Call(_PAIR, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _arrays(node: Node, qgraph: QGraph) -> tuple[ConstArray, ...]:
    """weights, channel by channel; bias and shift."""
    weights = qgraph.data(node.inputs[1])
    rows = np.ascontiguousarray(weights.reshape(-1, weights.shape[2]).T)
    _, *constants = weighted.constants(node, qgraph)
    return (ConstArray("weights", "int8_t", rows, "[out_c][kernel_h][kernel_w]"), *constants)


def _lower(symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        arrays, area = _arrays(node, qgraph), _window(node, qgraph).area()
        cut, depth = band(node, qgraph), qgraph.tensor(node.inputs[0]).shape[3]
        scratch = cut.lines * cut.wide * depth + (4 * area if symbol == _ANY else 0)
        params = "mcuq_depthwise_conv2d_block_params"
        fields = _fields(node, qgraph, cut)
        scratch = -(-scratch // 4) * 4
        return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

    return lower


def _fields(node: Node, qgraph: QGraph, cut: Band) -> tuple[Field, ...]:
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    return (
        *(Field(key, key) for key in ("weights", "bias", "shift")),
        *(Field(f"in_{axis}", size) for axis, size in zip("hwc", image[1:], strict=True)),
        *(Field(f"out_{axis}", size) for axis, size in zip("hw", out[1:3], strict=True)),
        Field("multiplier", out[3] // image[3]),
        Field("band", cut.rows, "output rows"),
        Field("lines", cut.lines, "input rows of a band"),
        Field("wide", cut.wide, "pixels of these, pads included"),
        *blocked_fields.fields(node, _window(node, qgraph)),
    )


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A band is written after all input rows up to its last were copied."""
    if index != 0:
        return None
    win, cut = _window(node, qgraph), band(node, qgraph)
    _, height, width, depth = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    gap = 0
    for first in range(0, out_h - cut.rows, cut.rows):
        copied = first * win.strides[0] - win.pads[0] + cut.lines
        if copied < height:
            written = (first + cut.rows) * out_w * out_c
            gap = max(gap, written - max(copied, 0) * width * depth)
    return gap


def _filled(node: Node, qgraph: QGraph, cut: Band) -> tuple[int, int, int]:
    """Bands, and the rows and bytes that are brought into scratch."""
    bands = -(-qgraph.tensor(node.output).shape[1] // cut.rows)
    lines = bands * cut.lines
    return bands, lines, lines * cut.wide * qgraph.tensor(node.inputs[0]).shape[3]


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per channel of a band, four outputs, their taps, byte and row of input."""
    rates = weighted.pick(
        cpu,
        (4.7, 106.0, 12.1, 3.4, 154.0),
        (37.6, 94.4, 23.8, 3.5, 300.0),
        (30.1, 48.6, 22.0, 3.4, 222.0),
    )
    cut = band(node, qgraph)
    bands, lines, filled = _filled(node, qgraph, cut)
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    quads = out_c * -(-out_h * out_w // 4)
    counts = (bands * out_c, quads, quads * _window(node, qgraph).area(), filled, lines)
    return float(sum(rate * count for rate, count in zip(rates, counts, strict=True)))


def _cost_3x3(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per channel of a band, pair of outputs (by stride), odd output, byte and row of input."""
    rates = weighted.pick(
        cpu,
        (144.0, 52.0, 49.1, 67.1, 1.1, 144.0),
        (221.0, 86.8, 84.7, 103.0, 1.4, 205.0),
        (181.0, 97.4, 93.8, 81.9, 1.2, 159.0),
    )
    cut = band(node, qgraph)
    bands, lines, filled = _filled(node, qgraph, cut)
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    pairs, odd = out_c * out_h * (out_w // 2), out_c * out_h * (out_w % 2)
    far = _window(node, qgraph).strides[1] == 2
    counts = (bands * out_c, 0 if far else pairs, pairs if far else 0, odd, filled, lines)
    return float(sum(rate * count for rate, count in zip(rates, counts, strict=True)))


def _gap_pair(node: Node, qgraph: QGraph, index: int) -> int | None:
    """A channel is read before any of it is written, and no other channel's bytes are."""
    return 0 if index == 0 else None


def _cost_pair(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per channel, pair of outputs (kernel rows whole or in two groups), row of them, pair of
    inputs; per channel whose last row is not one of a pair.
    """
    cut, split = halves(node, qgraph), int(split_channels(node, qgraph).sum())
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    pairs = cut.rows * out_w
    words = out_c * cut.lines * min(qgraph.tensor(node.inputs[0]).shape[2], cut.wide)
    counts = (out_c, (out_c - split) * pairs, split * pairs, out_c * cut.rows, words)
    rates = (234.0, 51.5, 56.9, 19.8, 5.9)
    odd = 82.2 * out_c * (out_h % 2)
    return odd + float(sum(rate * count for rate, count in zip(rates, counts, strict=True)))


VARIANTS = (
    Variant(
        "depthwise_conv2d",
        _PAIR,
        _lower_pair,
        _cost_pair,
        _accepts_pair,
        frozenset({"thumb2"}),
        _gap_pair,
        gap_exact=True,
        cycles=1.3,
    ),
    Variant("depthwise_conv2d", _3X3, _lower(_3X3), _cost_3x3, _accepts_3x3, gap=_gap),
    Variant("depthwise_conv2d", _ANY, _lower(_ANY), _cost, _accepts, gap=_gap),
)
