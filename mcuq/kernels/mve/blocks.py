"""What the Helium (MVE) kernels share: packing, shift arrays, overlap and the cost of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mcuq.ir import Array
from mcuq.kernels.variant import ConstArray
from mcuq.ops import is_view
from mcuq.qir import QGraph

CHUNK = 64  # MCUQ_MVE_CHUNK of mcuq_mve.h
NEEDS = frozenset({"mve"})


def round_up(value: int, multiple: int) -> int:
    """``value`` raised to a multiple.

    >>> round_up(5, 4), round_up(8, 4)
    (8, 8)
    """
    return -(-value // multiple) * multiple


def minus_shift(shift: ArrayLike) -> ConstArray:
    """The negated right shifts, as VSHL takes them, to a multiple of 4 entries."""
    values = np.asarray(shift, np.int64)
    padded = np.zeros(round_up(values.size, 4), np.int8)
    padded[: values.size] = -values
    return ConstArray("minus_shift", "int8_t", padded)


def pack_pairs(weights: Array) -> Array:
    """(out_c, k) -> [pair][step][2][16], zeros where a step or the last pair is not full."""
    channels, depth = weights.shape
    packed = np.zeros((round_up(channels, 2), round_up(depth, 16)), np.int8)
    packed[:channels, :depth] = weights
    steps = packed.shape[1] // 16
    return packed.reshape(-1, 2, steps, 16).transpose(0, 2, 1, 3)


def is_internal(name: str, qgraph: QGraph) -> bool:
    """The tensor lies in the arena, word-aligned: it is no port, nor a view of one."""
    views = {n.output: n.inputs[0] for n in qgraph.nodes if is_view(n)}

    def root(tensor: str) -> str:
        while tensor in views:
            tensor = views[tensor]
        return tensor

    ports = {root(port.tensor) for port in (*qgraph.inputs, *qgraph.outputs)}
    return root(name) not in ports


def forward_gap(ends: Array, starts: Array) -> int:
    """Bytes by which the output of a kernel that walks forward has to lie before its input.

    ``ends[b]``: the output's bytes that block b and those before it write; ``starts[b]``: the first
    input byte that block b reads. A block reads before it writes.
    """
    if len(ends) < 2:
        return 0
    later = np.minimum.accumulate(starts[:0:-1])[::-1]
    return max(0, int((ends[:-1] - later).max()))


def dot_cost(steps: int, channels: int) -> float:
    """Instructions of ``mcuq_mve_dot``."""
    pairs = round_up(channels, 2) // 2
    if steps == 1:
        return 14 * pairs + 16
    if steps == 2:
        return 27 * pairs + 18
    turn = 4 if steps % 4 == 0 else 3 if steps % 3 == 0 else 1
    return pairs * (5 + 14 * steps + 2 * steps // turn) + 20


def blocks_cost(pixels: int, steps: int, channels: int) -> float:
    """Instructions of ``mcuq_mve_block`` for all pixels; one left over costs less than a block."""
    full, rest = divmod(pixels, 4)
    if rest != 1:
        return (full + (rest > 0)) * block_cost(steps, channels)
    pairs = round_up(channels, 2) // 2
    saved = dot_cost(steps, channels) - pairs * (6 * steps + 8)
    return (full + 1) * block_cost(steps, channels) - saved


def block_cost(steps: int, channels: int) -> float:
    """Instructions of ``mcuq_mve_block``: four pixels, all channels."""
    total = 10.0
    for at in range(0, channels, CHUNK):
        count = min(CHUNK, channels - at)
        total += dot_cost(steps, count) + 22 * round_up(count, 4) // 4 + 35
    return total


def block_scratch(steps: int, channels: int) -> int:
    """Bytes of scratch for sums and the inputs of a block."""
    return 16 * round_up(channels, 2) + 16 * min(round_up(channels, 4), CHUNK) + 64 * steps
