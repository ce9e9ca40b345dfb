"""conv2d, depthwise_conv2d, dense and add on s16 data with Helium (MVE)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve import conv2d
from mcuq.kernels.mve.blocks import CHUNK, NEEDS, minus_shift, round_up
from mcuq.kernels.mve.conv2d import Shape
from mcuq.kernels.plain import add, depthwise_taps, elementwise, int16
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant, lower_as
from mcuq.qir import QGraph

_CONV, _DEPTHWISE, _DENSE, _ADD = (
    f"mcuq_{op}_s16_mve" for op in ("conv2d", "depthwise_conv2d", "dense", "add")
)
_EIGHT = 8


def _range(node: Node) -> Field:
    return Field("out_range", (node.int("out_min"), node.int("out_max")))


# ---- conv2d: the window and its moves count bytes, two an input ----


def _shape(node: Node, qgraph: QGraph) -> Shape:
    """The sizes, channels of the input in bytes."""
    s = conv2d.shape_of(node, qgraph)
    s = replace(s, in_c=2 * s.in_c)
    return conv2d.direct_shape(s) if conv2d.is_direct(s) else s


def _pack(weights: Array, shape: Shape) -> Array:
    """(out_c, ...) -> [pair][step][2][8], zeros where a step or the last pair is not full."""
    rows = weights.reshape(shape.out_c, -1)
    padding = ((0, shape.out_c % 2), (0, _EIGHT * shape.steps - rows.shape[1]))
    return np.pad(rows, padding).reshape(-1, 2, shape.steps, _EIGHT).transpose(0, 2, 1, 3)


def _accepts_conv(node: Node, qgraph: QGraph) -> bool:
    """As of s8 data with twice the channels; padding is zero."""
    s = _shape(node, qgraph)
    zero = node.int("pad_value") == 0 or not any(node.ints("pads"))
    return zero and node.int("groups") == 1 and conv2d.holds(s)


def _lower_conv(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    s = _shape(node, qgraph)
    (call,) = conv2d.lower_shape(_CONV, node, qgraph, s, _pack(qgraph.data(node.inputs[1]), s))
    members = tuple(field for field in call.fields if field.name not in ("out_range", "pad_value"))
    fields = (*(replace(field, name=f"conv.{field.name}") for field in members), _range(node))
    return (replace(call, params_type=f"{_CONV}_params", fields=fields),)


def _cost_conv(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    s = _shape(node, qgraph)
    blocks = -(-s.pixels // 4) * -(-s.out_c // CHUNK)
    return conv2d.cost_of(s) + 20 * blocks


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    s = _shape(node, qgraph)
    return conv2d.gap_of(replace(s, out_c=2 * s.out_c))


# ---- depthwise_conv2d ----


def _halves(values: Array) -> Array:
    """(n,) -> (n / 8, 8): of each eight the even ones, then the odd ones."""
    eights: Array = values.reshape(-1, 4, 2).transpose(0, 2, 1).reshape(-1, _EIGHT)
    return eights


def pack_depthwise(weights: Array, bias: Array, shift: Array) -> Array:
    """(kh, kw, C), (C,), (C,) -> the words of mcuq_depthwise_conv2d_s16_mve_params."""
    order = depthwise_taps.order(weights.shape[2], _EIGHT)
    eights = depthwise_taps.packed(weights, order, _EIGHT).astype(np.int8)
    parts = (
        np.ascontiguousarray(_halves(bias[order]).astype("<i4")).view(np.int8),
        eights.reshape(len(eights), -1),
        _halves(-shift[order]).astype(np.int8),
    )
    return np.ascontiguousarray(np.concatenate(parts, axis=1)).view("<i4").ravel()


def _lower_depthwise(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = (qgraph.data(name) for name in node.inputs[1:3])
    packed = pack_depthwise(weights, bias, np.array(node.ints("shift")))
    array = ConstArray("weights", "int32_t", packed)
    return depthwise_taps.call(_DEPTHWISE, node, qgraph, array, (_range(node),))


def _cost_depthwise(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Per eight channels of a pixel: the taps and the outputs."""
    eights = -(-qgraph.tensor(node.output).shape[3] // _EIGHT)
    taps = depthwise_taps.count(node, qgraph)
    return depthwise_taps.cost(node, qgraph, 62 + eights * (7.7 * taps + 20))


# ---- dense ----


def _lower_dense(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights, bias = (qgraph.data(name) for name in node.inputs[1:3])
    rows = weights.reshape(len(weights), -1)
    out_len, in_len = rows.shape
    padded = np.pad(rows, ((0, -out_len % _EIGHT), (0, -in_len % _EIGHT)))
    packed = padded.reshape(len(padded) // _EIGHT, _EIGHT, -1, _EIGHT).transpose(0, 2, 1, 3)
    arrays = (
        ConstArray("weights", "int8_t", packed, "[block][step][8][8]"),
        ConstArray("bias", "int32_t", np.pad(bias, (0, -out_len % _EIGHT))),
        minus_shift(node.ints("shift")),
    )
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("in_len", in_len),
        Field("out_len", out_len),
        _range(node),
    )
    scratch = 32 + (2 * round_up(in_len, _EIGHT) if in_len % _EIGHT else 0)
    params = f"{_DENSE}_params"
    return (Call(_DENSE, params, fields, node.inputs[:1], node.output, arrays, scratch),)


def _cost_dense(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    weights = qgraph.tensor(node.inputs[1])
    out_len = weights.shape[0]
    steps = round_up(weights.size // out_len, _EIGHT) // _EIGHT
    turns = steps // 4 if steps % 4 == 0 else steps
    return 60 + -(-out_len // _EIGHT) * (75 + 17 * steps + 2 * turns)


# ---- add ----


def _cost_add(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Nine instructions for four elements."""
    return 45 + 9 * elementwise.output_size(node, qgraph) / 4


def _spread_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """A row of a spread, and its vectors of four."""
    rows = elementwise.spread_rows(node, qgraph)
    inner = elementwise.output_size(node, qgraph) // rows
    return 40 + rows * (55.0 + 11.5 * -(-inner // 4))


VARIANTS = (
    Variant("conv2d", _CONV, _lower_conv, _cost_conv, _accepts_conv, NEEDS, _gap, kinds=S16),
    Variant(
        "depthwise_conv2d",
        _DEPTHWISE,
        _lower_depthwise,
        _cost_depthwise,
        depthwise_taps.accepts(_EIGHT),
        NEEDS,
        kinds=S16,
    ),
    Variant("dense", _DENSE, _lower_dense, _cost_dense, needs=NEEDS, kinds=S16),
    Variant("conv2d", _DENSE, _lower_dense, _cost_dense, is_dense, NEEDS, kinds=S16),
    Variant(
        "add",
        _ADD,
        lower_as(add.VARIANTS[0], _ADD, "mcuq_add_s16_params"),
        _cost_add,
        add.VARIANTS[0].accepts,
        NEEDS,
        elementwise.gap,
        kinds=S16,
    ),
    *(
        int16.ported(variant, "mve", _spread_cost, NEEDS)
        for variant in (int16.MUL, int16.MUL_BROADCAST, int16.ADD_BROADCAST)
    ),
)
