"""conv2d on cores with Helium (MVE): blocks of 4 pixels x 2 channels, 16 products a VMLADAVA."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.mve.blocks import (
    CHUNK,
    NEEDS,
    block_scratch,
    blocks_cost,
    forward_gap,
    minus_shift,
    pack_pairs,
    round_up,
)
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

PARAMS = "mcuq_conv2d_mve_params"
WHOLE_WINDOW = 1536  # bytes up to which the whole padded input is kept instead of a few rows


@dataclass(frozen=True)
class Shape:
    """The sizes of one convolution; ``window_rows`` padded rows of ``window_w`` pixels are kept."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    keep_rows: int = 0  # if not 0, the kernel's own choice of window_rows and window_w
    keep_w: int = 0
    direct: bool = False  # no window: the input itself is read

    @property
    def depth(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.in_c

    @property
    def steps(self) -> int:
        return round_up(self.depth, 16) // 16

    @property
    def pixels(self) -> int:
        return self.out_h * self.out_w

    @property
    def window_w(self) -> int:
        if self.keep_w:
            return self.keep_w
        reach = (self.kernel[1] - 1) * self.dilations[1]
        return (self.out_w - 1) * self.strides[1] + reach + 1

    @property
    def all_rows(self) -> int:
        reach = (self.kernel[0] - 1) * self.dilations[0]
        return (self.out_h - 1) * self.strides[0] + reach + 1

    @property
    def whole(self) -> bool:
        """All padded rows are kept, not only those that one output row reads."""
        row = self.window_w * self.in_c
        return self.all_rows * row <= max(WHOLE_WINDOW, self.kernel[0] * row)

    @property
    def window_rows(self) -> int:
        if self.direct:
            return 0
        return self.keep_rows or (self.all_rows if self.whole else self.kernel[0])

    @property
    def fits_halfwords(self) -> bool:
        """The members of mcuq_conv2d_mve_params can hold all sizes."""
        sizes = (self.in_h, self.in_w, self.in_c, self.out_c, self.all_rows, self.window_w)
        return max(sizes) < 32768 and max(*self.kernel, *self.strides, *self.dilations) < 256

    @property
    def in_vectors(self) -> bool:
        """A pixel is a whole number of vectors, so taps are copied, not gathered."""
        return self.in_c % 16 == 0


def shape_of(node: Node, qgraph: QGraph) -> Shape:
    """The sizes of a conv2d node."""
    x, weights = (qgraph.tensors[n].shape for n in node.inputs[:2])
    out = qgraph.tensors[node.output].shape
    strides, dilations, pads = (node.ints(k) for k in ("strides", "dilations", "pads"))
    return Shape(
        x[1], x[2], x[3], out[1], out[2], out[3], (weights[1], weights[2]),
        (strides[0], strides[1]), (dilations[0], dilations[1]),
        (pads[0], pads[1], pads[2], pads[3]),
    )  # fmt: skip


def _taps(s: Shape) -> Array:
    """Offsets of the inputs of one pixel in the window; the padding of the last step reads 0."""
    row_step = s.dilations[0] if s.whole else 1
    rows = np.arange(s.kernel[0]) * row_step * s.window_w * s.in_c
    columns = np.arange(s.kernel[1]) * s.dilations[1] * s.in_c
    offsets = np.add.outer(np.add.outer(rows, columns), np.arange(s.in_c)).ravel()
    return np.pad(offsets, (0, 16 * s.steps - s.depth)).astype(np.uint16)


def _fields(node: Node, s: Shape, gathered: bool) -> tuple[Field, ...]:
    """The members of mcuq_conv2d_mve_params."""
    sizes = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
    pairs = zip(
        ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w"),
        (*s.kernel, *s.strides, *s.dilations),
        strict=True,
    )
    return (
        Field("weights", "weights"),
        Field("bias", "bias"),
        Field("minus_shift", "minus_shift"),
        *((Field("taps", "taps"),) if gathered else ()),
        *(Field(name, getattr(s, name)) for name in sizes),
        Field("pad_top", s.pads[0]),
        Field("pad_left", s.pads[1]),
        Field("steps", s.steps),
        Field("window_rows", s.window_rows),
        Field("window_w", s.window_w),
        *(Field(name, value) for name, value in pairs),
        Field("pad_value", node.int("pad_value")),
        Field("out_range", (node.int("out_min"), node.int("out_max"))),
    )


def _call(
    symbol: str, node: Node, qgraph: QGraph, s: Shape, scratch: int, packed: Array,
    gathered: bool = False,
) -> Call:  # fmt: skip
    arrays = (
        ConstArray("weights", "int8_t", packed, f"[pair][step][2][{packed.shape[-1]}]"),
        ConstArray("bias", "int32_t", qgraph.data(node.inputs[2])),
        minus_shift(node.ints("shift")),
        *((ConstArray("taps", "uint16_t", _taps(s)),) if gathered else ()),
    )
    fields = _fields(node, s, gathered)
    return Call(symbol, PARAMS, fields, (node.inputs[0],), node.output, arrays, scratch)


# ---- any kernel, from a padded window, or 1x1 from the input ----


def is_direct(s: Shape) -> bool:
    """A 1x1 kernel that reads no padding."""
    inside = s.all_rows <= s.in_h and s.window_w <= s.in_w
    return s.kernel == (1, 1) and s.pads[:2] == (0, 0) and inside


def direct_shape(s: Shape) -> Shape:
    """At stride 1 the image is one long row, if a halfword can count its pixels."""
    if s.strides == (1, 1) and s.pixels < 32768:
        s = replace(s, in_h=1, in_w=s.pixels, out_h=1, out_w=s.pixels)
    return replace(s, direct=True)


def any_shape(node: Node, qgraph: QGraph) -> Shape:
    """The sizes as ``mcuq_conv2d_s8_mve`` sees them."""
    s = shape_of(node, qgraph)
    return direct_shape(s) if is_direct(s) else s


def accepts(node: Node, qgraph: QGraph) -> bool:
    """Whether ``mcuq_conv2d_s8_mve`` can run it."""
    return node.int("groups") == 1 and holds(any_shape(node, qgraph))


def holds(s: Shape) -> bool:
    """The parameters can hold these sizes, and a gather reaches all of the window."""
    reach = s.window_rows * s.window_w * s.in_c
    return s.fits_halfwords and s.pads[1] < s.window_w and reach < 65536


def scratch_of(s: Shape) -> int:
    """Bytes of scratch of ``mcuq_conv2d_s8_mve``."""
    window = s.window_rows * s.window_w * s.in_c
    return round_up(block_scratch(s.steps, s.out_c) + window, 4)


def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """The call of ``mcuq_conv2d_s8_mve``."""
    s = any_shape(node, qgraph)
    packed = pack_pairs(qgraph.data(node.inputs[1]).reshape(s.out_c, s.depth))
    return lower_shape("mcuq_conv2d_s8_mve", node, qgraph, s, packed)


def lower_shape(
    symbol: str, node: Node, qgraph: QGraph, s: Shape, packed: Array
) -> tuple[Call, ...]:
    """The call of a kernel that works as ``mcuq_conv2d_s8_mve`` does, with weights packed."""
    gathered = not (s.in_vectors or s.direct)
    return (_call(symbol, node, qgraph, s, scratch_of(s), packed, gathered),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return cost_of(any_shape(node, qgraph))


def cost_of(s: Shape) -> float:
    """Instructions of ``mcuq_conv2d_s8_mve``."""
    fixed = 200 + 5 * s.out_c
    if s.direct:
        load = 45 + 9 * (s.in_c // 16) + (12 if s.in_c % 16 else 0)
        row = 20 + -(-s.out_w // 4) * load + blocks_cost(s.out_w, s.steps, s.out_c)
        return fixed + s.out_h * row
    rows = s.all_rows if s.whole else s.out_h * s.kernel[0]
    window = rows * (30 + 3 * s.in_w * s.in_c / 16)
    blocks = blocks_cost(s.pixels, s.steps, s.out_c)
    return fixed + window + blocks + s.out_h * _load_cost(s)


def _load_cost(s: Shape) -> float:
    """Instructions that bring one row's inputs into blocks: four pixels at a time, then one."""
    fours, ones = divmod(s.out_w, 4) if s.out_w % 4 == 0 or s.out_w > 12 else (0, s.out_w)
    if not s.in_vectors:
        return fours * (32 + 20 * s.steps) + ones * (25 + 7 * s.steps)
    runs = s.kernel[0] * (1 if s.dilations[1] == 1 else s.kernel[1])
    return fours * (30 + 9 * s.steps + 18 * runs) + ones * (30 + 3 * s.steps + 14 * runs)


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    return gap_of(any_shape(node, qgraph))


def gap_of(s: Shape) -> int:
    """The gap of ``mcuq_conv2d_s8_mve``; ``in_c`` and ``out_c`` in bytes."""
    if s.direct:
        return _direct_gap(s)
    if s.whole:
        return 0
    rows = np.arange(s.out_h)
    starts = np.maximum(0, rows * s.strides[0] - s.pads[0]) * s.in_w * s.in_c
    return forward_gap((rows + 1) * s.out_w * s.out_c, starts)


def _direct_gap(s: Shape) -> int:
    first = np.arange(0, s.out_w, 4)
    row = np.arange(s.out_h)[:, None]
    ends = (row * s.out_w + np.minimum(first + 4, s.out_w)) * s.out_c
    starts = (row * s.strides[0] * s.in_w + first * s.strides[1]) * s.in_c
    return forward_gap(ends.ravel(), starts.ravel())


def ring_gap(s: Shape) -> int:
    """The gap of output rows for which the input rows that no earlier one needed are loaded."""
    rows = np.arange(s.out_h)
    before = (rows - 1) * s.strides[0] + s.kernel[0]  # padded rows that earlier outputs loaded
    first_read = np.where(rows > 0, np.maximum(before, rows * s.strides[0]) - s.pads[0], 0)
    starts = np.maximum(0, first_read) * s.in_w * s.in_c
    return forward_gap((rows + 1) * s.out_w * s.out_c, starts)


# ---- 3 wide: columns shared by the taps ----


def _shape_3wide(node: Node, qgraph: QGraph) -> Shape:
    """The sizes, with a window of kernel_h rows that whole blocks of 4 pixels can read."""
    s = shape_of(node, qgraph)
    width = (round_up(s.out_w, 4) - 1) * s.strides[1] + 3
    return replace(s, keep_rows=s.kernel[0], keep_w=width)


def _accepts_3wide(node: Node, qgraph: QGraph) -> bool:
    s = shape_of(node, qgraph)
    plain = node.int("groups") == 1 and s.strides[1] <= 2 and s.dilations == (1, 1)
    narrow = s.kernel[1] == 3 and s.pads[1] < s.window_w
    return plain and narrow and s.in_vectors and s.fits_halfwords


def _lower_3wide(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    s = _shape_3wide(node, qgraph)
    split = qgraph.data(node.inputs[1]).reshape(s.out_c, s.kernel[0], 3, -1, 16)
    segments = s.kernel[0] * s.in_c // 16
    scratch = block_scratch(0, s.out_c) + segments * (4 + 16 * s.window_w)
    packed = pack_pairs(split.transpose(0, 1, 3, 2, 4).reshape(s.out_c, s.depth))
    return (_call("mcuq_conv2d_s8_mve_3wide", node, qgraph, s, scratch, packed),)


def _cost_3wide(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    s = _shape_3wide(node, qgraph)
    segments = s.kernel[0] * s.in_c // 16
    row = 60 + s.in_c // 16 * (25 + 4 * s.in_w)
    pairs = round_up(s.out_c, 2) // 2 * (6 + (36 + 3 * s.strides[1]) * segments)
    chunks = -(-s.out_c // CHUNK)
    block = 30 + 8 * segments + pairs + 5.5 * round_up(s.out_c, 4) + 50 * chunks
    blocks = s.out_h * -(-s.out_w // 4)
    rows = min(s.all_rows, s.out_h * s.kernel[0])
    return 200 + 5 * s.out_c + rows * row + blocks * block


def _gap_3wide(node: Node, qgraph: QGraph, index: int) -> int | None:
    return ring_gap(shape_of(node, qgraph))


VARIANT = Variant("conv2d", "mcuq_conv2d_s8_mve", lower, _cost, accepts, NEEDS, _gap)
VARIANTS = (
    Variant(
        "conv2d",
        "mcuq_conv2d_s8_mve_3wide",
        _lower_3wide,
        _cost_3wide,
        _accepts_3wide,
        NEEDS,
        _gap_3wide,
    ),
    VARIANT,
)
