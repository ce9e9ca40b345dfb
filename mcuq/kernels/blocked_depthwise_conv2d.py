"""depthwise_conv2d on cores without SIMD: bands of output rows, channel by channel.

``mcuq_depthwise_conv2d_3x3_s8_block`` for most 3x3 kernels, ``mcuq_depthwise_conv2d_s8_block`` for
any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Node
from mcuq.kernels import blocked_fields, weighted
from mcuq.kernels.dsp_blocks import scratch_budget
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.depthwise_conv2d import window
from mcuq.ops.windows import Window
from mcuq.qir import QGraph

_ANY = "mcuq_depthwise_conv2d_s8_block"
_3X3 = "mcuq_depthwise_conv2d_3x3_s8_block"


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


def _lower(symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        weights = qgraph.data(node.inputs[1])
        area, out_c = weights.shape[0] * weights.shape[1], weights.shape[2]
        rows = np.ascontiguousarray(weights.reshape(area, out_c).T)
        _, *constants = weighted.constants(node, qgraph)
        about = "[out_c][kernel_h][kernel_w]"
        arrays = (ConstArray("weights", "int8_t", rows, about), *constants)
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


VARIANTS = (
    Variant("depthwise_conv2d", _3X3, _lower(_3X3), _cost_3x3, _accepts_3x3, gap=_gap),
    Variant("depthwise_conv2d", _ANY, _lower(_ANY), _cost, _accepts, gap=_gap),
)
