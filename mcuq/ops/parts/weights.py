"""Weights and biases in integers: what conv2d, depthwise_conv2d and dense share.

Per output channel, with ``shift = frac_w + frac_x - frac_y`` in 0..31:

    b = round(bias * 2**(frac_w + frac_x)) - zero_x * sum(w) + half(shift) + (zero_y << shift)

so that ``(b + sum w * q) >> shift`` is the output, rounded half up, with its zero added. The sum
runs over all taps, also those outside the image: padding reads the integer of the padding value.
No accumulator can overflow: ``|b| + 128 * sum |w| < 2**31`` holds for every channel, with 32768 in
place of 128 where input and output are s16.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import RANGES, FloatArray, IntArray, quantize, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.clip import out_range
from mcuq.ops.parts import forms
from mcuq.ops.parts.coded import has_few_values
from mcuq.ops.parts.layout import rows_along
from mcuq.ops.spec import Form, IntForm, Limit, Schema
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, several, whole

FRAC_MIN, FRAC_MAX = -40, 24
"""Channels get no finer frac than 24, unless all weights of the layer are small."""
SHIFT_MAX = 31
# Of a channel without weights: its bias is exact enough, and large shifts keep fast kernels away.
_SHIFT_OF_NONE = 8
ACC_MAX = 2**31 - 1


@dataclass(frozen=True)
class _Scales:
    """The fracs and zeros around one node; ``axis`` is the weights' output channel.

    ``peak``: the largest magnitude of an input.
    """

    frac_x: int
    zero_x: int
    frac_y: int
    zero_y: int
    axis: int
    peak: int


def weight_fracs(w: FloatArray, axis: int) -> tuple[int, ...]:
    """Per channel the largest frac for which no weight exceeds 127 after rounding.

    It lies in -40..``finest(w)``, which a channel of zeros has.

    >>> weight_fracs(np.array([[0.5, -1.0], [0.0, 0.0], [127.4, 0.0]]), 0)
    (6, 24, 0)
    """
    rows = rows_along(w, axis).astype(np.float64)
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    fracs = np.arange(FRAC_MIN, finest(w) + 1)
    fitting = peaks[:, None] * 2.0 ** fracs[None, :] < 127.5
    return tuple(int(v) for v in FRAC_MIN + np.maximum(fitting.sum(axis=1) - 1, 0))


def finest(w: FloatArray) -> int:
    """The finest frac that a channel of ``w`` may have: 24, or 8 more than the largest weight has.

    >>> finest(np.array([1.0, 1e-9])), finest(np.array([1e-9])), finest(np.zeros(1))
    (24, 44, 24)
    """
    peak = float(np.abs(w).max(initial=0.0))
    return max(FRAC_MAX, math.floor(math.log2(127.49 / peak)) + 8) if peak > 0 else FRAC_MAX


def quantize_weights(w: FloatArray, axis: int, frac: Sequence[int]) -> IntArray:
    """``w`` as s8 with one frac per channel, rounded half up and saturated.

    >>> quantize_weights(np.array([[0.5], [1.0]]), 0, (1, 7)).tolist()
    [[1], [127]]
    """
    scale = along(2.0 ** np.array(frac, np.float64), axis, w.ndim)
    return quantize(w.astype(np.float64) * scale, 0)


def along(values: Array, axis: int, rank: int) -> Array:
    """(C,) shaped so that it spreads over ``axis`` of an array of ``rank`` axes."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def uniform_pad_value(node: Node, frac: int, zero: int, kind: str = "s8") -> int | None:
    """The one integer that all padding reads, or None if it differs per channel.

    ``frac``, ``zero`` and ``kind`` are those of the node's input. Without pads it is ``zero``.
    """
    if not any(node.ints("pads")):
        return zero
    reals = np.array(node.attrs["pad_value"], np.float64)
    found = set(quantize(reals, frac, zero, kind).tolist())
    return int(found.pop()) if len(found) == 1 else None


def cut_padding(node: Node, shape: Shape, inputs: Array | None, outputs: Array | None) -> Node:
    """``node`` with the padding of the input channels that are kept."""
    return cut_values(node, "pad_value", inputs)


def cut_values(node: Node, key: str, kept: Array | None) -> Node:
    """``node`` with an attribute of one value per channel, or one for all, cut to ``kept``."""
    values = node.attrs[key]
    if len(values) == 1 or kept is None:
        return node
    return node.with_attrs(**{key: tuple(values[i] for i in kept)})


