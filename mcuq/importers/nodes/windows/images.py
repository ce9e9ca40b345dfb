"""Convolutions, pools and padding: nodes that need the layout (1, H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import TypeGuard

import numpy as np

from mcuq.importers.nodes import movement
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.elementwise import with_constant
from mcuq.ir import Array, Shape
from mcuq.ops.parts.windows import Window

NO_CLIP = (-math.inf, math.inf)


def conv(call: NodeCall) -> Value:
    """Conv, 1-D and 2-D."""
    value, kernel = call.value(), call.constant(1)
    if kernel.ndim != len(value.shape):
        raise Refused(f"weights of {kernel.ndim} dimensions for data of {len(value.shape)}")
    spatial, channels = kernel.shape[2:], kernel.shape[0]
    dilations = call.integers("dilations", (1,) * len(spatial))
    strides = call.integers("strides", (1,) * len(spatial))
    pads = pads_of(call, value.shape[2:], spatial, strides, dilations)
    image = call.image(value)
    wide = kernel.reshape(*kernel.shape[:2], *(1,) * (2 - len(spatial)), *spatial)
    bias = call.optional(2)
    if bias is None:
        bias = np.zeros(channels)
    if bias.shape != (channels,):
        raise Refused(f"bias of shape {bias.shape} for {channels} channels")
    tensor = call.emit(
        "conv2d",
        (image, call.weights(1, wide.transpose(0, 2, 3, 1)), call.weights(2, bias)),
        strides=_pair(strides),
        dilations=_pair(dilations),
        pads=pads,
        groups=call.integer("group", 1),
        clip=NO_CLIP,
        pad_value=(0.0,),
    )
    return call.image_value(tensor, len(value.shape))


def max_pool(call: NodeCall) -> Value:
    """MaxPool; nobody may read its indices."""
    if len(call.outputs) > 1 and call.outputs[1]:
        raise Refused("the indices of MaxPool are read", "Use the values only")
    value = call.value()
    kernel = call.integers("kernel_shape")
    dilations = call.integers("dilations", (1,) * len(kernel))
    strides = call.integers("strides", (1,) * len(kernel))
    pads = pads_of(call, value.shape[2:], kernel, strides, dilations)
    extra = _ceil_rows(call, value.shape[2:], kernel, strides, dilations, pads)
    tensor = call.emit(
        "max_pool2d",
        (call.image(value),),
        kernel=_pair(kernel),
        strides=_pair(strides),
        dilations=_pair(dilations),
        pads=_added(pads, extra),
    )
    return call.image_value(tensor, len(value.shape))


def average_pool(call: NodeCall) -> Value:
    """AveragePool. Padding that counts, where windows reach over its end too, is laid around first.

    The taps of dilated windows are gathered first; where padding does not count, their mean is
    made larger by the share of taps that lie on the data.
    """
    value = call.value()
    kernel = call.integers("kernel_shape")
    ones = (1,) * len(kernel)
    strides, dilations = call.integers("strides", ones), call.integers("dilations", ones)
    pads = pads_of(call, value.shape[2:], kernel, strides, dilations)
    extra = _ceil_rows(call, value.shape[2:], kernel, strides, dilations, pads)
    include_pad = bool(call.integer("count_include_pad", 0)) and any(pads)
    dilated = dilations != ones
    if dilated and (any(extra) or (any(pads) and not include_pad)):
        return _evened(call, value, pads, extra)
    if include_pad and (dilated or any(extra)):
        value = _surrounded(call, value, pads)
        pads, include_pad = (0, 0, 0, 0), False
    if dilated:
        win = Window(_pair(kernel), _pair(strides), _pair(dilations), pads)
        value, strides = _gathered(call, value, win), kernel
    tensor = call.emit(
        "avg_pool2d",
        (call.image(value),),
        kernel=_pair(kernel),
        strides=_pair(strides),
        pads=_added(pads, extra),
        include_pad=include_pad,
        clip=NO_CLIP,
    )
    return call.image_value(tensor, len(value.shape))


def _evened(
    call: NodeCall, value: Value, pads: tuple[int, int, int, int], extra: tuple[int, int]
) -> Value:
    """The mean of all taps, made larger where some lie on zeros that do not count."""
    left_out = ("pads", "auto_pad", "ceil_mode", "count_include_pad")
    attrs = {key: given for key, given in call.attrs.items() if key not in left_out}
    wide = _surrounded(call, value, _added(pads, extra))
    mean = average_pool(call.part("whole", wide, **attrs))
    counted = pads if call.integer("count_include_pad", 0) else (0, 0, 0, 0)
    shares = []
    for axis, size in enumerate(_pair(value.shape[2:])):
        ruler = np.zeros(size + pads[axis] + pads[axis + 2] + extra[axis])
        first = pads[axis] - counted[axis]
        ruler[first : first + counted[axis] + size + counted[axis + 2]] = 1.0
        kernel, stride, spread = (
            _pair(call.integers(key, (1,) * (len(value.shape) - 2)))[axis]
            for key in ("kernel_shape", "strides", "dilations")
        )
        count = (len(ruler) - (kernel - 1) * spread - 1) // stride + 1
        taps = np.arange(count)[:, None] * stride + np.arange(kernel) * spread
        shares.append(ruler[taps].mean(axis=1))
    share = np.multiply.outer(*shares).reshape(1, 1, *mean.shape[2:])
    if not bool(share.all()):
        raise Refused("a window that sees padding alone", "Use less padding")
    return with_constant(call, "mul", mean, call.builder.constant, 1.0 / share)


def _surrounded(call: NodeCall, value: Value, pads: tuple[int, int, int, int]) -> Value:
    """The image with zeros around it, which count."""
    inside = ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0))
    image, label = call.image(value), f"{value.tensor}.padded"
    made = call.builder.emit("pad", label, (image,), label, pads=inside, value=(0.0,))
    return call.image_value(made, len(value.shape))


def _gathered(call: NodeCall, value: Value, win: Window) -> Value:
    """The taps of each place of the window beside each other: an image of whole windows."""
    height, width = _pair(value.shape[2:])
    places = win.out_size(height, width)
    if min(places) < 1:
        raise Refused("a window larger than its data", "Use a smaller kernel or dilation")
    loops = zip(places, win.kernel, win.strides, win.dilations, strict=True)
    rows, columns = (
        (np.arange(n)[:, None] * stride + np.arange(k) * dilation).reshape(-1)
        for n, k, stride, dilation in loops
    )
    numbers = np.arange(prod(value.shape)).reshape(1, -1, height, width)
    taps = numbers[:, :, rows][..., columns]
    shape = (*value.shape[:2], *taps.shape[4 - len(value.shape) + 2 :])
    return movement.copied(call, value, taps.reshape(shape), f"{value.tensor}.taps")


def planar(
    handler: Callable[[NodeCall], Value], volume: Callable[[NodeCall], Value] | None = None
) -> Callable[[NodeCall], Value]:
    """``handler`` for images, and for (N, C, D, H, W) where that is an image.

    One axis and its kernel are 1, or the window sees one element along two neighbours: one axis.
    Other windows over three axes are left to ``volume``.
    """

    def squeezed(call: NodeCall) -> Value:
        value = call.value()
        if len(value.shape) != 5:
            return handler(call)
        weights = call.operand(1)
        kernel = call.integers("kernel_shape", weights.shape[2:] if _is_array(weights) else ())
        axis = next((a for a in range(len(kernel)) if value.shape[a + 2] == kernel[a] == 1), None)
        joined = next((a for a in (0, 1) if _still(call, kernel, a, a + 1)), None)
        if len(kernel) == 3 and joined is not None:
            sizes = value.shape[joined + 2 : joined + 4]
            made = handler(_without(call, value, joined, prod(sizes)))
            shape = (*made.shape[: joined + 2], *sizes, *made.shape[joined + 3 :])
            return Value(shape, made.tensor, made.view)
        if axis is None or len(kernel) != 3 or not _idle(call, axis):
            if volume is not None and len(kernel) == 3 and value.shape[0] == 1:
                return volume(call)
            raise Refused("a 3-D window", "Use 1-D or 2-D data, or one axis of size 1 in 3-D data")
        made = handler(_without(call, value, axis))
        return Value((*made.shape[: axis + 2], 1, *made.shape[axis + 2 :]), made.tensor, made.view)

    return squeezed


def _is_array(operand: Operand) -> TypeGuard[Array]:
    return isinstance(operand, np.ndarray)


def _idle(call: NodeCall, axis: int) -> bool:
    """Whether the attributes leave an axis of one element, with a kernel of one, as it is."""
    pads = call.integers("pads", (0,) * 6)
    sizes = call.integers("output_shape", (1,) * 3)[-3:]
    extra = call.integers("output_padding", (0,) * 3)
    return pads[axis] == pads[axis + 3] == extra[axis] == 0 and sizes[axis] == 1


def _still(call: NodeCall, kernel: tuple[int, ...], *axes: int) -> bool:
    """Whether the window moves along ``axes`` element by element and sees one of them."""
    steps, spread = (call.integers(key, (1,) * 3) for key in ("strides", "dilations"))
    pads = call.integers("pads", (0,) * 6)
    extra = (*call.integers("output_padding"), *call.integers("output_shape"))
    ones = all(kernel[a : a + 1] == (1,) and steps[a] == spread[a] == 1 for a in axes)
    named = call.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return ones and not extra and not named and not any(pads[a] or pads[a + 3] for a in axes)


def _without(call: NodeCall, value: Value, axis: int, joined: int = 1) -> NodeCall:
    """``call`` on data and with a kernel of one axis less; the next one has ``joined`` elements."""
    attrs = dict(call.attrs)
    for key in ("kernel_shape", "strides", "dilations", "output_padding", "output_shape", "pads"):
        given = call.integers(key)
        if given:
            attrs[key] = tuple(v for i, v in enumerate(given) if i % 3 != axis)
    rest = (joined, *value.shape[axis + 4 :]) if joined > 1 else value.shape[axis + 3 :]
    flat = replace(value, shape=(*value.shape[: axis + 2], *rest))
    inputs: list[Operand] = [flat, *call.inputs[1:]]
    weights = call.operand(1)
    if _is_array(weights):
        inputs[1] = weights.squeeze(axis + 2)
    return replace(call, inputs=tuple(inputs), attrs=attrs)


def pad(call: NodeCall) -> Value | list[Operand]:
    """Pad with a constant, or with elements of the data; negative pads of the latter crop."""
    if call.text("mode", "constant") != "constant":
        return movement.moved(call)
    value = call.value()
    rank = len(value.shape)
    fill = call.optional(2)
    level = 0.0 if fill is None or fill.size == 0 else float(fill.reshape(-1)[0])
    axes = call.axes(3, rank) if call.operand(3) is not None else tuple(range(rank))
    given = [int(v) for v in call.constant(1).reshape(-1)]
    begins, ends = [0] * rank, [0] * rank
    if len(given) != 2 * len(axes or ()):
        raise Refused(f"{len(given)} pads for {len(axes or ())} axes", "Give two for each axis")
    for place, axis in enumerate(axes or ()):
        begins[axis], ends[axis] = given[place], given[place + len(given) // 2]
    if min(*begins, *ends) < 0:
        raise Refused("Pad with negative pads (a crop)", "Crop the data before the network")
    if not any(begins) and not any(ends):
        return value
    pairs = list(zip(begins, ends, strict=True))
    if value.shape[0] == 1:
        if pairs[0] != (0, 0):
            raise Refused("Pad along the batch", "Pad other axes only")
        return _padded(call, value, pairs, level)
    made = _padded(call, replace(value, shape=(1, *value.shape)), [(0, 0), *pairs], level)
    return replace(made, shape=made.shape[1:])


def _padded(call: NodeCall, value: Value, pairs: list[tuple[int, int]], level: float) -> Value:
    rank = len(value.shape)
    if not math.isfinite(level):
        raise Refused(f"Pad with the value {level}", "Pad with a finite value")
    if rank > 4:
        return _padded_joined(call, value, pairs, level)
    if rank == 2:
        builder = call.builder
        flat = builder.place(value, np.arange(value.shape[1]), value.shape)
        tensor = call.emit("pad", (flat,), pads=tuple(pairs), value=(level,))
        shape = builder.tensors[tensor].shape
        return Value(shape, tensor, np.arange(shape[1]))
    image = call.image(value)
    inside = ((0, 0), *((0, 0),) * (4 - rank), *pairs[2:], pairs[1])
    return call.image_value(call.emit("pad", (image,), pads=inside, value=(level,)), rank)


def _padded_joined(
    call: NodeCall, value: Value, pairs: list[tuple[int, int]], level: float
) -> Value:
    """Of many axes: neighbours that keep their sizes are padded as one."""
    sizes, given = [value.shape[0]], [pairs[0]]
    for axis in range(1, len(pairs)):
        if axis > 1 and given[-1] == pairs[axis] == (0, 0):
            sizes[-1] *= value.shape[axis]
        else:
            sizes.append(value.shape[axis])
            given.append(pairs[axis])
    if len(sizes) > 4:
        raise Refused(f"Pad of {len(pairs)}-dimensional data", "Pad fewer axes at once")
    made = _padded(call, replace(value, shape=tuple(sizes)), given, level)
    shape = tuple(s + a + b for s, (a, b) in zip(value.shape, pairs, strict=True))
    return Value(shape, made.tensor, made.view)


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Two sizes for H and W; 1-D data has height 1."""
    if len(sizes) not in (1, 2):
        raise Refused(f"a {len(sizes)}-D window", "Use 1-D or 2-D data (N, C, ...)")
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def pads_of(
    call: NodeCall, sizes: Shape, kernel: Shape, strides: Shape, dilations: Shape
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) from pads or auto_pad."""
    rank = len(kernel)
    if rank not in (1, 2) or len(sizes) != rank or len(strides) != rank or len(dilations) != rank:
        raise Refused(f"a {rank}-D window on {len(sizes)}-D data", "Use 1-D or 2-D data")
    if min((*kernel, *strides, *dilations)) < 1:
        raise Refused("a kernel, stride or dilation below 1")
    mode = call.text("auto_pad", "NOTSET")
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Refused(f"auto_pad {mode}", "State the pads")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = [], []
        for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
            small, large = total // 2, total - total // 2
            begins.append(small if mode == "SAME_UPPER" else large)
            ends.append(large if mode == "SAME_UPPER" else small)
    else:
        given = call.integers("pads", (0,) * (2 * rank)) if mode == "NOTSET" else (0,) * (2 * rank)
        begins, ends = list(given[:rank]), list(given[rank:])
    if len(begins) != rank or len(ends) != rank or min(*begins, *ends) < 0:
        raise Refused("pads that are negative or of another length")
    return (*_edge(begins), *_edge(ends))


def _edge(sizes: list[int]) -> tuple[int, int]:
    return (0, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _ceil_rows(
    call: NodeCall,
    sizes: Shape,
    kernel: Shape,
    strides: Shape,
    dilations: Shape,
    pads: tuple[int, int, int, int],
) -> tuple[int, int]:
    """Rows and columns to add at the end so that ceil_mode's last window has its place."""
    mode = call.text("auto_pad", "NOTSET")
    if not call.integer("ceil_mode", 0) or mode.startswith("SAME"):
        return (0, 0)
    if mode == "VALID":  # onnx's evaluator gives another size than ONNX Runtime
        raise Refused("auto_pad VALID with ceil_mode is read in two ways", "State the pads")
    extra = []
    wide = ((1, *sizes) if len(sizes) == 1 else tuple(sizes))[-2:]
    loops = zip(wide, _pair(kernel), _pair(strides), _pair(dilations), strict=True)
    for axis, (size, k, stride, dilation) in enumerate(loops):
        begin, end = pads[axis], pads[axis + 2]
        span = size + begin + end - (k - 1) * dilation - 1
        count = -(-span // stride) + 1
        if (count - 1) * stride >= size + begin:  # the window would start beyond the data
            count -= 1
        extra.append(max(0, (count - 1) * stride - span))
    return (extra[0], extra[1])


def _added(pads: tuple[int, int, int, int], extra: tuple[int, int]) -> tuple[int, int, int, int]:
    return (pads[0], pads[1], pads[2] + extra[0], pads[3] + extra[1])
