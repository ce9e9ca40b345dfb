"""depthwise_conv2d on cores with Helium (MVE): a plane a channel, taps gathered into vectors.

A plan says how outputs are made in blocks of four (see mcuq_depthwise_conv2d_mve.h). All plans that
fit are tried and the cheapest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import NEEDS, is_internal, minus_shift, round_up
from mcuq.kernels.plain import depthwise_one
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

PLANE = "mcuq_depthwise_conv2d_s8_mve"
ONE = "mcuq_depthwise_conv2d_s8_mve_one"
QUAD = "mcuq_depthwise_conv2d_s8_mve_quad"
SUMS = 768  # bytes of sums of a channel that are kept at a time, if a line takes no more
PARAMS = "mcuq_depthwise_conv2d_mve_params"


@dataclass(frozen=True)
class Sizes:
    """One depthwise convolution, as (height, width) pairs."""

    image: tuple[int, int]
    out: tuple[int, int]
    in_c: int
    out_c: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int]

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns of the padded plane that the outputs read."""
        reach = [(k - 1) * d for k, d in zip(self.kernel, self.dilations, strict=True)]
        h, w = ((o - 1) * s + r + 1 for o, s, r in zip(self.out, self.strides, reach, strict=True))
        return h, w

    def turned(self) -> Sizes:
        """Height and width exchanged."""
        pairs = ("image", "out", "kernel", "strides", "dilations", "pads")
        return replace(self, **{name: getattr(self, name)[::-1] for name in pairs})


