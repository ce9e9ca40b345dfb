"""dense from codes by tables of sums, on any core: ``mcuq_dense_s8_coded4_sums`` and
``mcuq_dense_s8_coded2_sums``.

Two codes of 4 bits, or four of 2, make a byte. For the inputs that meet such a byte there are 256
sums of products; they are made once for all outputs, so that an output takes one addition for two
or four inputs, and no multiplication.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import scratch_budget
from mcuq.kernels.formats.codes import bits_of, encode, has_few_values
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

BLOCK = 8
_LEAST_TABLES = 4096  # bytes of tables that are always allowed
_MOST_COLUMNS = 16
_Rates = tuple[float, ...]


@dataclass(frozen=True)
class _Sums:
    """Codes of ``bits``; rates: per call, output, column, block of outputs and chunk, and
    block and column.
    """

    bits: int
    thumb2: _Rates
    small: _Rates
    riscv: _Rates

    @property
    def together(self) -> int:
        """Inputs of a byte of codes."""
        return 8 // self.bits

    @property
    def table(self) -> int:
        """Bytes of the sums of a column: of 16 bits where two products fit, else of 32."""
        return 512 if self.bits == 4 else 1024

    def variant(self) -> Variant:
        symbol = f"mcuq_dense_s8_coded{self.bits}_sums"
        lower = self._lower(symbol)
        return Variant(
            "dense",
            symbol,
            lower,
            self._cost,
            self._accepts,
            gap=_gap,
            cycles=1.5,
            multiplies=self._multiplies,
        )

    def _multiplies(self, node: Node, qgraph: QGraph, macs: int) -> float:
        """Per input, as many as its values need; outputs only add."""
        _, in_len = qgraph.tensor(node.inputs[1]).shape
        return {2: 4.0, 4: 12.0}[self.bits] * in_len

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        weights = qgraph.data(node.inputs[1])
        fits = self.bits == 2 or bool(weights.min() > -128)
        return has_few_values(node, qgraph) and bits_of(weights) == self.bits and fits

    def _sizes(self, node: Node, qgraph: QGraph) -> tuple[int, int, int]:
        """Columns, those of a chunk, blocks of outputs."""
        out_len, in_len = qgraph.data(node.inputs[1]).shape
        columns, blocks = -(-in_len // self.together), -(-out_len // BLOCK)
        room = max(_LEAST_TABLES, scratch_budget(node, qgraph) - 4 * BLOCK * blocks) // self.table
        return columns, min(room, _MOST_COLUMNS, columns), blocks

    def _pack(self, weights: Array, columns: int, chunk: int) -> tuple[Array, Array]:
        """(out, in) -> bytes [chunk][block][columns of the chunk][8], and the values."""
        out_len, in_len = weights.shape
        pads = ((0, -out_len % BLOCK), (0, columns * self.together - in_len))
        codes = encode(np.pad(weights, pads, mode="edge"))
        blocks = codes.codes.reshape(-1, BLOCK, columns).swapaxes(1, 2)
        cuts = np.split(blocks, range(chunk, columns, chunk), axis=1)
        return np.concatenate([cut.ravel() for cut in cuts]), codes.values

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            weights = qgraph.data(node.inputs[1])
            columns, chunk, blocks = self._sizes(node, qgraph)
            packed, values = self._pack(weights, columns, chunk)
            about = f"[chunk][out_len / {BLOCK}][{chunk}][{BLOCK}]"
            _, *constants = weighted.constants(node, qgraph)
            arrays = (
                ConstArray("codes", "uint8_t", packed, about),
                ConstArray("values", "int8_t", values),
                *constants,
            )
            fields = (
                *(Field(array.suffix, array.suffix) for array in arrays),
                Field("in_len", weights.shape[1]),
                Field("out_len", weights.shape[0]),
                Field("chunk", chunk, f"columns of {self.together} inputs"),
                Field("out_min", node.int("out_min")),
                Field("out_max", node.int("out_max")),
            )
            scratch = chunk * self.table + 4 * BLOCK * blocks
            params = "mcuq_dense_coded_sums_params"
            return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

        return lower

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        columns, chunk, blocks = self._sizes(node, qgraph)
        rates = weighted.pick(cpu, self.thumb2, self.small, self.riscv)
        out_len = len(qgraph.data(node.inputs[1]))
        counts = (1, out_len, columns, -(-columns // chunk) * blocks, columns * blocks)
        return float(sum(rate * count for rate, count in zip(rates, counts, strict=True)))


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """All inputs are read before the first output is written."""
    return 0 if index == 0 else None


VARIANTS = (
    _Sums(
        4,
        (65.0, 23.0, 422.0, 19.0, 27.0),
        (104.0, 27.0, 571.0, 47.0, 36.0),
        (90.0, 37.0, 723.0, 49.0, 42.0),
    ).variant(),
    _Sums(
        2,
        (77.0, 21.0, 816.0, 20.0, 27.0),
        (111.0, 25.0, 1184.0, 47.0, 36.0),
        (90.0, 36.0, 1254.0, 47.0, 42.0),
    ).variant(),
)
