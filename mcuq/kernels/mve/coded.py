"""conv2d and dense from codes with Helium (MVE): ``mcuq_conv2d_s8_coded4_mve``,
``mcuq_dense_s8_coded4_mve``, and the same of 2 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import scratch_budget
from mcuq.kernels.formats.codes import Codes, bits_of, encode, has_few_values
from mcuq.kernels.mve import conv2d
from mcuq.kernels.mve.blocks import NEEDS, minus_shift, pack_pairs, round_up
from mcuq.kernels.mve.conv2d import Shape
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_CHANNELS = 4  # of which the codes fill whole vectors
_LEAST_DECODED = 8192  # bytes of decoded weights that are always allowed
_BLOCK = 8  # outputs of a dense layer that share inputs


def _encode(vectors: Array) -> Codes:
    """(..., 16) -> codes of as many vectors as fit a byte, the first in its lowest bits."""
    together = 8 // bits_of(vectors)
    return encode(vectors.reshape(-1, together, 16).swapaxes(1, 2))


@dataclass(frozen=True)
class _Conv2d:
    """Codes of ``bits``."""

    bits: int

    def variant(self) -> Variant:
        symbol = f"mcuq_conv2d_s8_coded{self.bits}_mve"
        lower, gap = self._lower(symbol), self._gap
        return Variant("conv2d", symbol, lower, self._cost, self._accepts, NEEDS, gap)

    def _packed(self, node: Node, qgraph: QGraph, s: Shape) -> Array:
        """The weights of the dense twin, up to a multiple of 4 channels."""
        weights = qgraph.data(node.inputs[1]).reshape(s.out_c, s.depth)
        return pack_pairs(np.pad(weights, ((0, -s.out_c % _CHANNELS), (0, 0)), mode="edge"))

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        if not has_few_values(node, qgraph) or not conv2d.accepts(node, qgraph):
            return False
        return bits_of(self._packed(node, qgraph, conv2d.any_shape(node, qgraph))) == self.bits

    def _chunk(self, node: Node, qgraph: QGraph, s: Shape) -> int:
        """Channels that are decoded together: chunks about equal."""
        groups = -(-s.out_c // _CHANNELS)
        room = max(_LEAST_DECODED, scratch_budget(node, qgraph)) // (16 * s.steps * _CHANNELS)
        chunks = -(-groups // max(1, room))
        return _CHANNELS * -(-groups // chunks)

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            s = conv2d.any_shape(node, qgraph)
            chunk, codes = self._chunk(node, qgraph, s), _encode(self._packed(node, qgraph, s))
            part = replace(s, out_c=min(chunk, s.out_c))
            (call,) = conv2d.lower(node, qgraph)
            arrays = (
                ConstArray("codes", "uint8_t", codes.codes, "[pair][step][2][16] weights"),
                ConstArray("values", "int8_t", codes.values),
                *(array for array in call.arrays if array.suffix != "weights"),
            )
            fields = (
                *(replace(f, name=f"conv.{f.name}") for f in call.fields if f.name != "weights"),
                Field("codes", "codes"),
                Field("values", "values"),
                Field("chunk", chunk, "channels that are decoded together"),
            )
            scratch = 16 * s.steps * chunk + conv2d.scratch_of(part)
            params = "mcuq_conv2d_coded_mve_params"
            return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

        return lower

    def _gap(self, node: Node, qgraph: QGraph, index: int) -> int | None:
        """The input is read once for each chunk."""
        s = conv2d.any_shape(node, qgraph)
        whole = self._chunk(node, qgraph, s) >= s.out_c
        return conv2d.VARIANT.gap(node, qgraph, index) if whole else None

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """Decoding, and all that the dense twin does for each chunk."""
        s = conv2d.any_shape(node, qgraph)
        chunk = self._chunk(node, qgraph, s)
        counts = [min(chunk, s.out_c - at) for at in range(0, s.out_c, chunk)]
        decode = (8 if self.bits == 4 else 16) * round_up(s.out_c, _CHANNELS) * s.steps * 16
        parts = sum(conv2d.cost_of(replace(s, out_c=count)) for count in counts)
        return parts + 30 * len(counts) + decode / (32 if self.bits == 4 else 64)


@dataclass(frozen=True)
class _Dense:
    """Codes of ``bits``."""

    bits: int

    def variant(self) -> Variant:
        symbol = f"mcuq_dense_s8_coded{self.bits}_mve"
        return Variant(
            "dense", symbol, self._lower(symbol), self._cost, self._accepts, NEEDS, _dense_gap
        )

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        weights = qgraph.data(node.inputs[1])
        return has_few_values(node, qgraph) and bits_of(weights) == self.bits

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            weights, bias = (qgraph.data(name) for name in node.inputs[1:])
            out_len, in_len = weights.shape
            fill = -out_len % _BLOCK
            padded = np.pad(weights, ((0, fill), (0, -in_len % 16)), mode="edge")
            blocks = padded.reshape(-1, _BLOCK, padded.shape[1] // 16, 16).swapaxes(1, 2)
            codes = _encode(blocks)
            shifts = np.pad(np.array(node.ints("shift")), (0, fill))
            arrays = (
                ConstArray("codes", "uint8_t", codes.codes, "[block][step][8][16] weights"),
                ConstArray("values", "int8_t", codes.values),
                ConstArray("bias", "int32_t", np.pad(bias, (0, fill))),
                minus_shift(shifts),
            )
            fields = (
                *(Field(array.suffix, array.suffix) for array in arrays),
                *(Field("in_len", in_len), Field("out_len", out_len)),
                Field("out_range", (node.int("out_min"), node.int("out_max"))),
            )
            scratch = 4 * (out_len + fill) + padded.shape[1]
            params = "mcuq_dense_coded_mve_params"
            return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

        return lower

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """A step is 8 outputs of 16 inputs."""
        out_len, in_len = qgraph.tensor(node.inputs[1]).shape
        steps, blocks = -(-in_len // 16), -(-out_len // _BLOCK)
        step = 31 if self.bits == 4 else 33
        return 100 + 3 * steps + blocks * (20 + step * steps) + 7 * out_len / 4


def _dense_gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """All inputs are read before the first output is written."""
    return 0 if index == 0 else None


VARIANTS = (*(_Conv2d(b).variant() for b in (4, 2)), *(_Dense(b).variant() for b in (4, 2)))
