"""Convolutions, pools and padding: nodes that need the layout (1, H, W, C)."""

from __future__ import annotations

import math

import numpy as np

from mcuq.importers import movement
from mcuq.importers.builder import Refused, Value
from mcuq.importers.call import Call, Operand
from mcuq.ir import Shape

NO_CLIP = (-math.inf, math.inf)


def conv(call: Call) -> Value:
    """Conv, 1-D and 2-D."""
    value, kernel = call.value(), call.constant(1)
    if kernel.ndim != len(value.shape):
        raise Refused(f"weights of {kernel.ndim} dimensions for data of {len(value.shape)}")
    spatial, channels = kernel.shape[2:], kernel.shape[0]
    dilations = call.integers("dilations", (1,) * len(spatial))
    strides = call.integers("strides", (1,) * len(spatial))
    pads = _pads(call, value.shape[2:], spatial, strides, dilations)
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


def max_pool(call: Call) -> Value:
    """MaxPool without indices."""
    if len(call.outputs) > 1 and call.outputs[1]:
        raise Refused("MaxPool with indices is not supported", "Use the values only")
    value = call.value()
    kernel = call.integers("kernel_shape")
    dilations = call.integers("dilations", (1,) * len(kernel))
    strides = call.integers("strides", (1,) * len(kernel))
    pads = _pads(call, value.shape[2:], kernel, strides, dilations)
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


def average_pool(call: Call) -> Value:
    """AveragePool; with ceil_mode the windows may reach over the end if padding does not count."""
    value = call.value()
    kernel = call.integers("kernel_shape")
    strides = call.integers("strides", (1,) * len(kernel))
    ones = (1,) * len(kernel)
    if call.integers("dilations", ones) != ones:
        raise Refused("AveragePool with dilations", "Use dilation 1")
    pads = _pads(call, value.shape[2:], kernel, strides, ones)
    extra = _ceil_rows(call, value.shape[2:], kernel, strides, ones, pads)
    include_pad = bool(call.integer("count_include_pad", 0)) and any(pads)
    if include_pad and any(extra):
        raise Refused(
            "AveragePool with ceil_mode and count_include_pad", "Set count_include_pad to 0"
        )
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


def pad(call: Call) -> Value | list[Operand]:
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
    if begins[0] or ends[0]:
        raise Refused("Pad along the batch", "Pad other axes only")
    return _padded(call, value, list(zip(begins, ends, strict=True)), level)


def resize(call: Call) -> list[Operand]:
    """Resize and Upsample to the nearest pixel, in every coordinate mode."""
    mode = call.text("mode", "nearest")
    if mode != "nearest":
        raise Refused(f"{call.op} with mode {mode}", "Resize to the nearest")
    return movement.nearest(call)


def _padded(call: Call, value: Value, pairs: list[tuple[int, int]], level: float) -> Value:
    rank = len(value.shape)
    if not math.isfinite(level):
        raise Refused(f"Pad with the value {level}", "Pad with a finite value")
    if rank == 2:
        builder = call.builder
        flat = builder.place(value, np.arange(value.shape[1]), value.shape)
        tensor = call.emit("pad", (flat,), pads=tuple(pairs), value=(level,))
        shape = builder.tensors[tensor].shape
        return Value(shape, tensor, np.arange(shape[1]))
    image = call.image(value)
    inside = ((0, 0), *((0, 0),) * (4 - rank), *pairs[2:], pairs[1])
    return call.image_value(call.emit("pad", (image,), pads=inside, value=(level,)), rank)


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Two sizes for H and W; 1-D data has height 1."""
    if len(sizes) not in (1, 2):
        raise Refused(f"a {len(sizes)}-D window", "Use 1-D or 2-D data (N, C, ...)")
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _pads(
    call: Call, sizes: Shape, kernel: Shape, strides: Shape, dilations: Shape
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
    call: Call,
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
