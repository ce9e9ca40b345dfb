"""conv2d on cores without SIMD: ``mcuq_conv2d_s8_block`` (any shape of one group).

Two inputs that meet the same weight share a word, so that one multiplication serves two sums;
``mcuq_pair.h`` proves it. What that asks of the weights, at most 255 in magnitude per group of
four, is arranged here: what a group cannot hold becomes an extra tap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.block import fields as blocked_fields
from mcuq.kernels.dsp.blocks import scratch_budget
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.ops.conv2d import window
from mcuq.ops.parts import windows
from mcuq.ops.parts.windows import Window
from mcuq.qir import QGraph

GROUP = 4
GROUP_SUM = 255
BLOCK = 4
COPY_BYTE, EDGE_ROW = 20, 250  # about the instructions of a byte with pads, and of an edge row
_SYMBOL = "mcuq_conv2d_s8_block"

Extra = tuple[int, int]


def group_weights(rows: Array) -> tuple[Array, list[list[Extra]]]:
    """(n, taps) s8 -> (n, taps to a multiple of 4), and per row the (tap, weight) left over.

    >>> kept, extra = group_weights(np.array([[127, 127, 100, 0, 5]]))
    >>> kept.tolist(), extra
    ([[28, 127, 100, 0, 5, 0, 0, 0]], [[(0, 99)]])
    """
    kept = np.pad(rows.astype(np.int32), ((0, 0), (0, -rows.shape[1] % GROUP)))
    taken = _surplus(kept.reshape(-1, GROUP)).reshape(kept.shape)
    extra: list[list[Extra]] = [[] for _ in range(len(kept))]
    for row, tap in np.argwhere(taken).tolist():
        extra[row].append((tap, int(taken[row, tap])))
    return (kept - taken).astype(np.int8), extra


def _surplus(groups: Array) -> Array:
    """(n, 4): what to take from the weights of each group, largest first, each a signed byte."""
    sizes = np.abs(groups)
    taken = np.zeros_like(sizes)
    left = np.maximum(sizes.sum(axis=1, keepdims=True) - GROUP_SUM, 0)
    order = np.argsort(-sizes, axis=1, kind="stable")
    for taps in np.split(order, GROUP, axis=1):
        part = np.minimum(np.minimum(left, 127), np.take_along_axis(sizes, taps, axis=1))
        np.put_along_axis(taken, taps, part, axis=1)
        left -= part
    found: Array = np.sign(groups) * taken
    return found


def extra_pairs(extra: Sequence[Extra]) -> list[tuple[int, int]]:
    """(tap, weight) of one channel -> (taps on from the previous, weight), each a byte."""
    pairs: list[tuple[int, int]] = []
    at = 0
    for tap, weight in extra:
        while tap - at > 255:
            pairs.append((255, 0))
            at += 255
        pairs.append((tap - at, weight & 255))
        at = tap
    return pairs


def _pack(node: Node, qgraph: QGraph) -> tuple[ConstArray, ...]:
    """weights, channels and, if there are any, extra."""
    kept, extra = group_weights(rows_of(node, qgraph))
    weights = ConstArray("weights", "int8_t", kept, "[out_c][taps]")
    return (weights, *channel_arrays(node, qgraph, extra))


def channel_arrays(
    node: Node, qgraph: QGraph, extra: Sequence[Sequence[Extra]]
) -> tuple[ConstArray, ...]:
    """Channels and, if there are any, extra."""
    pairs = [extra_pairs(row) for row in extra]
    flat = [pair for row in pairs for pair in row]
    bias = np.asarray(qgraph.data(node.inputs[2]), np.int64)
    second = np.asarray(node.ints("shift")) + 256 * np.array([len(row) for row in pairs])
    channels = np.stack([bias, second], 1).astype(np.int32)
    about = "bias with rounding constant and zeros; shift + 256 * extra pairs"
    arrays = [ConstArray("channels", "int32_t", channels, about)]
    if flat:
        about = "(taps on, weight) pairs that the groups could not hold"
        arrays.append(ConstArray("extra", "uint8_t", np.array(flat, np.uint8), about))
    return tuple(arrays)


def rows_of(node: Node, qgraph: QGraph) -> Array:
    """(out_c, taps) weights."""
    weights = qgraph.data(node.inputs[1])
    return weights.reshape(len(weights), -1)


def _window(node: Node, qgraph: QGraph) -> Window:
    return window(node, qgraph.tensor(node.inputs[1]).shape)


def accepts(node: Node, qgraph: QGraph) -> bool:
    """Whether the blocked kernels can run it."""
    win = _window(node, qgraph)
    return node.int("groups") == 1 and blocked_fields.representable(node, qgraph, win)


def fields(
    node: Node, qgraph: QGraph, arrays: Sequence[ConstArray], padded: bool = False
) -> tuple[Field, ...]:
    """The members of mcuq_conv2d_block_params."""
    image, out = qgraph.tensor(node.inputs[0]).shape, qgraph.tensor(node.output).shape
    return (
        *(Field(array.suffix, array.suffix) for array in arrays),
        Field("taps", taps_of(node, qgraph), "of a channel, to a multiple of 4"),
        *(Field(f"in_{axis}", size) for axis, size in zip("hwc", image[1:], strict=True)),
        *(Field(f"out_{axis}", size) for axis, size in zip("hwc", out[1:], strict=True)),
        *blocked_fields.fields(node, _window(node, qgraph)),
        Field("padded", int(padded)),
    )


def taps_of(node: Node, qgraph: QGraph) -> int:
    """The taps of a channel in whole groups."""
    return int(-(-rows_of(node, qgraph).shape[1] // GROUP) * GROUP)


def scratch_of(node: Node, qgraph: QGraph, fours: int) -> int:
    """Bytes of the inputs of so many times four pixels, and of five rows of pads and inputs."""
    row = _window(node, qgraph).kernel[1] * qgraph.tensor(node.inputs[0]).shape[3]
    return 8 * taps_of(node, qgraph) * fours + -(-5 * row // 4) * 4


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    arrays, padded = _pack(node, qgraph), _padded(node, qgraph)
    made, scratch = fields(node, qgraph, arrays, padded), scratch_of(node, qgraph, 1)
    if padded:
        scratch = 8 * taps_of(node, qgraph) + -(-_padded_bytes(node, qgraph) // 4) * 4
    params = "mcuq_conv2d_block_params"
    return (Call(_SYMBOL, params, made, node.inputs[:1], node.output, arrays, scratch),)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    return gap_of(node, qgraph, BLOCK) if index == 0 else None


def gap_of(node: Node, qgraph: QGraph, pixels: int) -> int:
    """A block's inputs are all read before its outputs are written; then the walk goes on."""
    win = _window(node, qgraph)
    _, _, width, depth = qgraph.tensor(node.inputs[0]).shape
    _, rows, columns, out_c = qgraph.tensor(node.output).shape
    top = np.maximum(np.arange(rows) * win.strides[0] - win.pads[0], 0)
    left = np.maximum(np.arange(columns) * win.strides[1] - win.pads[1], 0)
    first = (top[:, None] * width + left[None, :]).ravel() * depth
    still = np.minimum.accumulate(first[::-1])[::-1]
    ends = np.arange(pixels, len(first), pixels)
    return max(0, int((ends * out_c - still[ends]).max(initial=0)))


