"""dense from codes of 4 bits on a linear scale, with the DSP extension:
``mcuq_dense_s8_coded4_dsp_linear``. It also runs a conv2d with one output pixel.
"""

from __future__ import annotations

import math

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.coded_codes import MOST, has_few_values
from mcuq.kernels.dsp_dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_dense_s8_coded4_dsp_linear"
_ROWS = 4
_TURN = 8
_MOST_INPUTS = 65536  # the sums of codes are 16-fold: 16 * 15 * 128 * 65536 < 2**31


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


def _pack(weights: Array, step: int, least: int) -> Array:
    """(out, in) -> words [out / 4][in / 8][4]: byte i holds input i low and input i + 4 high."""
    rows, columns = -weights.shape[0] % _ROWS, -weights.shape[1] % _TURN
    codes = (weights.astype(np.int32) - least) // step
    eights = np.pad(codes, ((0, rows), (0, columns))).reshape(-1, _ROWS, _turns(weights), 2, 4)
    joined = (eights[..., 0, :] | eights[..., 1, :] << 4).astype(np.uint8)
    return np.ascontiguousarray(joined.swapaxes(1, 2)).view("<u4").reshape(len(joined), -1)


def _turns(weights: Array) -> int:
    """Inputs in eights."""
    return int(-(-weights.shape[1] // _TURN))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    weights = _rows_of(node, qgraph)
    if not has_few_values(node, qgraph) or weights.shape[1] > _MOST_INPUTS:
        return False
    return scale_of(weights) is not None


def _accepts_conv2d(node: Node, qgraph: QGraph) -> bool:
    return is_dense(node, qgraph) and _accepts(node, qgraph)


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    weights = _rows_of(node, qgraph)
    scale = scale_of(weights)
    assert scale is not None
    fill, turns = -len(weights) % _ROWS, _turns(weights)
    biases = np.pad(qgraph.data(node.inputs[2]), (0, fill)).reshape(-1, _ROWS).view(np.uint32)
    shifts = np.pad(np.array(node.ints("shift"), np.uint8), (0, fill)).view("<u4")
    packed = np.concatenate([_pack(weights, *scale), biases, shifts.reshape(-1, 1)], axis=1)
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
    group = 35 * turns + 3 * -(-turns // 4) + 45
    return float(90 + 40 * turns + -(-len(weights) // _ROWS) * group)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """All inputs are read before the first output is written."""
    return 0 if index == 0 else None


VARIANTS = tuple(
    Variant(op, _SYMBOL, _lower, _cost, accepts, frozenset({"dsp"}), _gap, cycles=1.25)
    for op, accepts in (("dense", _accepts), ("conv2d", _accepts_conv2d))
)