@dataclass(frozen=True)
class Blocks:
    """Blocks of ``block`` outputs (rows, columns), made by gathers for ``unit`` outputs each.

    ``rows_a_vector``: rows of the kernel in each weight vector (spread 1), else all of them.
    ``cell``: bytes of a pixel in the plane: 1, or 4 where four channels lie side by side.
    """

    sizes: Sizes
    cell: int
    block: tuple[int, int]
    unit: tuple[int, int]
    rows_a_vector: int
    downward: bool  # blocks follow one another along columns, not rows

    @property
    def spread(self) -> int:
        return self.unit[0] * self.unit[1]

    @property
    def vectors(self) -> int:
        return self.spread if self.spread > 1 else -(-self.sizes.kernel[0] // self.rows_a_vector)

    @property
    def pitch(self) -> int:
        """Bytes of a row of the plane."""
        return self.sizes.plane[1] * self.cell

    def step(self, rows: int, columns: int) -> int:
        """Bytes in the plane between outputs that lie so many rows and columns apart."""
        s = self.sizes
        return rows * s.strides[0] * self.pitch + columns * s.strides[1] * self.cell

    def out_step(self, rows: int, columns: int) -> int:
        """Bytes in the output between them."""
        return (rows * self.sizes.out[1] + columns) * self.sizes.out_c

    def along(self, count: int) -> tuple[int, int]:
        """(rows, columns) from a block to the count-th next one of its line."""
        return (count * self.block[0], 0) if self.downward else (0, count * self.block[1])

    @property
    def across(self) -> tuple[int, int]:
        """(rows, columns) from line to line."""
        return (0, self.block[1]) if self.downward else (self.block[0], 0)

    @property
    def counts(self) -> tuple[int, int]:
        """Blocks of a line, and lines."""
        rows, columns = (-(-o // b) for o, b in zip(self.sizes.out, self.block, strict=True))
        return (rows, columns) if self.downward else (columns, rows)

    @property
    def line_bytes(self) -> int:
        """Bytes of the sums of a line, an even number of blocks."""
        return 16 * round_up(self.counts[0], 2)

    @property
    def lines_at_once(self) -> int:
        return min(self.counts[1], max(1, SUMS // self.line_bytes))

    @property
    def stored(self) -> int:
        """Blocks that are stored together: a pair of one channel, or one of four channels."""
        return 2 if self.cell == 1 else 1

    @property
    def taps(self) -> Array:
        """(rows_a_vector, kernel_w): offsets in the plane of the taps of one vector's rows."""
        s = self.sizes
        rows = np.arange(self.rows_a_vector) * s.dilations[0] * self.pitch
        return np.add.outer(rows, np.arange(s.kernel[1]) * s.dilations[1] * self.cell)

    @property
    def unit_steps(self) -> Array:
        """Offsets in the plane of the outputs that one gather serves."""
        cells = np.ndindex(*self.unit)
        return np.array([self.step(*cell) for cell in cells])

    @property
    def offsets(self) -> Array:
        """The distinct offsets that one gather fetches, at most 16."""
        return np.unique(np.add.outer(self.unit_steps, self.taps))

    @property
    def sub_step(self) -> int:
        """From one gather of a block to the next one."""
        split = [b > u for b, u in zip(self.block, self.unit, strict=True)]
        return self.step(int(split[0]) * self.unit[0], int(split[1]) * self.unit[1])

    @property
    def last_byte(self) -> int:
        """The last byte of the plane that is read, by blocks past the edge too."""
        blocks, lines = self.counts
        steps = self.step(*self.along(round_up(blocks, 2) - 1)) + (lines - 1) * self.step(
            *self.across
        )
        subs = (4 // self.spread - 1) * self.sub_step
        rows = (self.vectors - 1) * self.vector_step if self.spread == 1 else 0
        return int(steps + subs + rows + self.offsets.max()) + self.cell - 1

    @property
    def vector_step(self) -> int:
        """From the rows of one weight vector to those of the next."""
        return self.rows_a_vector * self.sizes.dilations[0] * self.pitch

    @property
    def plane_bytes(self) -> int:
        rows, columns = self.sizes.plane
        return round_up(max(self.last_byte + 1, rows * columns * self.cell), 4)

    def fits(self) -> bool:
        """Offsets are bytes, vectors have 16 lanes, sizes are halfwords."""
        reach = int(self.offsets.max()) + (4 // self.spread - 1) * self.sub_step
        if self.spread == 4:
            reach += self.step(*self.along(1))
        halfwords = max(self.plane_bytes, self.out_step(*self.along(1)) + self.out_step(2, 2))
        return self.offsets.size <= 16 and reach <= 255 and halfwords < 32768

    def cost(self) -> float:
        """Estimated instructions of the whole layer."""
        blocks, lines = self.counts
        block = {4: 8.0, 2: 10.0}.get(self.spread, 30 + 11 * self.vectors)
        line = 5 + block * round_up(blocks, 2)
        turns = -(-lines // self.lines_at_once)
        channel = 4 * self.vectors + lines * line
        rows, width = _copied(self.sizes)
        s = self.sizes
        if self.cell == 1:
            store = 90 + 40 * turns + lines * (35.0 + 6 * round_up(blocks, 2))
            copy = 30.0 + rows * (5 if width <= 8 else 11 + 4 * (width // 8))
        else:
            store = 24 + 8 * turns + lines * (45 + 20 * blocks) / 4
            narrow = 5 if width <= 4 else 7
            copy = (60 + rows * (narrow if width <= 8 else 11 + 4 * (width // 4))) / 4
        return 60 + 3 * self.plane_bytes / 16 + s.out_c * (channel + store) + s.in_c * copy

    def scratch(self) -> int:
        channels = self.cell
        vectors = 32 + 16 * self.vectors
        return channels * (vectors + self.lines_at_once * self.line_bytes) + self.plane_bytes


def _copied(s: Sizes) -> tuple[int, int]:
    """Rows and columns that are copied: one long row where no padding comes between."""
    if s.plane[1] == s.image[1] and s.pads == (0, 0):
        return 1, min(s.plane[0], s.image[0]) * s.image[1]
    return min(s.image[0], s.plane[0] - s.pads[0]), min(s.image[1], s.plane[1] - s.pads[1])


def sizes_of(node: Node, qgraph: QGraph) -> Sizes:
    """The sizes of a node; an image one pixel wide is turned to lie along a row."""
    x, weights = (qgraph.tensors[n].shape for n in node.inputs[:2])
    out = qgraph.tensors[node.output].shape
    strides, dilations, pads = (node.ints(k) for k in ("strides", "dilations", "pads"))
    sizes = Sizes(
        (x[1], x[2]), (out[1], out[2]), x[3], out[3], (weights[0], weights[1]),
        (strides[0], strides[1]), (dilations[0], dilations[1]), (pads[0], pads[1]),
    )  # fmt: skip
    narrow = x[2] == 1 and weights[1] == 1 and out[2] == 1
    return sizes.turned() if narrow else sizes


def _plans(s: Sizes, cell: int) -> Iterator[Blocks]:
    for downward in (False, True):
        for block in ((2, 2), (1, 4), (4, 1)):
            for unit in ((2, 2), (1, 4), (4, 1), (1, 2), (2, 1)):
                if all(b % u == 0 for b, u in zip(block, unit, strict=True)):
                    yield Blocks(s, cell, block, unit, s.kernel[0], downward)
        for block in ((1, 4), (4, 1)):
            for rows in range(1, s.kernel[0] + 1):
                yield Blocks(s, cell, block, (1, 1), rows, downward)


@lru_cache(maxsize=256)
def best_plan(s: Sizes, cell: int) -> Blocks | None:
    """The cheapest plan that fits."""
    fitting = [plan for plan in _plans(s, cell) if plan.fits()]
    return min(fitting, key=Blocks.cost) if fitting else None


def _lanes(plan: Blocks) -> Array:
    """The gather's offsets, then each weight vector's tap by lane.

    Lanes without a tap take the zero that follows the taps.
    """
    s, offsets = plan.sizes, plan.offsets
    taps = plan.taps.ravel()
    lanes = np.full((1 + plan.vectors, 16), s.kernel[0] * s.kernel[1], np.uint8)
    lanes[0] = 0
    lanes[0, : offsets.size] = offsets
    for vector in range(plan.vectors):
        first = 0 if plan.spread > 1 else vector * taps.size
        count = min(taps.size, s.kernel[0] * s.kernel[1] - first)
        shift = plan.unit_steps[vector] if plan.spread > 1 else 0
        at = np.searchsorted(offsets, taps[:count] + shift)
        lanes[1 + vector, at] = first + np.arange(count)
    return lanes


def _cells(plan: Blocks) -> list[tuple[int, int]]:
    """(row, column) of a block's four outputs in the order in which sums are kept."""
    per_axis = [range(0, b, u) for b, u in zip(plan.block, plan.unit, strict=True)]
    return [
        (y + row, x + column)
        for y in per_axis[0]
        for x in per_axis[1]
        for row, column in np.ndindex(*plan.unit)
    ]


def _stored_cells(plan: Blocks) -> list[tuple[int, int]]:
    """(row, column) by lane of the outputs stored together; VQMOVNB and VQMOVNT interleave two."""
    row, column = plan.along(1)
    if plan.stored == 1:
        return _cells(plan)
    return [c for y, x in _cells(plan) for c in ((y, x), (y + row, x + column))]


def _store_masks(plan: Blocks) -> tuple[int, ...]:
    """P0 inside a line, at its end, inside the last line and at its end."""
    blocks, lines = plan.counts
    last, bits = (blocks - 1) // plan.stored * plan.stored, 2 if plan.stored == 2 else 4
    masks = []
    for line in (0, lines - 1):
        for block in (0, last):
            start = np.multiply(plan.across, line) + np.array(plan.along(block))
            alive = [bool((start + c < plan.sizes.out).all()) for c in _stored_cells(plan)]
            masks.append(
                sum(((1 << bits) - 1) << bits * i for i, is_in in enumerate(alive) if is_in)
            )
    return (masks[0], masks[1], masks[2], masks[3])


def _fields(node: Node, plan: Blocks) -> tuple[Field, ...]:
    s, (blocks, lines), (copy_h, copy_w) = plan.sizes, plan.counts, _copied(plan.sizes)
    values: dict[str, int | tuple[int, ...]] = {
        "out_step": plan.out_step(*plan.along(plan.stored)),
        "out_across": plan.out_step(*plan.across),
        "in_h": s.image[0], "in_w": s.image[1], "in_c": s.in_c,
        "out_h": s.out[0], "out_w": s.out[1], "out_c": s.out_c,
        "pad_top": s.pads[0], "pad_left": s.pads[1],
        "plane_w": s.plane[1], "plane_bytes": plan.plane_bytes, "copy_h": copy_h, "copy_w": copy_w,
        "spread": plan.spread, "vectors": plan.vectors,
        "vector_step": plan.vector_step, "sub_step": plan.sub_step,
        "blocks": blocks, "lines": lines, "lines_at_once": plan.lines_at_once,
        "in_step": plan.step(*plan.along(1)), "in_across": plan.step(*plan.across),
        "store_masks": _store_masks(plan),
        "kernel_h": s.kernel[0], "kernel_w": s.kernel[1],
        "stride_h": s.strides[0], "stride_w": s.strides[1],
        "dilation_h": s.dilations[0], "dilation_w": s.dilations[1],
        "pad_value": node.int("pad_value"),
        "out_range": (node.int("out_min"), node.int("out_max")),
    }  # fmt: skip
    pointers = ("weights", "bias", "minus_shift", "lanes", "out_lanes")
    return (
        *(Field(name, name) for name in pointers),
        *(Field(name, value) for name, value in values.items()),
    )


def _lower(symbol: str, node: Node, qgraph: QGraph, plan: Blocks) -> tuple[Call, ...]:
    taps = qgraph.data(node.inputs[1]).reshape(-1, plan.sizes.out_c)
    out_lanes = [plan.out_step(*cell) for cell in _stored_cells(plan)]
    kind = "uint16" if plan.stored == 2 else "uint32"
    arrays = (
        ConstArray("weights", "int8_t", np.pad(taps.T, ((0, 0), (0, 1))), "[channel][tap], 0"),
        ConstArray("bias", "int32_t", qgraph.data(node.inputs[2])),
        minus_shift(node.ints("shift")),
        ConstArray("lanes", "uint8_t", _lanes(plan)),
        ConstArray("out_lanes", f"{kind}_t", np.array(out_lanes, kind)),
    )
    fields, scratch = _fields(node, plan), plan.scratch()
    return (Call(symbol, PARAMS, fields, (node.inputs[0],), node.output, arrays, scratch),)


def _best(node: Node, qgraph: QGraph, cell: int) -> Blocks:
    plan = best_plan(sizes_of(node, qgraph), cell)
    if plan is None:
        raise ValueError(f"{node.name} was not accepted")
    return plan


def _fits(node: Node, qgraph: QGraph, cell: int) -> bool:
    s = sizes_of(node, qgraph)
    inside = s.pads[0] < s.plane[0] and s.pads[1] < s.plane[1]
    halfwords = max(*s.image, 7 * s.in_c, s.out_c) < 32768
    bytes_ = max(*s.strides, *s.dilations, s.kernel[0] * s.kernel[1]) < 256
    return inside and halfwords and bytes_ and best_plan(s, cell) is not None


def _accepts_quad(node: Node, qgraph: QGraph) -> bool:
    s = sizes_of(node, qgraph)
    aligned = is_internal(node.inputs[0], qgraph) and is_internal(node.output, qgraph)
    return aligned and s.in_c == s.out_c and s.in_c % 4 == 0 and _fits(node, qgraph, 4)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """Exactly in place: a channel is written when all of it was copied."""
    s = sizes_of(node, qgraph)
    return 0 if s.in_c == s.out_c else None


def _cost_one(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    channels, taps = depthwise_one.sizes(node, qgraph)
    return 30 + -(-channels // 4) * (26 + 6 * taps)


VARIANTS = (
    Variant(
        "depthwise_conv2d",
        QUAD,
        lambda node, qgraph: _lower(QUAD, node, qgraph, _best(node, qgraph, 4)),
        lambda node, qgraph, cpu: _best(node, qgraph, 4).cost(),
        _accepts_quad,
        NEEDS,
        _gap,
        gap_exact=True,
    ),
    Variant(
        "depthwise_conv2d",
        PLANE,
        lambda node, qgraph: _lower(PLANE, node, qgraph, _best(node, qgraph, 1)),
        lambda node, qgraph, cpu: _best(node, qgraph, 1).cost(),
        lambda node, qgraph: _fits(node, qgraph, 1),
        NEEDS,
        _gap,
        gap_exact=True,
    ),
    Variant(
        "depthwise_conv2d",
        ONE,
        lambda node, qgraph: depthwise_one.lower(ONE, node, qgraph),
        _cost_one,
        depthwise_one.accepts,
        NEEDS,
        depthwise_one.gap,
    ),
)
