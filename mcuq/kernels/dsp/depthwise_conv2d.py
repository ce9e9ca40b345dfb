"""depthwise_conv2d with the DSP extension (Cortex-M4, M7, M33): walks along rows or columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.dsp.blocks import ConvShapes, window
from mcuq.kernels.plain import depthwise_one
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field, Variant
from mcuq.qir import QGraph

LANES = 4  # channels at a time
_TURN_PAIRS, _TURN_SINGLES = 7, 8
_SYMBOL_3X3 = "mcuq_depthwise_conv2d_s8_dsp_3x3"
_SYMBOL_ANY = "mcuq_depthwise_conv2d_s8_dsp"
_SYMBOL_VALID = "mcuq_depthwise_conv2d_s8_dsp_valid"
_SYMBOL_ONE = "mcuq_depthwise_conv2d_s8_dsp_one"


@dataclass(frozen=True)
class Walk:
    """A window seen along its rows, or (``turned``) along its columns; pitches in bytes."""

    turned: bool
    in_line_pitch: int
    in_step_pitch: int
    out_line_pitch: int
    out_step_pitch: int
    channels: int
    in_lines: int
    in_steps: int
    out_lines: int
    out_steps: int
    pad_lines: int
    pad_steps: int
    stride_lines: int
    stride_steps: int
    kernel_lines: int
    kernel_steps: int

    @property
    def lines_read(self) -> tuple[int, int]:
        """Lines of a group of channels that are brought to scratch: of the input, of padding."""
        count = self.kernel_lines + (self.out_lines - 1) * self.stride_lines
        inside = max(0, min(self.in_lines, count - self.pad_lines))
        return inside, count - inside

    def scratch_cost(self, words: int) -> float:
        """Instructions that bring the lines of a group of channels to scratch, and to out."""
        inside, outside = self.lines_read
        whole, rest = divmod(self.out_steps, 4)
        read = inside * (5 + 14 * words) + outside * (11 + 6 * words)
        return 18 + read + self.out_lines * (105 + 9 * whole + 5 * rest)

    def in_place(self) -> bool:
        """Whether out may lie exactly at in.

        Pixel i of the output then lies on pixel i of the input, with the same channels; other
        channels do not matter. A line of outputs is written when all input lines before ``loaded``
        have been read: its pixels must lie on these, or behind the input.
        """
        for line in range(self.out_lines):
            steps = np.arange(self.out_steps)
            pixels = (line * self.out_line_pitch + steps * self.out_step_pitch) // self.channels
            pixels = pixels[pixels < self.in_lines * self.in_steps]
            lines = pixels % self.in_lines if self.turned else pixels // self.in_steps
            loaded = line * self.stride_lines - self.pad_lines + self.kernel_lines
            if bool((lines >= loaded).any()):
                return False
        return True


@dataclass(frozen=True)
class Sums:
    """What is added to the products of each channel (int64), and how it is rescaled.

    ``late``: rows (channel, more, base); the output v of such a channel becomes
    clamp(base + (v >> more)).
    """

    bias: Array
    shift: Array
    late: Array


def plain_sums(node: Node, qgraph: QGraph) -> Sums:
    """Nothing is late."""
    bias = qgraph.data(node.inputs[2]).astype(np.int64)
    return Sums(bias, np.array(node.ints("shift")), np.zeros((0, 3), np.int16))


def late_sums(node: Node, qgraph: QGraph) -> Sums:
    """No shift above 16: of such a shift s, 16 comes first and the rest late.

    With bias = base * 2^s + rest and |rest| <= 2^(s-1), the result is base + ((rest + products)
    >> s), and this is base + (v >> (s - 16)) for v = (rest + products) >> 16, which is an int8 up
    to s = 23, since products are below 2^18. For s >= 24, a rest outside of +-2^22 is as good as
    at its end: the products do not change the sign of the sum, which is all that is left of it.
    """
    given = plain_sums(node, qgraph)
    bias, shift, rows = given.bias.copy(), given.shift.copy(), []
    for channel in np.flatnonzero(shift > 16):
        s = int(shift[channel])
        base = (int(bias[channel]) + (1 << (s - 1))) >> s
        rest = int(bias[channel]) - (base << s)
        bias[channel] = rest if s < 24 else min(max(rest, -(2**22)), 2**22)
        shift[channel] = 16
        rows.append((channel, s - 16, min(max(base, -130), 129)))
    return Sums(bias, shift, np.array(rows, np.int16).reshape(-1, 3))


_FIELDS = tuple(Walk.__dataclass_fields__)[1:]
_SHARED = tuple(name for name in _FIELDS if not name.startswith("kernel"))


def walks(at: ConvShapes) -> tuple[Walk, Walk]:
    """Both walks of a depthwise convolution."""
    return _walk(at, False), _walk(at, True)


def _walk(at: ConvShapes, turned: bool) -> Walk:
    pairs = (
        (at.in_w * at.in_c, at.in_c),
        (at.out_w * at.in_c, at.in_c),
        (at.in_h, at.in_w),
        (at.out_h, at.out_w),
        (at.pad_top, at.pad_left),
        (at.stride_h, at.stride_w),
        (at.kernel_h, at.kernel_w),
    )
    pitches_in, pitches_out, *others = (pair[::-1] if turned else pair for pair in pairs)
    return Walk(turned, *pitches_in, *pitches_out, at.in_c, *(n for pair in others for n in pair))


def call(
    node: Node,
    qgraph: QGraph,
    symbol: str,
    walk: Walk,
    scratch: int,
    sums: Sums,
    chunk: int | None = None,
) -> tuple[Call, ...]:
    """The call of a kernel that walks; ``chunk``: of one that makes so many lines together."""
    weights = qgraph.data(node.inputs[1])
    order = (2, 1, 0) if walk.turned else (2, 0, 1)
    late = (ConstArray("late", "int16_t", sums.late),) if len(sums.late) else ()
    arrays = (
        ConstArray("weights", "int8_t", np.append(weights.transpose(order), np.zeros(3, np.int8))),
        ConstArray("bias", "int32_t", sums.bias.astype(np.int32)),
        ConstArray("shift", "int8_t", sums.shift.astype(np.int8)),
        *late,
    )
    fields = (
        *(Field(a.suffix, a.suffix) for a in arrays),
        Field("late_count", len(sums.late)),
        *(Field(name, getattr(walk, name)) for name in (_FIELDS if chunk is None else _SHARED)),
        *(() if chunk is None else (Field("chunk", chunk, "lines of outputs at a time"),)),
        *(Field(name, node.int(name)) for name in ("pad_value", "out_min", "out_max")),
    )
    inputs, output = node.inputs[:1], node.output
    params = f"mcuq_depthwise_{'lines' if chunk is None else 'planes'}_params"
    return (Call(symbol, params, fields, inputs, output, arrays, scratch),)


def gap_of(walk: Walk, index: int) -> int | None:
    """The gap of a kernel that reads a line before its outputs are written."""
    return 0 if index == 0 and walk.in_place() else None


# ---- 3x3 ----


def units_of(walk: Walk) -> int:
    """Pairs of outputs of a line, or outputs for stride 2."""
    return -(-walk.out_steps // 2) if walk.stride_steps == 1 else walk.out_steps


def outputs_of(walk: Walk) -> int:
    """Outputs of a line, those made for nothing too."""
    return units_of(walk) * (2 if walk.stride_steps == 1 else 1)


def _cost_3x3(walk: Walk) -> float:
    units = units_of(walk)
    single = walk.stride_steps == 2
    turns = -(-units // (_TURN_SINGLES if single else _TURN_PAIRS))
    line = 12 + 3 * turns + units * (9 if single else 17)
    groups = -(-walk.channels // LANES)
    channels = walk.channels * (51 + walk.out_lines * line)
    return 750 + channels + groups * walk.scratch_cost(units + 1)


def _best_3x3(node: Node, qgraph: QGraph) -> Walk:
    found = [w for w in walks(window(node, qgraph)) if w.stride_steps <= 2]
    return min(found, key=lambda w: (not w.in_place(), _cost_3x3(w)))


def _scales_fit(node: Node, qgraph: QGraph) -> bool:
    """Whether weights and sums may be scaled so that shifts become 8 or, above 8, 16."""
    weights, sums = qgraph.data(node.inputs[1]).astype(np.int64), late_sums(node, qgraph)
    scale = np.where(sums.shift <= 8, 8, 16) - sums.shift
    bound: Array = (np.abs(sums.bias) + 128 * np.abs(weights).sum((0, 1))) << scale
    return bool((bound < 2**31).all())


def accepts_3x3(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    shape = (at.kernel_h, at.kernel_w, at.dilation_h, at.dilation_w) == (3, 3, 1, 1)
    stride = min(at.stride_h, at.stride_w) <= 2
    return at.in_c == at.out_c and shape and stride and _scales_fit(node, qgraph)


def _lower_3x3(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    walk = _best_3x3(node, qgraph)
    copy = LANES * walk.in_steps if walk.channels < LANES else 0
    scratch = 384 + 48 * (units_of(walk) + 1) + LANES * outputs_of(walk) + copy
    return call(node, qgraph, _SYMBOL_3X3, walk, scratch, late_sums(node, qgraph))


def _cost_of_3x3(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    walk = _best_3x3(node, qgraph)
    late = len(late_sums(node, qgraph).late) * walk.out_lines * (20 + 7 * walk.out_steps)
    return _cost_3x3(walk) + late


def _gap_3x3(node: Node, qgraph: QGraph, index: int) -> int | None:
    return gap_of(_best_3x3(node, qgraph), index)


# ---- any kernel ----


def _quads(walk: Walk) -> int:
    """Groups of four taps of a line of the kernel, from an even or odd step on."""
    return (walk.kernel_steps + 5) // 4


def _words(walk: Walk) -> int:
    """Words of two neighbours of a line in scratch."""
    last = (walk.out_steps - 1) * walk.stride_steps // 2
    if walk.stride_steps == 1:
        last = 2 * -(-walk.out_steps // 4) - 2
    return last + 1 + 2 * _quads(walk)


def _cost_any(walk: Walk) -> float:
    quads, lines = _quads(walk), walk.kernel_lines
    if walk.stride_steps == 1:
        line = 70 + -(-walk.out_steps // 4) * (29 + lines * (6 + 13 * quads))
    else:
        line = 40 + walk.out_steps * (18 + lines * (16 + 6 * quads))
    unpack = 10 + lines * (15 + 24 * quads)
    groups = -(-walk.channels // LANES)
    channels = walk.channels * (unpack + walk.out_lines * line)
    return 400 + channels + groups * walk.scratch_cost(_words(walk))


def _best_any(node: Node, qgraph: QGraph) -> Walk:
    return min(walks(window(node, qgraph)), key=lambda w: (not w.in_place(), _cost_any(w)))


def _scratch_any(walk: Walk) -> int:
    taps = 64 * _quads(walk) * (2 * walk.kernel_lines - 1)
    copy = LANES * walk.in_steps if walk.channels < LANES else 0
    return taps + 16 * walk.kernel_lines * _words(walk) + 16 * -(-walk.out_steps // 4) + copy


def _accepts_any(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    dense = all(
        kernel == 1 or dilation == 1
        for kernel, dilation in ((at.kernel_h, at.dilation_h), (at.kernel_w, at.dilation_w))
    )
    return at.in_c == at.out_c and dense


def _lower_any(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    walk = _best_any(node, qgraph)
    sums = plain_sums(node, qgraph)
    return call(node, qgraph, _SYMBOL_ANY, walk, _scratch_any(walk), sums)


def _cost_of_any(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _cost_any(_best_any(node, qgraph))


def _gap_any(node: Node, qgraph: QGraph, index: int) -> int | None:
    return gap_of(_best_any(node, qgraph), index)


# ---- without padding, for few outputs ----


def _accepts_valid(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    bottom = (at.out_h - 1) * at.stride_h + (at.kernel_h - 1) * at.dilation_h
    right = (at.out_w - 1) * at.stride_w + (at.kernel_w - 1) * at.dilation_w
    inside = at.pad_top == at.pad_left == 0 and bottom < at.in_h and right < at.in_w
    return at.in_c == at.out_c and inside


def _lower_valid(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    at = window(node, qgraph)
    row, pixel = at.in_w * at.in_c, at.in_c
    taps = (at.kernel_h, at.kernel_w, at.dilation_h * row, at.dilation_w * pixel)
    if at.kernel_w == 1:  # the loop over taps is the inner one
        taps = (1, at.kernel_h, 0, at.dilation_h * row)
    names = ("lines", "taps", "line_pitch", "tap_pitch")
    arrays = (
        ConstArray("weights", "int8_t", qgraph.data(node.inputs[1])),
        ConstArray("bias", "int32_t", qgraph.data(node.inputs[2])),
        ConstArray("shift", "int8_t", np.array(node.ints("shift"), np.int8)),
    )
    fields = (
        *(Field(a.suffix, a.suffix) for a in arrays),
        Field("channels", at.in_c),
        Field("out_h", at.out_h),
        Field("out_w", at.out_w),
        Field("row_pitch", at.stride_h * row),
        Field("pixel_pitch", at.stride_w * pixel),
        *(Field(name, value) for name, value in zip(names, taps, strict=True)),
        *(Field(name, node.int(name)) for name in ("out_min", "out_max")),
    )
    params, inputs = "mcuq_depthwise_valid_params", node.inputs[:1]
    return (Call(_SYMBOL_VALID, params, fields, inputs, node.output, arrays),)


def _cost_valid(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    at = window(node, qgraph)
    lines, taps = (1, at.kernel_h) if at.kernel_w == 1 else (at.kernel_h, at.kernel_w)
    groups, rest = divmod(at.in_c, LANES)
    group = 100 + lines * (7 + 14 * taps)
    return 40 + at.pixels * (20 + groups * group + rest * (30 + lines * (6 + 7 * taps)))


def _cost_one(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    channels, taps = depthwise_one.sizes(node, qgraph)
    return 60 + -(-channels // 4) * (38 + 12 * taps)


VARIANTS: tuple[Variant, ...] = (
    Variant(
        "depthwise_conv2d",
        _SYMBOL_3X3,
        _lower_3x3,
        _cost_of_3x3,
        accepts_3x3,
        frozenset({"dsp"}),
        _gap_3x3,
        gap_exact=True,
        cycles=1.37,
    ),
    Variant(
        "depthwise_conv2d",
        _SYMBOL_ANY,
        _lower_any,
        _cost_of_any,
        _accepts_any,
        frozenset({"dsp"}),
        _gap_any,
        gap_exact=True,
    ),
    Variant(
        "depthwise_conv2d",
        _SYMBOL_VALID,
        _lower_valid,
        _cost_valid,
        _accepts_valid,
        frozenset({"dsp"}),
        lambda node, qgraph, index: 0 if index == 0 else None,
    ),
    Variant(
        "depthwise_conv2d",
        _SYMBOL_ONE,
        lambda node, qgraph: depthwise_one.lower(_SYMBOL_ONE, node, qgraph),
        _cost_one,
        depthwise_one.accepts,
        frozenset({"dsp"}),
        depthwise_one.gap,
    ),
)
