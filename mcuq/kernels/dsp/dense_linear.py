"""dense from codes of 4 bits on a linear scale, with the DSP extension:
``mcuq_dense_s8_coded4_dsp_linear``. It also runs a conv2d with one output pixel.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats.codes import MOST, has_few_values
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_coded4_dsp_linear"
_ROWS = 4
_TURN = 8
_FOLD = 16  # what sums are a multiple of
_IN_WORD = [0, 1, 4, 5, 2, 3, 6, 7]
_LAST = [3, 7]  # nibbles of a word that are signed


def scale_of(weights: Array) -> tuple[int, int] | None:
    """(step, least) with every weight least + step * 0..15, if there are such.

    >>> scale_of(np.array([-7, 5, 1])), scale_of(np.array([0, 1, 16]))
    ((4, -7), None)
    """
    values = np.unique(weights).astype(int)
    step = math.gcd(*np.diff(values).tolist()) or 1
    return (step, int(values[0])) if (values[-1] - values[0]) // step < MOST else None


def _rows_of(node: Node, qgraph: QGraph) -> Array:
    """(out, in) weights."""
    weights = qgraph.data(node.inputs[1])
    return weights.reshape(len(weights), -1)


def _nibbles(weights: Array, step: int, least: int) -> Array:
    """(out, in) -> codes [out][in / 8][8] in the order of a word, the signed ones 8 less."""
    rows, columns = -weights.shape[0] % _ROWS, -weights.shape[1] % _TURN
    codes = (weights.astype(np.int64) - least) // step
    eights = np.pad(codes, ((0, rows), (0, columns))).reshape(-1, _turns(weights), _TURN)
    found: Array = eights[..., _IN_WORD]
    found[..., _LAST] -= 8
    return found


def _pack(nibbles: Array) -> Array:
    """Words [out / 4][in / 8 * 4]."""
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    words = np.bitwise_or.reduce((nibbles & 15).astype(np.uint32) << shifts, axis=2)
    groups = len(words) // _ROWS
    found: Array = words.reshape(groups, _ROWS, -1).swapaxes(1, 2).reshape(groups, -1)
    return found


def _offsets(nibbles: Array) -> Array:
    """(out,) what the offsets of the kernel's factors add to a sum."""
    n0, _, n2, n3 = np.moveaxis(nibbles.reshape(len(nibbles), -1, 4), 2, 0)
    found: Array = (2048 * (n0 + n2) - 128 * (n2 + 16 * n3)).sum(1)
    return found


def _reach(weights: Array) -> Array:
    """(out,) the most that inputs add to a bias."""
    found: Array = 128 * np.abs(weights.astype(np.int64)).sum(1)
    return found


def _biases(node: Node, qgraph: QGraph) -> Array:
    """(out,) int64; one beyond what can tell outputs apart is moved to the nearest that is not."""
    reach, shift = _reach(_rows_of(node, qgraph)), np.array(node.ints("shift"), np.int64)
    bias = qgraph.data(node.inputs[2]).astype(np.int64)
    found: Array = np.clip(bias, (-128 << shift) - reach, (128 << shift) + reach)
    return found


def _turns(weights: Array) -> int:
    """Inputs in eights."""
    return int(-(-weights.shape[1] // _TURN))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    weights = _rows_of(node, qgraph)
    if not has_few_values(node, qgraph) or scale_of(weights) is None:
        return False
    most = int((np.abs(_biases(node, qgraph)) + _reach(weights)).max())
    return _FOLD * most < 2**31 and _FOLD << max(node.ints("shift")) < 2**31


def _accepts_conv2d(node: Node, qgraph: QGraph) -> bool:
    return is_dense(node, qgraph) and _accepts(node, qgraph)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = _rows_of(node, qgraph)
    scale = scale_of(weights)
    assert scale is not None
    fill, turns = -len(weights) % _ROWS, _turns(weights)
    nibbles = _nibbles(weights, *scale)
    biases = _FOLD * np.pad(_biases(node, qgraph), (0, fill)) - scale[0] * _offsets(nibbles)
    ends = (biases & 0xFFFFFFFF).astype(np.uint32).reshape(-1, _ROWS)
    shifts = np.pad(np.array(node.ints("shift"), np.uint8) + 4, (0, fill)).astype(np.uint8)
    packed = np.concatenate([_pack(nibbles), ends, shifts.view("<u4").reshape(-1, 1)], axis=1)
    fields = (
        Field("weights", "weights"),
        Field("in_len", weights.shape[1]),
        Field("out_len", weights.shape[0]),
        Field("turns", turns),
        Field("step", scale[0]),
        Field("least", scale[1]),
        Field("out_min", node.int("out_min")),
        Field("out_max", node.int("out_max")),
    )
    arrays = (ConstArray("weights", "uint32_t", packed.astype(np.uint32).ravel()),)
    params = "mcuq_dense_coded_linear_params"
    return (Call(_SYMBOL, params, fields, node.inputs[:1], node.output, arrays, 16 * turns),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """The inputs once; per four outputs turns, the loop, results."""
    weights = _rows_of(node, qgraph)
    turns = _turns(weights)
    group = 31 * turns + 3 * -(-turns // 4) + 36
    return float(90 + 24 * turns + -(-len(weights) // _ROWS) * group)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """All inputs are read before the first output is written."""
    return 0 if index == 0 else None


VARIANTS = tuple(
    Variant(op, _SYMBOL, _lower, _cost, accepts, frozenset({"dsp"}), _gap, cycles=1.28)
    for op, accepts in (("dense", _accepts), ("conv2d", _accepts_conv2d))
)