def convolution_form(
    node: Node,
    graph: Graph,
    acts: QTensors,
    weights: QTensors,
    axis: int,
) -> IntForm:
    """The integer form of a convolution whose weights have the output channel at ``axis``."""
    x = acts[node.inputs[0]]
    pad_value = uniform_pad_value(node, frac_of(x), x.zero, x.kind)
    if pad_value is None:
        raise ValueError(f"{node.name}: padding differs per channel, it needs a pad node before it")
    keys = ("strides", "dilations", "pads", "groups")
    attrs = {key: node.attrs[key] for key in keys if key in node.attrs}
    attrs["pad_value"] = pad_value
    return weighted_form(node, graph, acts, weights, axis, attrs)


def weighted_form(
    node: Node,
    graph: Graph,
    acts: QTensors,
    weights: QTensors,
    axis: int,
    attrs: Mapping[str, object],
) -> IntForm:
    """The integer node with ``attrs`` and its shift and range, and the constants it reads."""
    x, y = acts[node.inputs[0]], acts[node.output]
    scales = _Scales(frac_of(x), x.zero, frac_of(y), y.zero, axis, -RANGES[x.kind][0])
    real, wanted = _chosen(graph.data(node.inputs[1]), weights.get(node.inputs[1]), axis)
    try:
        fracs, data, bias = _fitted(real, wanted, graph.data(node.inputs[2]), scales)
    except OverflowError as error:
        raise ModelError(graph.name, f"node '{node.name}': {error}", _REMEDY) from None
    w = QTensor(f"{node.output}.weight", data.shape, "s8", tuple(fracs), 0, data)
    acc_fracs = tuple(frac + scales.frac_x for frac in fracs)
    b = QTensor(f"{node.output}.bias", bias.shape, "s32", acc_fracs, 0, bias)
    low, high = out_range(node.attrs["clip"], y)
    shift = tuple(frac - scales.frac_y for frac in acc_fracs)
    found = {**attrs, "shift": shift, "out_min": low, "out_max": high}
    form = Node(node.op, node.name, (x.name, w.name, b.name), node.outputs, found)
    return IntForm(form, (w, b))


_REMEDY = "Scale its weights down in the network, or give its output a lower frac"


def _chosen(
    real: FloatArray, given: QTensor | None, axis: int
) -> tuple[FloatArray, tuple[int, ...]]:
    """The real weights to round and the frac of each channel; ``given`` integers come first."""
    if given is None or given.data is None:
        return real, weight_fracs(real, axis)
    count = real.shape[axis]
    fracs = (given.frac,) * count if isinstance(given.frac, int) else given.frac
    scale = along(2.0 ** -np.array(fracs, np.float64), axis, real.ndim)
    return given.data.astype(np.float64) * scale, fracs


def _fitted(
    real: FloatArray, wanted: Sequence[int], bias: FloatArray, s: _Scales
) -> tuple[list[int], IntArray, IntArray]:
    """Fracs, weights s8 and biases s32 for which shift and accumulator of each channel fit."""
    lowest = s.frac_y - s.frac_x
    fracs = np.clip(np.array(wanted, np.int64), lowest, lowest + SHIFT_MAX)
    none = rows_along(np.abs(real), s.axis).sum(axis=1) == 0
    fracs = np.where(none, np.minimum(fracs, lowest + _SHIFT_OF_NONE), fracs)
    _check_not_cut(real, np.array(wanted), fracs, s.axis)
    while True:
        data = quantize_weights(real, s.axis, fracs.tolist())
        b = _biases(data, bias, fracs, s)
        reach = s.peak * rows_along(np.abs(data.astype(np.int64)), s.axis).sum(axis=1)
        lower = (np.abs(b) + reach > ACC_MAX) & (fracs > lowest)
        if not lower.any():
            return fracs.tolist(), data, _saturated(b, reach, 2 * s.peak)
        if has_few_values(data):  # which are those of all channels as long as all fracs move
            lower = fracs > lowest
        fracs = fracs - lower


