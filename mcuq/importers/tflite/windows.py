"""Convolutions, pools, dense layers and resizing: what ONNX wants with channels first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.writer import OperatorCall

Results = list[str]


def conv2d(call: OperatorCall) -> Results:
    """CONV_2D: weights (O, H, W, I); fewer input channels than the data has make groups."""
    _, height, width, inputs = call.shape(1)
    groups = call.shape(0)[3] // inputs if inputs else 0
    if groups < 1 or groups * inputs != call.shape(0)[3]:
        raise Refused("its weights do not fit the channels of its input", "Convert it again")
    weights = call.weights(1, (0, 3, 1, 2))
    return _convolution(call, weights, (height, width), groups)


def depthwise_conv2d(call: OperatorCall) -> Results:
    """DEPTHWISE_CONV_2D: weights (1, H, W, channels x multiplier)."""
    _, height, width, _ = call.shape(1)
    weights = call.weights(1, (3, 0, 1, 2))
    return _convolution(call, weights, (height, width), call.shape(0)[3])


def _convolution(call: OperatorCall, weights: str, kernel: tuple[int, int], groups: int) -> Results:
    strides = call.integer("StrideH"), call.integer("StrideW")
    dilations = call.integer("DilationHFactor", 1), call.integer("DilationWFactor", 1)
    given = call.operator.options.get("Pads")
    pads = list(given) if given is not None else _pads(call, kernel, strides, dilations)
    made = call.node(
        "Conv", [call.first(call.value(0)), weights, *_bias(call, 2)],
        kernel_shape=list(kernel), strides=list(strides), dilations=list(dilations),
        group=groups, pads=pads,
    )  # fmt: skip
    return [call.activated(call.last(made))]


def conv3d(call: OperatorCall) -> Results:
    """CONV_3D: data (N, D, H, W, C), weights (D, H, W, I, O)."""
    *kernel, inputs, _ = call.shape(1)
    if not inputs or call.shape(0)[4] % inputs:
        raise Refused("its weights do not fit the channels of its input", "Convert it again")
    strides = [call.integer(f"Stride{axis}") for axis in "DHW"]
    dilations = [call.integer(f"Dilation{axis}Factor", 1) for axis in "DHW"]
    source = call.writer.transposed(call.value(0), (0, 4, 1, 2, 3), call.name)
    made = call.node(
        "Conv", [source, call.weights(1, (4, 3, 0, 1, 2)), *_bias(call, 2)],
        kernel_shape=kernel, strides=strides, dilations=dilations,
        group=call.shape(0)[4] // inputs, pads=_pads(call, kernel, strides, dilations),
    )  # fmt: skip
    return [call.activated(call.writer.transposed(made, (0, 2, 3, 4, 1), call.name))]


def transpose_conv(call: OperatorCall) -> Results:
    """TRANSPOSE_CONV(output shape, weights (O, H, W, I), data[, bias])."""
    strides = call.integer("StrideH"), call.integer("StrideW")
    kernel = call.shape(1)[1:3]
    weights = call.weights(1, (3, 0, 1, 2))
    begins, ends, extra = [], [], []
    for axis in (0, 1):
        size, wanted = call.shape(2)[axis + 1], call.result().shape[axis + 1]
        full = (size - 1) * strides[axis] + kernel[axis]
        cut = max(full - wanted, 0)
        begins.append(cut // 2 if call.integer("Padding") == 0 else 0)
        ends.append(cut - begins[-1])
        extra.append(max(wanted - full, 0))
    made = call.node(
        "ConvTranspose", [call.first(call.value(2)), weights, *_bias(call, 3)],
        kernel_shape=list(kernel), strides=list(strides), pads=[*begins, *ends],
        output_padding=extra,
    )  # fmt: skip
    return [call.activated(call.last(made))]


def fully_connected(call: OperatorCall) -> Results:
    """FULLY_CONNECTED: weights (O, I)."""
    if call.integer("WeightsFormat", 0):
        raise Refused("its weights are shuffled for one processor", "Convert it again")
    inputs = call.shape(1)[1]
    if call.is_constant(1):
        weights = call.weights(1, (1, 0))
    else:
        weights = call.writer.transposed(call.value(1), (1, 0), call.name)
    value, shape = call.value(0), call.shape(0)
    keeps = bool(call.operator.options.get("KeepNumDims")) and shape[-1] == inputs
    if not keeps and (len(shape) != 2 or shape[1] != inputs):
        rows = int(np.prod(shape)) // inputs
        value = call.reshaped(value, [rows, inputs])
    made = call.node("MatMul", [value, weights])
    bias = _bias(call, 2)
    return [call.activated(call.node("Add", [made, *bias]) if bias else made)]


def average_pool2d(call: OperatorCall) -> Results:
    return _pool(call, "AveragePool")


def max_pool2d(call: OperatorCall) -> Results:
    return _pool(call, "MaxPool")


def _pool(call: OperatorCall, op: str) -> Results:
    """A pool in which padding counts for nothing."""
    kernel = call.integer("FilterHeight"), call.integer("FilterWidth")
    strides = call.integer("StrideH"), call.integer("StrideW")
    pads = _pads(call, kernel, strides, (1, 1))
    made = call.node(
        op, [call.first(call.value(0))],
        kernel_shape=list(kernel), strides=list(strides), pads=pads,
    )  # fmt: skip
    return [call.activated(call.last(made))]


def l2_pool2d(call: OperatorCall) -> Results:
    """L2_POOL_2D: the root of the mean of the squares."""
    value = call.value(0)
    kernel = call.integer("FilterHeight"), call.integer("FilterWidth")
    strides = call.integer("StrideH"), call.integer("StrideW")
    made = call.node(
        "AveragePool", [call.first(call.node("Mul", [value, value]))],
        kernel_shape=list(kernel), strides=list(strides), pads=_pads(call, kernel, strides, (1, 1)),
    )  # fmt: skip
    return [call.activated(call.last(call.node("Sqrt", [made])))]


def resize_bilinear(call: OperatorCall) -> Results:
    return _resize(call, "linear")


def resize_nearest(call: OperatorCall) -> Results:
    return _resize(call, "nearest")


def _resize(call: OperatorCall, mode: str) -> Results:
    """TensorFlow's three ways to place pixels, in ONNX's words."""
    _, height, width, channels = call.result().shape
    corners, centers = call.option("AlignCorners"), call.option("HalfPixelCenters")
    coordinates = "align_corners" if corners else "half_pixel" if centers else "asymmetric"
    rounding = "round_prefer_ceil" if corners or centers else "floor"
    attrs = {"nearest_mode": rounding} if mode == "nearest" else {}
    sizes = call.writer.integers([call.shape(0)[0], channels, height, width])
    made = call.node(
        "Resize", [call.first(call.value(0)), "", "", sizes], mode=mode,
        coordinate_transformation_mode=coordinates, **attrs,
    )  # fmt: skip
    return [call.last(made)]


def _bias(call: OperatorCall, index: int) -> Results:
    if not call.has(index):
        return []
    if not call.is_constant(index):
        return [call.value(index)]
    return [call.writer.constant(call.reals(index), call.tensor(index).name)]


def _pads(
    call: OperatorCall, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[int]:
    """Begins, then ends: SAME puts the odd one at the end, VALID has none."""
    padding = call.integer("Padding")
    if padding not in (0, 1):
        raise Refused(f"its padding {padding} is neither SAME nor VALID", "Convert it again")
    if min(*kernel, *strides, *dilations) < 1:
        raise Refused("its kernel, stride or dilation is below 1", "Convert it again")
    if padding == 1:
        return [0] * (2 * len(kernel))
    begins, ends = [], []
    for axis in range(len(kernel)):
        size = call.shape(0)[axis + 1]
        steps = -(-size // strides[axis])
        reach = (steps - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        total = max(reach - size, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return [*begins, *ends]
