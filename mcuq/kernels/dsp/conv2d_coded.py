"""conv2d from codes with the DSP extension: ``mcuq_conv2d_s8_coded4_dsp`` and ``..._coded2_dsp``,
and of each the twin ``..._winograd``: the products of the kernels that keep whole bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp import conv2d, conv2d_winograd
from mcuq.kernels.dsp.blocks import window
from mcuq.kernels.formats.codes import bits_of, encode, has_few_values
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_HEAD = 3  # words of a pair of channels before its weights
_INTO_PAIRS = [0, 2, 1, 3]


def _matrix_order(weights: Array) -> Array:
    """(pairs, bytes of [unit][2 channels][4]) -> the order in which the kernel widens them."""
    units = weights.reshape(len(weights), -1, 2, 4)[..., _INTO_PAIRS]
    return units.reshape(*units.shape[:3], 2, 2).swapaxes(2, 3).reshape(len(weights), -1)


def _winograd_order(weights: Array) -> Array:
    """(pairs, bytes of [unit][3 columns][2 channels][4]) -> [unit][2 channels][3 columns][4]."""
    units = weights.reshape(len(weights), -1, 3, 2, 4)[..., _INTO_PAIRS]
    return units.swapaxes(2, 3).reshape(len(weights), -1)


@dataclass(frozen=True)
class _Twin:
    """A kernel for codes of ``bits``; ``dense`` is its twin. ``extra``: instructions a weight and
    block that looking up takes beyond widening.
    """

    dense: Variant
    bits: int
    params: str
    order: Callable[[Array], Array]
    extra: float

    def variant(self) -> Variant:
        d = self.dense
        symbol = d.symbol.replace("s8_dsp", f"s8_coded{self.bits}_dsp")
        lower = self._lower(symbol)
        accepts, cost = self._accepts, self._cost
        return Variant(d.op, symbol, lower, cost, accepts, d.needs, d.gap, cycles=d.cycles)

    def _packed(self, node: Node, qgraph: QGraph) -> tuple[Call, Array, Array]:
        """The call of the dense twin, the first words of all pairs, and their weights."""
        (call,) = self.dense.lower(node, qgraph)
        pairs = -(-qgraph.tensor(node.output).shape[3] // 2)
        words = call.arrays[0].data.reshape(pairs, -1)
        return call, words[:, :_HEAD], np.ascontiguousarray(words[:, _HEAD:]).view(np.int8)

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        if not has_few_values(node, qgraph) or not self.dense.accepts(node, qgraph):
            return False
        return bits_of(self._packed(node, qgraph)[2]) == self.bits

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            call, heads, weights = self._packed(node, qgraph)
            codes = encode(self.order(weights))
            rows = codes.codes.reshape(len(heads), -1)
            filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
            about = f"per pair of channels three words, then codes of {self.bits} bits"
            packed = np.concatenate([heads, filled.view("<i4")], axis=1).astype(np.int32)
            arrays = (
                ConstArray("weights", "int32_t", packed.ravel(), about),
                ConstArray("values", "int8_t", codes.values),
            )
            fields = (
                *(replace(field, name=f"conv.{field.name}") for field in call.fields),
                Field("values", "values"),
            )
            scratch = call.scratch + 4 * 4**self.bits
            made = replace(call, symbol=symbol, params_type=self.params, scratch=scratch)
            return (replace(made, fields=fields, arrays=arrays),)

        return lower

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        call, _, weights = self._packed(node, qgraph)
        block = next(f.value for f in call.fields if f.name == "block")
        assert isinstance(block, int)
        blocks = -(-window(node, qgraph).pixels // block)
        table = 5 * 4**self.bits + 50
        own = table + self.extra * blocks * weights.size
        return float(self.dense.cost(node, qgraph, cpu) + own)


def _twins(bits: int, matrix_extra: float, winograd_extra: float) -> tuple[_Twin, _Twin]:
    matrix, winograd = conv2d.VARIANTS[0], conv2d_winograd.VARIANTS[0]
    coded, small = "mcuq_conv2d_coded_dsp_params", "mcuq_conv2d_coded_winograd_params"
    return (
        _Twin(matrix, bits, coded, _matrix_order, matrix_extra),
        _Twin(winograd, bits, small, _winograd_order, winograd_extra),
    )


VARIANTS = tuple(
    twin.variant() for twin in (*_twins(4, 5 / 16, 5 / 12), *_twins(2, 6 / 16, 10 / 12))
)
