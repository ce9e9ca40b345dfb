"""conv2d from codes on cores without SIMD: ``mcuq_conv2d_s8_coded4_block``, ``..._coded2_block``.

As ``blocked_conv2d``, where the weights of a group of four taps sum to 255 at most. What a group
cannot hold becomes an extra tap here, too, but what stays has to be one of the coded values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.block import conv2d
from mcuq.kernels.block.conv2d import GROUP, GROUP_SUM, Extra
from mcuq.kernels.dsp.blocks import scratch_budget
from mcuq.kernels.formats.codes import bits_of, encode, has_few_values
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

_MOST_FOURS = 8
_LEAST_SCRATCH = 3456  # bytes of inputs that may always share a decoding
_BYTE = 127


def group_codes(rows: Array) -> tuple[Array, list[list[Extra]]] | None:
    """(n, taps) s8 -> (n, taps to a multiple of 4) of the values that occur, and what is left over.

    Taps that fill up meet inputs of zero, so they may be any value. None if a group cannot be made
    small enough by putting smaller values in place of large ones.

    >>> group_codes(np.array([[127, 127, 100, 5]]))
    (array([[  5, 127, 100,   5]], dtype=int8), [[(0, 122)]])
    """
    known = np.unique(rows).astype(np.int32)
    smallest = int(known[np.abs(known).argmin()])
    kept = np.pad(rows.astype(np.int32), ((0, 0), (0, -rows.shape[1] % GROUP)))
    extra: list[list[Extra]] = [[] for _ in range(len(kept))]
    groups = np.abs(kept).reshape(len(kept), -1, GROUP).sum(2)
    for row, group in np.argwhere(groups > GROUP_SUM):
        first = int(group) * GROUP
        taps = kept[row, first : first + GROUP]
        before = taps.copy()
        if not _shrink(taps, known, smallest):
            return None
        extra[row] += _parts(before - taps, first)
    kept[:, rows.shape[1] :] = smallest
    return kept.astype(np.int8), extra


def _shrink(taps: Array, known: Array, smallest: int) -> bool:
    """Put smaller known values in place of the largest taps until they sum to 255 at most."""
    while (sum_now := int(np.abs(taps).sum())) > GROUP_SUM:
        at = int(np.abs(taps).argmax())
        target = abs(int(taps[at])) - (sum_now - GROUP_SUM)
        fitting = known[np.abs(known) <= target]
        value = smallest
        if fitting.size:
            value = int(fitting[np.abs(fitting - taps[at]).argmin()])
        if abs(value) >= abs(int(taps[at])):
            return False
        taps[at] = value
    return True


def _parts(differences: Array, first: int) -> list[Extra]:
    """(tap, weight) of all that was taken, each weight a signed byte."""
    found: list[Extra] = []
    for tap in np.flatnonzero(differences):
        left = int(differences[tap])
        while left:
            part = max(-_BYTE, min(_BYTE, left))
            found.append((first + int(tap), part))
            left -= part
    return found


@dataclass(frozen=True)
class _Coded:
    """Codes of ``bits``."""

    bits: int

    def variant(self) -> Variant:
        symbol = f"mcuq_conv2d_s8_coded{self.bits}_block"
        lower = self._lower(symbol)
        return Variant(
            "conv2d",
            symbol,
            lower,
            self._cost,
            self._accepts,
            gap=self._gap,
            multiplies=weighted.half,
        )

    @property
    def _table(self) -> int:
        """Bytes of the table of pairs."""
        return 1 << (2 * self.bits + 1)

    def _fours(self, node: Node, qgraph: QGraph) -> int:
        """Blocks of four pixels that share a decoding."""
        _, out_h, out_w, _ = qgraph.tensor(node.output).shape
        taps = conv2d.taps_of(node, qgraph)
        room = max(_LEAST_SCRATCH, scratch_budget(node, qgraph) - taps - self._table) // (8 * taps)
        return int(max(1, min(_MOST_FOURS, room, -(-out_h * out_w // 4))))

    def _accepts(self, node: Node, qgraph: QGraph) -> bool:
        if not has_few_values(node, qgraph) or not conv2d.accepts(node, qgraph):
            return False
        rows = conv2d.rows_of(node, qgraph)
        return bits_of(rows) == self.bits and group_codes(rows) is not None

    def _lower(self, symbol: str) -> Callable[[Node, QGraph], tuple[Call, ...]]:
        def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
            kept, extra = _groups(node, qgraph)
            channels = conv2d.channel_arrays(node, qgraph, extra)
            codes, fours = encode(kept), self._fours(node, qgraph)
            made = conv2d.fields(node, qgraph, channels)
            fields = (
                *(replace(field, name=f"conv.{field.name}") for field in made),
                Field("codes", "codes"),
                Field("values", "values"),
                Field("fours", fours, "blocks of four pixels that share a decoding"),
            )
            arrays = (
                ConstArray("codes", "uint8_t", codes.codes, "[out_c][taps], the first lowest"),
                ConstArray("values", "int8_t", codes.values),
                *channels,
            )
            scratch = self._table + kept.shape[1] + conv2d.scratch_of(node, qgraph, fours)
            params = "mcuq_conv2d_coded_block_params"
            return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays, scratch),)

        return lower

    def _gap(self, node: Node, qgraph: QGraph, index: int) -> int | None:
        pixels = conv2d.BLOCK * self._fours(node, qgraph)
        return conv2d.gap_of(node, qgraph, pixels) if index == 0 else None

    def _cost(self, node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        """Beyond the dense twin: each channel of four pixels, decoding a weight, the table."""
        kept, extra = _groups(node, qgraph)
        each, decode = weighted.pick(cpu, (40.0, 2.4), (70.0, 3.5), (50.0, 4.0))
        _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
        blocks = -(-out_h * out_w // conv2d.BLOCK)
        decodings = -(-blocks // self._fours(node, qgraph))
        own = each * blocks * out_c + decode * decodings * kept.size + 6 * 4**self.bits
        return float(conv2d.cost_of(node, qgraph, cpu, extra) + own)


def _groups(node: Node, qgraph: QGraph) -> tuple[Array, list[list[Extra]]]:
    found = group_codes(conv2d.rows_of(node, qgraph))
    assert found is not None
    return found


VARIANTS = (_Coded(4).variant(), _Coded(2).variant())
