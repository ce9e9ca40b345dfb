"""depthwise_conv2d at one place, whose taps are equally far apart: what a stream runs.

Shared by ``mcuq_depthwise_conv2d_s8_dsp_one`` and ``..._mve``.
"""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.variant import Call, ConstArray, Field
from mcuq.ops.depthwise_conv2d import window
from mcuq.qir import QGraph

LANES = 4


def sizes(node: Node, qgraph: QGraph) -> tuple[int, int]:
    """Channels and taps."""
    kh, kw, channels = qgraph.tensor(node.inputs[1]).shape
    return channels, kh * kw


def pitch(node: Node, qgraph: QGraph) -> int:
    """Bytes of the input from a tap to the next; 0 where they are not equally far apart."""
    _, _, width, channels = qgraph.tensor(node.inputs[0]).shape
    kh, kw, _ = qgraph.tensor(node.inputs[1]).shape
    down, across = window(node, qgraph.tensor(node.inputs[1]).shape).dilations
    if kh == 1:
        return across * channels
    if kw == 1:
        return down * width * channels
    return channels if kw == width and across == down == 1 else 0


def accepts(node: Node, qgraph: QGraph) -> bool:
    """One place, no padding, one output for each channel."""
    kept = qgraph.tensor(node.inputs[0]).shape[3] == qgraph.tensor(node.inputs[1]).shape[2]
    one = qgraph.tensor(node.output).shape[1:3] == (1, 1)
    return kept and one and not any(node.ints("pads")) and pitch(node, qgraph) > 0


def lower(symbol: str, node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """The call, its weights in groups of four channels."""
    channels, taps = sizes(node, qgraph)
    more = -channels % LANES
    weights = np.pad(qgraph.data(node.inputs[1]).reshape(taps, channels), ((0, 0), (0, more)))
    groups = weights.reshape(taps, -1, LANES).transpose(1, 0, 2)
    ends = {
        "bias": np.pad(qgraph.data(node.inputs[2]), (0, more)),
        "shift": np.pad(np.array(node.ints("shift"), np.int8), (0, more)),
    }
    arrays = (
        ConstArray("weights", "int8_t", np.ascontiguousarray(groups), "[group][tap][4]"),
        ConstArray("bias", "int32_t", ends["bias"]),
        ConstArray("shift", "int8_t", ends["shift"]),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("channels", channels),
        Field("taps", taps),
        Field("tap_pitch", pitch(node, qgraph)),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    params = "mcuq_depthwise_one_params"
    return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays),)


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place: four channels of all taps are read before they are written."""
    return 0 if index == 0 else None