def _edge_blocks(node: Node, qgraph: QGraph) -> int:
    """The number of blocks with a window that is not whole: gathered row by row."""
    win = _window(node, qgraph)
    _, height, width, _ = qgraph.tensor(node.inputs[0]).shape
    whole = windows.counts(win, height, width) == win.area()
    if win.dilations[1] > 1 and win.kernel[1] > 1:
        whole[:] = False
    padded = np.pad(whole.ravel(), (0, -whole.size % BLOCK), constant_values=True)
    return int((~padded.reshape(-1, BLOCK).all(1)).sum())


def _padded_bytes(node: Node, qgraph: QGraph) -> int:
    """The size of what the windows reach of the input, pads included."""
    win = _window(node, qgraph)
    _, rows, columns, _ = qgraph.tensor(node.output).shape
    (tall, wide), strides = win.spans(), win.strides
    pixels = ((rows - 1) * strides[0] + tall) * ((columns - 1) * strides[1] + wide)
    return pixels * qgraph.tensor(node.inputs[0]).shape[3]


def _padded(node: Node, qgraph: QGraph) -> bool:
    """Whether the input is copied with its pads: where scratch has room and edges are many."""
    win, size = _window(node, qgraph), _padded_bytes(node, qgraph)
    if win.dilations[1] > 1 or size > scratch_budget(node, qgraph):
        return False
    edges = _edge_blocks(node, qgraph) * win.kernel[0]
    return size * COPY_BYTE < edges * EDGE_ROW


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Whole blocks, a copy with pads, and the last block where one or two pixels are left."""
    extra = group_weights(rows_of(node, qgraph))[1]
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    cost = cost_of(node, qgraph, cpu, extra)
    per_edge, per_byte, channel, group = weighted.pick(
        cpu, (336.0, 21.0, 17.1, -9.8), (480.0, 15.6, 0.0, 0.0), (226.0, 13.8, -17.5, -14.4)
    )
    if _padded(node, qgraph):
        cost += per_byte * _padded_bytes(node, qgraph)
        cost -= per_edge * _edge_blocks(node, qgraph) * _window(node, qgraph).kernel[0]
    if 0 < out_h * out_w % BLOCK <= 2:
        cost += out_c * (channel + group * taps_of(node, qgraph) // GROUP)
    return cost


def cost_of(node: Node, qgraph: QGraph, cpu: Cpu, extra: Sequence[Sequence[Extra]]) -> float:
    """Per block of four pixels: itself, its taps, channels, their groups and extras; edge rows."""
    rates = weighted.pick(
        cpu,
        (448.0, 7.6, 33.5, 26.8, 10.4, 336.0),
        (296.0, 13.3, 60.0, 34.2, 16.0, 480.0),
        (287.0, 15.8, 63.9, 37.0, 12.0, 226.0),
    )
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    taps = taps_of(node, qgraph)
    extras = sum(len(extra_pairs(row)) for row in extra)
    counts = (1, taps, out_c, out_c * taps // GROUP, extras)
    block = sum(rate * count for rate, count in zip(rates, counts, strict=False))
    edges = rates[5] * _edge_blocks(node, qgraph) * _window(node, qgraph).kernel[0]
    return float(-(-out_h * out_w // BLOCK) * block + edges)


VARIANTS = (
    Variant(
        "conv2d", _SYMBOL, _lower, _cost, accepts, gap=_gap, cycles=1.35, multiplies=weighted.half
    ),
)
