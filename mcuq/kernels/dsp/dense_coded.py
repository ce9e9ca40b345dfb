"""dense from codes with the DSP extension: ``mcuq_dense_s8_coded4_dsp`` and ``..._coded2_dsp``.

Both also run a conv2d with one output pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.formats.codes import Codes, bits_of, encode, has_few_values
from mcuq.kernels.plain.dense import is_dense
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_ROWS = 4
_TURN = 8
_INTO_PAIRS = [0, 2, 1, 3]


def _rows_of(node: Node, qgraph: QGraph) -> Array:
    """(out, in) weights."""
    weights = qgraph.data(node.inputs[1])
    return weights.reshape(len(weights), -1)


@dataclass(frozen=True)
class _Coded:
    """Codes of ``bits``."""

    bits: int

    def variants(self) -> tuple[Variant, ...]:
        symbol = f"mcuq_dense_s8_coded{self.bits}_dsp"
        lower, needs, cycles = (
            self._lower(symbol),
            frozenset({"dsp"}),
            {4: 1.24, 2: 1.53}[self.bits],
        )
        return tuple(
            Variant(op, symbol, lower, self._cost, accepts, needs, _gap, cycles=cycles)
            for op, accepts in (("dense", self._accepts), ("conv2d", self._accepts_conv2d))
        )

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        weights = _rows_of(node, qgraph)
        few = has_few_values(node, qgraph) and bits_of(weights) == self.bits
        return few and weights.shape[1] <= _TURN * 32767

    def _accepts_conv2d(self, node: Node, qgraph: QGraph) -> bool:
        return is_dense(node, qgraph) and self._accepts(node, qgraph)

    def _encode(self, weights: Array) -> Codes:
        """(out, in) -> codes in the order of the kernel."""
        out_len, in_len = weights.shape
        pads = ((0, -out_len % _ROWS), (0, -in_len % _TURN))
        fours = np.pad(weights, pads, mode="edge").reshape(-1, _ROWS, (in_len + pads[1][1]) // 4, 4)
        fours = fours[..., _INTO_PAIRS]
        if self.bits == 2:
            return encode(fours.swapaxes(1, 2))
        return encode(fours.reshape(*fours.shape[:3], 2, 2).transpose(0, 2, 3, 1, 4))

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            weights = _rows_of(node, qgraph)
            out_len, in_len = weights.shape
            turns, groups = -(-in_len // _TURN), -(-out_len // _ROWS)
            codes, fill = self._encode(weights), groups * _ROWS - out_len
            biases = np.pad(qgraph.data(node.inputs[2]), (0, fill)).reshape(groups, _ROWS)
            shifts = np.pad(np.array(node.ints("shift"), np.uint8), (0, fill)).view("<i4")
            words = codes.codes.reshape(groups, -1).view("<i4")
            packed = np.concatenate([biases, words, shifts.reshape(groups, 1)], axis=1)
            arrays = (
                ConstArray("weights", "uint32_t", packed.astype(np.int32).view(np.uint32).ravel()),
                ConstArray("values", "int8_t", codes.values),
            )
            fields = (
                *(Field(array.suffix, array.suffix) for array in arrays),
                Field("in_len", in_len),
                Field("out_len", out_len),
                Field("turns", turns),
                Field("out_min", node.int("out_min")),
                Field("out_max", node.int("out_max")),
            )
            scratch = (1024 if self.bits == 4 else 2048) + 16 * turns
            params = "mcuq_dense_coded_dsp_params"
            return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

        return lower

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """The table and the inputs once; per four outputs turns, the loop, results."""
        out_len, in_len = _rows_of(node, qgraph).shape
        turns = -(-in_len // _TURN)
        table, turn = (790, 49) if self.bits == 4 else (640, 41)
        group = turn * turns + 3 * -(-turns // 4) + 28
        return float(table + 20 * turns + -(-out_len // _ROWS) * group)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """All inputs are read before the first output is written."""
    return 0 if index == 0 else None


VARIANTS = (*_Coded(4).variants(), *_Coded(2).variants())
