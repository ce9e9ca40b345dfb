"""ConvTranspose: a convolution of the small image, and a copy that lays its phases side by side.

With stride s every s-th element of the output is made of the same taps: the output is s phases per
axis, each a convolution of the input, and all of them are one convolution with as many times the
channels. The weights go where they belong; nothing is computed of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.importers.nodes import movement
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall
from mcuq.ir import Array, Hint, Shape
from mcuq.ops.spec import NO_CLIP

_MATCH = "Export the model again"


@dataclass(frozen=True)
class Axis:
    """One axis of a transposed convolution; the output has ``out`` elements behind ``begin``.

    Element o of the whole result sums ``x[i] * w[k]`` over all o = i * stride + k * dilation.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    out: int

    @property
    def reach(self) -> int:
        """How many elements before its own place an output reads: the convolution has one more."""
        return (self.kernel - 1) * self.dilation // self.stride

    @property
    def sparse(self) -> bool:
        """Whether the convolution can step over the elements between the taps."""
        return self.stride == 1

    def tap(self, k: int) -> tuple[int, int]:
        """(phase, tap of the convolution) of weight ``k``.

        >>> [Axis(5, 4, 2, 1, 1, 10).tap(k) for k in range(4)]
        [(0, 1), (1, 1), (0, 0), (1, 0)]
        """
        if self.sparse:
            return 0, self.kernel - 1 - k
        behind, phase = divmod(k * self.dilation, self.stride)
        return phase, self.reach - behind

    @property
    def taps(self) -> int:
        return self.kernel if self.sparse else self.reach + 1

    @property
    def pads(self) -> tuple[int, int]:
        """What the convolution reads before and behind the input."""
        last = (self.begin + self.out - 1) // self.stride
        return max(0, self.reach - self.begin // self.stride), max(0, last - self.size + 1)

    @property
    def places(self) -> int:
        """How many elements the convolution writes."""
        return sum(self.pads) + self.size - self.reach

    @property
    def skipped(self) -> int:
        """How many elements of the phases, side by side, come before the output."""
        return self.begin - (self.reach - self.pads[0]) * self.stride


def conv_transpose(call: NodeCall) -> Value:
    """ConvTranspose, 1-D and 2-D, with every attribute."""
    value, kernel = call.value(), call.constant(1)
    groups = call.integer("group", 1)
    _check(value, kernel, groups)
    axes = _axes(call, value.shape[2:], kernel.shape[2:])
    image = call.image(value)
    phases, channels = prod(a.stride for a in axes), groups * kernel.shape[1]
    bias = _bias(call, channels)
    tensor = call.builder.emit(
        "conv2d",
        call.name,
        (image, _weights(call, kernel, axes, groups), call.weights(2, _each(bias, groups, phases))),
        f"{call.outputs[0]}.phases" if phases > 1 else call.outputs[0],
        strides=(1, 1),
        dilations=_two(tuple(a.dilation if a.sparse else 1 for a in axes), 1),
        pads=(*_two(tuple(a.pads[0] for a in axes), 0), *_two(tuple(a.pads[1] for a in axes), 0)),
        groups=groups,
        clip=NO_CLIP,
        pad_value=(0.0,),
    )
    made = call.image_value(tensor, len(value.shape))
    return _side_by_side(call, made, axes, groups)


def of_volumes(handler: Callable[[NodeCall], Value]) -> Callable[[NodeCall], Value]:
    """ConvTranspose of (1, C, D, H, W): ``handler``, a convolution of such data, for its phases."""

    def transposed(call: NodeCall) -> Value:
        value, kernel, groups = call.value(), call.constant(1), call.integer("group", 1)
        _check(value, kernel, groups)
        axes = _axes(call, value.shape[2:], kernel.shape[2:])
        phases = prod(a.stride for a in axes)
        bias = _bias(call, groups * kernel.shape[1])
        attrs = {
            "dilations": tuple(a.dilation if a.sparse else 1 for a in axes),
            "pads": (*(a.pads[0] for a in axes), *(a.pads[1] for a in axes)),
            "group": groups,
        }
        weights = _taps(kernel, axes, groups)
        inputs = (value, weights, _each(bias, groups, phases))
        own = call.part("phases", *inputs, **attrs)
        names = (*call.names[:3], "", "")[:3]
        return _side_by_side(call, handler(replace(own, names=names)), axes, groups)

    return transposed


def _check(value: Value, kernel: Array, groups: int) -> None:
    if kernel.ndim != len(value.shape):
        raise Refused(f"weights of {kernel.ndim} dimensions for data of {len(value.shape)}", _MATCH)
    if groups < 1 or kernel.shape[0] != value.shape[1] or value.shape[1] % groups:
        raise Refused(f"weights of {kernel.shape[0]} channels for {value.shape[1]}", _MATCH)


def _bias(call: NodeCall, channels: int) -> Array:
    bias = call.optional(2)
    bias = np.zeros(channels) if bias is None else bias
    if bias.shape != (channels,):
        raise Refused(f"bias of shape {bias.shape} for {channels} channels", _MATCH)
    return bias


def _axes(call: NodeCall, sizes: Shape, kernel: Shape) -> list[Axis]:
    rank = len(sizes)
    ones, zeros = (1,) * rank, (0,) * rank
    strides, dilations = call.integers("strides", ones), call.integers("dilations", ones)
    extra = call.integers("output_padding", zeros)
    lengths = {len(given) for given in (strides, dilations, extra)}
    if lengths != {rank} or min((*strides, *dilations, *kernel)) < 1 or min(extra) < 0:
        raise Refused("strides, dilations or output_padding that do not fit its data", _MATCH)
    whole = [
        stride * (size - 1) + (k - 1) * dilation + 1 + more
        for size, k, stride, dilation, more in zip(
            sizes, kernel, strides, dilations, extra, strict=True
        )
    ]
    begins, ends = _edges(call, sizes, strides, whole)
    outs = [w - b - e for w, b, e in zip(whole, begins, ends, strict=True)]
    if min(*begins, *ends) < 0 or min(outs) < 1:
        raise Refused("pads that are negative, or leave nothing of the output", _MATCH)
    fields = zip(sizes, kernel, strides, dilations, begins, outs, strict=True)
    return [Axis(*numbers) for numbers in fields]


def _edges(
    call: NodeCall, sizes: Shape, strides: Shape, whole: list[int]
) -> tuple[list[int], list[int]]:
    """What is cut off at the beginning and the end of each axis."""
    rank, mode = len(sizes), call.text("auto_pad", "NOTSET")
    wanted = call.integers("output_shape")[-rank:]
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Refused(f"auto_pad {mode}", "State the pads")
    if not wanted and mode.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
    if not wanted:
        given = call.integers("pads", (0,) * (2 * rank)) if mode == "NOTSET" else (0,) * 2 * rank
        if len(given) != 2 * rank:
            raise Refused(f"{len(given)} pads for {rank} axes", "Give two for each axis")
        return list(given[:rank]), list(given[rank:])
    if len(wanted) != rank:
        raise Refused("an output_shape of another length", "Give one size for each axis")
    total = [w - out for w, out in zip(whole, wanted, strict=True)]
    if min(total) < 0:
        raise Refused("an output_shape larger than its output", "Use output_padding")
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _weights(call: NodeCall, kernel: Array, axes: list[Axis], groups: int) -> str:
    """The weights of the convolution of an image, in the order of ``conv2d``."""
    rank, channels = len(axes), kernel.shape[1]
    made = np.moveaxis(_taps(kernel, axes, groups), 1, -1)
    made = made if rank == 2 else made[:, None]
    tensor = call.weights(1, made)
    hint = call.builder.hints.get(tensor)
    if hint is not None and len(hint.scale) == channels > 1:
        scale = hint.scale * (groups * prod(a.stride for a in axes))
        call.builder.hints[tensor] = Hint(scale, hint.zero, hint.bits)
    return tensor


def _taps(kernel: Array, axes: list[Axis], groups: int) -> Array:
    """(group x phase x channel of the group, depth, taps...): a convolution's weights."""
    depth, channels = kernel.shape[0] // groups, kernel.shape[1]
    phases = tuple(a.stride for a in axes)
    rows = kernel.reshape(groups, depth, channels, *kernel.shape[2:])
    made = np.zeros((groups, *phases, channels, depth, *(a.taps for a in axes)), kernel.dtype)
    for taps in np.ndindex(*kernel.shape[2:]):
        found = [axis.tap(k) for axis, k in zip(axes, taps, strict=True)]
        place: tuple[slice | int, ...]
        channel = (slice(None), slice(None))
        place = (slice(None), *(p for p, _ in found), *channel, *(t for _, t in found))
        behind: tuple[slice | int, ...] = (slice(None), slice(None), slice(None), *taps)
        made[place] = rows[behind].transpose(0, 2, 1)
    return made.reshape(groups * prod(phases) * channels, depth, *(a.taps for a in axes))


def _each(values: Array, groups: int, phases: int) -> Array:
    """A value per channel, for each phase."""
    return np.repeat(values.reshape(groups, 1, -1), phases, axis=1).reshape(-1)


def _side_by_side(call: NodeCall, made: Value, axes: list[Axis], groups: int) -> Value:
    """The output among the phases: (1, group x phases x channel, places...) interleaved, cut."""
    rank, phases = len(axes), tuple(a.stride for a in axes)
    if prod(phases) == 1 and made.shape[2:] == tuple(a.out for a in axes):
        return made
    numbers = np.arange(prod(made.shape)).reshape(groups, *phases, -1, *(a.places for a in axes))
    order = [0, rank + 1]
    for axis in range(rank):
        order += [rank + 2 + axis, 1 + axis]
    numbers = numbers.transpose(order)
    channels = numbers.shape[0] * numbers.shape[1]
    numbers = numbers.reshape(channels, *(a.places * a.stride for a in axes))
    cut = numbers[(slice(None), *(slice(a.skipped, a.skipped + a.out) for a in axes))][None]
    return movement.copied(call, made, cut, call.outputs[0])


def _two(values: tuple[int, ...], fill: int) -> tuple[int, int]:
    """Values for H and W; 1-D data has height 1."""
    return (fill, values[0]) if len(values) == 1 else (values[0], values[1])