def _check_not_cut(real: FloatArray, wanted: Array, fracs: Array, axis: int) -> None:
    """Refuse to raise a channel's frac (for a shift of 0) so far that its weights saturate."""
    scale = along(2.0**fracs, axis, real.ndim)
    peaks = np.abs(rows_along(real * scale, axis))
    if np.any((fracs > wanted) & (peaks.max(axis=1, initial=0.0) > 128.0)):
        raise OverflowError("its weights are too large for the scale of its output")


def _biases(data: IntArray, bias: FloatArray, fracs: Array, s: _Scales) -> IntArray:
    """``b`` of the module's formula, as int64."""
    scaled = bias.astype(np.float64) * 2.0 ** (fracs + s.frac_x)
    shift = fracs + s.frac_x - s.frac_y
    half = (1 << shift) >> 1
    exact = round_half_up(np.clip(scaled, -(2.0**40), 2.0**40))
    folded = s.zero_x * rows_along(data.astype(np.int64), s.axis).sum(axis=1)
    total: IntArray = exact - folded + half + s.zero_y * (1 << shift)
    return total


def _saturated(b: IntArray, reach: IntArray, span: int) -> IntArray:
    """``b`` as s32. One that does not fit at shift 0 outweighs all inputs: it may be cut."""
    room = ACC_MAX - reach
    cut = np.abs(b) > room
    if np.any(cut & (room < reach + span)):
        raise OverflowError("its sums do not fit 32 bits")
    return np.clip(b, -room, room).astype(np.int32)


_SHIFTS: Fields = {"shift": several(whole(0, SHIFT_MAX), 1), **forms.RANGE}


def bias_of(axis: int) -> Limit:
    """The limit that an operator's bias fits its weights, whose output channel is ``axis``."""

    def has_bias(node: Node, shapes: Sequence[Shape]) -> bool:
        """The bias has one value for each output channel."""
        return len(shapes) == 3 and tuple(shapes[2]) == (shapes[1][axis],)

    return has_bias


def weighted_schema(real: Fields, integer: Fields, axis: int, rank: int) -> Schema:
    """Of an operator with weights of ``rank`` axes, the output channel at ``axis``, and a bias."""

    def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
        yield from forms.same_kind(node, qgraph, node.inputs[:1])
        yield from forms.in_range(node, qgraph)
        yield from _sums(node, qgraph, axis)

    ranks = (2, 2, 1) if rank == 2 else (4, rank, 1)
    return Schema(
        Form({**real, **forms.CLIP}, constants=2, ranks=ranks),
        Form({**integer, **_SHIFTS}, constants=2, ranks=ranks),
        faults,
    )


def convolution_schema(extra: Fields, axis: int, rank: int) -> Schema:
    """Of a convolution with the attributes ``extra``."""
    common = {**forms.WINDOW, **extra}
    pads: Fields = {"pad_value": whole(-32768, 32767)}
    return weighted_schema({**common, "pad_value": forms.VALUES}, {**common, **pads}, axis, rank)


def _sums(node: Node, qgraph: QGraph, axis: int) -> Iterator[str]:
    """Kinds and lengths of weights and bias, shifts, and that no 32-bit sum can overflow."""
    x, w, b = (qgraph.tensors[name] for name in node.inputs)
    y = qgraph.tensors[node.output]
    channels = y.shape[-1]
    fracs = w.frac if isinstance(w.frac, tuple) else (w.frac,) * channels
    if (w.kind, b.kind, b.shape) != ("s8", "s32", (channels,)):
        yield f"its weights are {w.kind} and its bias {b.kind} of {b.shape}"
    elif not isinstance(x.frac, int) or not isinstance(y.frac, int) or len(fracs) != channels:
        yield "its fracs are not one for the data and one per channel for the weights"
    elif node.ints("shift") != tuple(frac + x.frac - y.frac for frac in fracs):
        yield "shift is not frac_w + frac_x - frac_y"
    elif b.frac != tuple(frac + x.frac for frac in fracs):
        yield "the bias has another frac than the products"
    elif _reach(qgraph.data(w.name), qgraph.data(b.name), axis, -RANGES[x.kind][0]) > ACC_MAX:
        yield "its sums do not fit 32 bits"


def _reach(weights: Array, bias: Array, axis: int, peak: int) -> int:
    """The largest magnitude of a sum for inputs up to ``peak``."""
    rows = np.abs(rows_along(weights.astype(np.int64), axis))
    return int((np.abs(bias.astype(np.int64)) + peak * rows.sum(axis=1)).max())
