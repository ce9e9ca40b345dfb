"""dense with the DSP extension: ``mcuq_dense_s8_dsp`` (4 outputs at a time) and ``..._8``.

Both also run a conv2d with one output pixel.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant, looped
from mcuq.qir import QGraph
from mcuq.targets.cores import GENERIC

_SYMBOL = "mcuq_dense_s8_dsp"
_SYMBOL_8 = "mcuq_dense_s8_dsp_8"


def rows(node: Node, qgraph: QGraph) -> tuple[Array, Array]:
    """Weights (out, in) and biases (out,), int64.

    An output that is the same whatever the inputs are (one that a bias far outside saturates) has
    zero weights and the bias of that value instead: its sum may not fit.
    """
    weights, bias = (qgraph.data(name).astype(np.int64) for name in node.inputs[1:])
    weights = weights.reshape(len(weights), -1)
    shift = np.array(node.ints("shift"), np.int64)
    reach = 128 * np.abs(weights).sum(1)
    low, high = (np.clip((bias + end) >> shift, -128, 127) for end in (-reach, reach))
    same = low == high
    return np.where(same[:, None], 0, weights), np.where(same, low << shift, bias)


def _matrix(node: Node, qgraph: QGraph) -> Array:
    """(out, in) int64."""
    return rows(node, qgraph)[0]


def sizes(node: Node, qgraph: QGraph) -> tuple[int, int]:
    """Outputs and inputs."""
    weights = qgraph.data(node.inputs[1])
    return len(weights), weights.size // len(weights)


def _centers(node: Node, qgraph: QGraph) -> Array:
    """(out,) the results of the biases alone."""
    bias = rows(node, qgraph)[1]
    centers: Array = np.clip(bias >> np.array(node.ints("shift"), np.int64), -128, 127)
    return centers


def _rest(node: Node, qgraph: QGraph) -> Array:
    """(out,) what is left of the biases."""
    shift = np.array(node.ints("shift"), np.int64)
    rest: Array = rows(node, qgraph)[1] - (_centers(node, qgraph) << shift)
    return rest


def _fits(node: Node, qgraph: QGraph) -> bool:
    """Whether the sums fit 32 bits 256-fold."""
    bound = np.abs(_rest(node, qgraph)) + 128 * np.abs(_matrix(node, qgraph)).sum(1)
    return max(node.ints("shift")) <= 23 and bool(bound.max() < 2**23)


def pack_weights(weights: Array, bias: Array, shift: Array, centers: Array, group: int) -> Array:
    """(out, in) and (out,) -> words per group of outputs: biases, weights, shifts, centers.

    Weights are [in / 4][group] words; a word holds four inputs of an output: 256 * w1 + w0 + 128
    and 256 * w3 + w2 + 128. Both dimensions are padded with zeros: the inputs to a multiple of 8,
    the outputs to one of ``group``.
    """
    rows, columns = -weights.shape[0] % group, -weights.shape[1] % 8
    padded = np.pad(weights.astype(np.int64), ((0, rows), (0, columns)))
    even, odd = padded[:, 0::2] + 128, padded[:, 1::2]
    halves = (256 * odd + even).astype("<i2")
    words = np.ascontiguousarray(halves).view("<i4").reshape(len(padded) // group, group, -1)
    biases = np.pad(bias, (0, rows)) * 256 - 127 * even.sum(1)
    wrapped = (biases & 0xFFFFFFFF).astype(np.uint32).view(np.int32).reshape(-1, group)
    ends = [
        np.pad(v, (0, rows)).astype(np.uint8).view("<i4").reshape(len(wrapped), -1)
        for v in (shift + 8, centers)
    ]
    parts = (wrapped, words.transpose(0, 2, 1).reshape(len(wrapped), -1), *ends)
    return np.concatenate(parts, axis=1).astype(np.int32).view(np.uint32).ravel()


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    centers = _centers(node, qgraph) + 128
    return _call(_SYMBOL, node, qgraph, centers, 4)


def _lower_8(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    return _call(_SYMBOL_8, node, qgraph, _centers(node, qgraph), 8)


def _call(symbol: str, node: Node, qgraph: QGraph, centers: Array, group: int) -> tuple[Call, ...]:
    weights = _matrix(node, qgraph)
    turns = math.ceil(weights.shape[1] / 8)
    shift: Array = np.array(node.ints("shift"))
    packed = pack_weights(weights, _rest(node, qgraph), shift, centers, group)
    fields = (
        Field("weights", "weights"),
        Field("in_len", weights.shape[1]),
        Field("out_len", weights.shape[0]),
        Field("turns", turns),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed),)
    return (
        Call(symbol, "mcuq_dense_dsp_params", fields, node.inputs[:1], node.output, arrays,
             16 * turns),
    )  # fmt: skip


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    out_len, in_len = sizes(node, qgraph)
    turns = math.ceil(in_len / 8)
    return 100 + 16 * turns + math.ceil(out_len / 4) * (27 * turns + 3 * math.ceil(turns / 8) + 35)


def _cost_8(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    out_len, in_len = sizes(node, qgraph)
    turns = math.ceil(in_len / 8)
    group = 62 * turns + 3 * (turns // 8) + 58
    return 110 + 16 * turns + math.ceil(out_len / 8) * group


def _fetches_8(node: Node, qgraph: QGraph, cache: int) -> float:
    """16 steps of code."""
    steps = 2 * math.ceil(sizes(node, qgraph)[1] / 8)
    return looped(240 + 124 * min(steps, 16), _cost_8(node, qgraph, GENERIC), cache)


def _accepts_conv2d(node: Node, qgraph: QGraph) -> bool:
    return is_dense(node, qgraph) and _fits(node, qgraph)


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    return 0 if index == 0 else None


_NEEDS = frozenset({"dsp"})
VARIANTS = (
    Variant("dense", _SYMBOL, _lower, _cost, _fits, _NEEDS, gap, cycles=1.45),
    Variant("conv2d", _SYMBOL, _lower, _cost, _accepts_conv2d, _NEEDS, gap, cycles=1.45),
    Variant(
        "dense", _SYMBOL_8, _lower_8, _cost_8, _fits, _NEEDS, gap, cycles=1.25, fetches=_fetches_8
    ),
    Variant(
        "conv2d",
        _SYMBOL_8,
        _lower_8,
        _cost_8,
        _accepts_conv2d,
        _NEEDS,
        gap,
        cycles=1.25,
        fetches=_fetches_8,
    ),
)
