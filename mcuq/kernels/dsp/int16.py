"""depthwise_conv2d, dense and add on s16 data with the DSP extension."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import add, depthwise_taps, elementwise, int16
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant, lower_as
from mcuq.qir import QGraph

_DEPTHWISE, _DENSE, _ADD = (f"mcuq_{op}_s16_dsp" for op in ("depthwise_conv2d", "dense", "add"))
_NEEDS = frozenset({"dsp"})
_FOUR = 4


def _shift_words(shift: Array) -> Array:
    """(n,) -> (n / 4, 1) words."""
    return np.ascontiguousarray(shift.astype("<u1")).view("<u4").reshape(-1, 1)


def _bias_words(bias: Array) -> Array:
    """(n,) -> (n / 4, 4) words."""
    return bias.astype("<i4").view("<u4").reshape(-1, _FOUR)


def limited(node: Node, own: tuple[tuple[int, int], ...]) -> bool:
    """Whether a pass over the outputs limits them further than saturation does."""
    return (node.int("out_min"), node.int("out_max")) not in own


# ---- depthwise_conv2d ----


def pack_depthwise(weights: Array, bias: Array, shift: Array) -> Array:
    """(kh, kw, C), (C,), (C,) -> words per 4 channels: biases, [taps][4] bytes, shifts."""
    order = depthwise_taps.order(weights.shape[2], _FOUR)
    fours = depthwise_taps.packed(weights, order, _FOUR).astype(np.int8)
    body = fours.reshape(len(fours), -1).view("<u4")
    parts = (_bias_words(bias[order]), body, _shift_words(shift[order]))
    return np.concatenate(parts, axis=1).astype(np.uint32).ravel()


def _lower_depthwise(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = (qgraph.data(name) for name in node.inputs[1:3])
    packed = pack_depthwise(weights, bias, np.array(node.ints("shift")))
    limits = tuple(Field(name, node.int(name)) for name in ("out_min", "out_max"))
    array = ConstArray("weights", "uint32_t", packed)
    return depthwise_taps.call(_DEPTHWISE, node, qgraph, array, limits)


def _cost_depthwise(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per four channels of a pixel: the taps, 2 for three of them, the outputs."""
    channels = qgraph.tensor(node.output).shape[3]
    taps = depthwise_taps.count(node, qgraph)
    limits = 1.9 * channels * limited(node, ((-32768, 32767), (0, 32767)))
    pixel = -(-channels // _FOUR) * (10 * taps + 2 * taps / 3 + 25) + limits
    return depthwise_taps.cost(node, qgraph, 65 + pixel)


# ---- dense ----


def _words(in_len: int) -> int:
    return 4 * math.ceil(in_len / 8)


def pack_dense(weights: Array, bias: Array, shift: Array) -> Array:
    """(out, in), (out,), (out,) -> the words of mcuq_dense_s16_dsp_params."""
    out_len, in_len = weights.shape
    rows = -out_len % _FOUR
    padded = np.pad(weights, ((0, rows), (0, 2 * _words(in_len) - in_len))).astype(np.int8)
    fours = padded.reshape(len(padded) // _FOUR, 2, 2, -1, 2).transpose(0, 3, 1, 4, 2)
    body = np.ascontiguousarray(fours).reshape(len(fours), -1).view("<u4")
    parts = (
        _bias_words(np.pad(bias, (0, rows))),
        body,
        _shift_words(np.pad(shift, (0, rows))),
    )
    return np.concatenate(parts, axis=1).astype(np.uint32).ravel()


def _matrix(node: Node, qgraph: QGraph) -> Array:
    """(out, in)."""
    weights = qgraph.data(node.inputs[1])
    return weights.reshape(len(weights), -1)


def _lower_dense(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = _matrix(node, qgraph), qgraph.data(node.inputs[2])
    words = _words(weights.shape[1])
    packed = pack_dense(weights, bias, np.array(node.ints("shift")))
    fields = (
        Field("weights", "weights"),
        Field("in_len", weights.shape[1]),
        Field("out_len", weights.shape[0]),
        Field("words", words),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    params = "mcuq_dense_s16_dsp_params"
    return (Call(_DENSE, params, fields, node.inputs[:1], node.output, arrays, 4 * words),)


def _cost_dense(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    out_len, in_len = _matrix(node, qgraph).shape
    fours, turns = math.ceil(out_len / _FOUR), _words(in_len) // 4
    limits = 1.9 * out_len * limited(node, ((-32768, 32767),))
    return float(130 + in_len / 2 + fours * (40 * turns + 24) + limits)


# ---- add ----


def _accepts_add(node: Node, qgraph: QGraph) -> bool:
    """Both operands of the output's shape, scales of 16 bits."""
    fits = all(abs(node.int(name)) < 2**15 for name in ("mul_a", "mul_b"))
    return fits and add.VARIANTS[0].accepts(node, qgraph)


def _cost_add(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    count = elementwise.output_size(node, qgraph)
    limits = 1.9 * limited(node, ((-32768, 32767),))
    return 50 + count * (6.5 + limits)


# ---- mul, and operands that repeat ----


def _fits_broadcast(node: Node, qgraph: QGraph) -> bool:
    """Scales of 16 bits."""
    fits = all(abs(node.int(name)) < 2**15 for name in ("mul_a", "mul_b"))
    return fits and int16.ADD_BROADCAST.accepts(node, qgraph)


def _spread_cost(per_value: float) -> Callable[[Node, QGraph, Cpu], float]:
    """A row of a spread, a value, and its limits."""

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        rows = elementwise.spread_rows(node, qgraph)
        limits = 1.9 * limited(node, ((-32768, 32767),))
        count = elementwise.output_size(node, qgraph)
        return 50 + 30.0 * rows + count * (per_value + limits)

    return cost


VARIANTS = (
    Variant(
        "depthwise_conv2d",
        _DEPTHWISE,
        _lower_depthwise,
        _cost_depthwise,
        depthwise_taps.accepts(_FOUR),
        _NEEDS,
        cycles=1.5,
        kinds=S16,
    ),
    Variant("dense", _DENSE, _lower_dense, _cost_dense, needs=_NEEDS, cycles=1.4, kinds=S16),
    Variant(
        "conv2d",
        _DENSE,
        _lower_dense,
        _cost_dense,
        is_dense,
        _NEEDS,
        cycles=1.4,
        kinds=S16,
    ),
    Variant(
        "add",
        _ADD,
        lower_as(add.VARIANTS[0], _ADD, "mcuq_add_s16_params"),
        _cost_add,
        _accepts_add,
        _NEEDS,
        elementwise.gap,
        cycles=1.4,
        kinds=S16,
    ),
    int16.ported(int16.MUL, "dsp", _spread_cost(6.0), _NEEDS),
    int16.ported(int16.MUL_BROADCAST, "dsp", _spread_cost(7.5), _NEEDS),
    replace(
        int16.ported(int16.ADD_BROADCAST, "dsp", _spread_cost(8.5), _NEEDS),
        accepts=_fits_broadcast,
    ),
)
