"""conv2d on s16 data with the DSP extension: four pixels and two channels at a time."""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.conv2d import window
from mcuq.ops.parts.windows import Window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s16_dsp"
_TURN = 4  # words


def pack_weights(weights: Array, bias: Array, shift: Array) -> Array:
    """(out_c, ...) int8 -> words per 2 channels: biases, [words] two inputs of each, the shifts."""
    flat = weights.reshape(len(weights), -1)
    flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % (2 * _TURN))))
    turns = flat.reshape(len(flat) // 2, 2, -1, 2).transpose(0, 2, 3, 1).astype(np.int8)
    body = np.ascontiguousarray(turns).reshape(len(turns), -1).view("<u4")
    heads = bias.astype("<i4").view("<u4").reshape(-1, 2)
    shifts = shift.astype("<u1").reshape(-1, 2).astype("<u4") @ np.array([1, 256], "<u4")
    words = np.concatenate([heads, body, shifts[:, None]], axis=1)
    return words.astype(np.uint32).ravel()


def _words(node: Node, qgraph: QGraph) -> int:
    return _TURN * math.ceil(math.prod(qgraph.tensor(node.inputs[1]).shape[1:]) / (2 * _TURN))


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = (qgraph.data(name) for name in node.inputs[1:3])
    (call,) = weighted.convolution(_SYMBOL, node, qgraph, window(node, weights.shape), 1)
    packed = pack_weights(weights, bias, np.array(node.ints("shift")))
    words = _words(node, qgraph)
    fields = tuple(
        Field("words", words) if field.name == "groups" else field
        for field in call.fields
        if field.name not in ("bias", "shift")
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    params = "mcuq_conv2d_s16_dsp_params"
    return (Call(_SYMBOL, params, fields, call.inputs, call.output, arrays, scratch=16 * words),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    in_w = qgraph.tensor(node.inputs[0]).shape[2]
    _, kh, kw, in_c = qgraph.tensor(node.inputs[1]).shape
    words = _words(node, qgraph)
    quads = math.ceil(out_h * out_w / 4)
    apart = _border_share(window(node, (out_c, kh, kw, in_c)), in_w, out_w)
    gathered = 4 * (40 + kh * (34 + kw * (in_c * 1.5 + apart * 25)))
    group = 13 * words + 3 * words / _TURN + 52
    limited = node.int("out_max") < 32767 or node.int("out_min") not in (0, -32768)
    return 60 + 4 * words + quads * (60 + gathered + out_c * (group / 2 + 28 * limited))


def _border_share(win: Window, in_w: int, out_w: int) -> float:
    """The share of output columns whose windows have taps that do not lie together."""
    lefts = [x * win.strides[1] - win.pads[1] for x in range(out_w)]
    within = sum(left >= 0 and left + win.kernel[1] <= in_w for left in lefts)
    return 1.0 - within / out_w if win.dilations[1] == 1 else 1.0


def _accepts(node: Node, qgraph: QGraph) -> bool:
    return node.int("groups") == 1 and qgraph.tensor(node.output).shape[3] % 2 == 0


VARIANTS = (
    Variant("conv2d", _SYMBOL, _lower, _cost, _accepts, frozenset({"dsp"}), cycles=1.4, kinds=S16),
)
