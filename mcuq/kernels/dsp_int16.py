"""conv2d on s16 data with the DSP extension: two pixels and four channels at a time."""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels import weighted
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.conv2d import window
from mcuq.qir import QGraph

_SYMBOL = "mcuq_conv2d_s16_dsp"


def pack_weights(weights: Array) -> Array:
    """(out_c, ...) int8 -> words of two inputs of two channels in turn; 4 channels together."""
    flat = weights.reshape(len(weights), -1)
    flat = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2)))
    turns = flat.reshape(len(flat) // 4, 2, 2, -1, 2).transpose(0, 3, 1, 4, 2).astype(np.int8)
    words: Array = np.ascontiguousarray(turns).reshape(-1).view("<u4").astype(np.uint32)
    return words


def _words(node: Node, qgraph: QGraph) -> int:
    return math.ceil(math.prod(qgraph.tensor(node.inputs[1]).shape[1:]) / 2)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = qgraph.data(node.inputs[1])
    (call,) = weighted.convolution(_SYMBOL, node, qgraph, window(node, weights.shape), 1)
    packed = ConstArray("weights", "uint32_t", pack_weights(weights))
    words = _words(node, qgraph)
    fields = tuple(
        Field("words", words) if field.name == "groups" else field for field in call.fields
    )
    arrays = (packed, *call.arrays[1:])
    params = "mcuq_conv2d_s16_dsp_params"
    return (Call(_SYMBOL, params, fields, call.inputs, call.output, arrays, scratch=8 * words),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    _, kh, kw, in_c = qgraph.tensor(node.inputs[1]).shape
    pairs = out_h * math.ceil(out_w / 2)
    by_element = 5.0 if in_c % 2 == 0 else 18.0
    gathered = 2 * kh * kw * (22 + in_c * by_element / 2)
    return pairs * (60 + gathered + out_c / 4 * (110 + 20 * _words(node, qgraph)))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    return node.int("groups") == 1 and qgraph.tensor(node.output).shape[3] % 4 == 0


VARIANTS = (
    Variant("conv2d", _SYMBOL, _lower, _cost, _accepts, frozenset({"dsp"}), cycles=1.5, kinds=S16),
)
