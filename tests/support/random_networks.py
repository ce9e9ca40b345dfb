"""Seeded small ONNX networks over all operators: odd sizes, one channel, groups, residuals,
several inputs and outputs, 1-D and 2-D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNARY = (
    *("Relu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Clip"),
    *("Gelu", "PRelu", "Neg", "Max", "Min"),
)
FUNCTIONS = (
    *("Abs", "Asinh", "Atan", "Ceil", "Celu", "Cos", "Erf", "Floor", "Mish", "Round", "Selu"),
    *("Shrink", "Sign", "Sin", "Softplus", "Softsign", "ThresholdedRelu"),
)
BOUNDED = (
    *("Acos", "Acosh", "Asin", "Atanh", "Cosh", "Exp", "Log", "Pow", "Reciprocal", "Sinh", "Sqrt"),
    "Tan",
)
REDUCTIONS = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL1", "ReduceL2"),
    *("ReduceLogSumExp", "ReduceSumSquare"),
)
COMPARISONS = ("Less", "LessOrEqual", "Equal", "GreaterOrEqual", "Greater")
KINDS = (
    *("conv", "conv", "conv", "depthwise", "norm", "unary", "unary", "silu", "max_pool"),
    *("avg_pool", "residual", "mul", "sub", "concat", "pad", "gate", "constant", "same", "turn"),
    *("mix", "attention", "second_input", "output", "larger", "move", "move"),
    *("function", "function", "bounded", "extremum", "reduce", "choose", "norm_pool", "running"),
    *("normalize", "product", "sequence"),
)


@dataclass
class Network:
    """An ONNX graph under construction; ``shapes`` are without the batch."""

    seed: int
    chance: np.random.Generator = field(init=False)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)

    def pick(self, *options: int) -> int:
        return int(self.chance.choice(options))

    def choose(self, *options: str) -> str:
        return str(self.chance.choice(options))

    def input(self, shape: tuple[int, ...]) -> str:
        name = f"x{len(self.inputs)}"
        self.inputs.append(name)
        self.shapes[name] = shape
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        values = self.chance.normal(0, scale, shape).astype(np.float32)
        return self.constant(values)

    def add(self, op: str, inputs: list[str], shape: tuple[int, ...], **attrs: object) -> str:
        name = f"v{len(self.nodes)}"
        outputs = [name, f"{name}.index"] if op == "TopK" else [name]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"/{op}_{name}", **attrs))
        self.shapes[name] = shape
        return name


def model(seed: int) -> onnx.ModelProto:
    """A network of 3 to 9 operators and a classifier; the same for the same seed."""
    net = Network(seed)
    channels = net.pick(1, 2, 3, 4, 5, 8)
    size = (net.pick(7, 12, 19),) if seed % 4 == 3 else (net.pick(5, 7, 8, 11), net.pick(5, 6, 9))
    current = net.input((channels, *size))
    for _ in range(net.pick(3, 4, 5, 6, 7, 8, 9)):
        current = _GROW[net.choose(*KINDS)](net, current)
    _classify(net, current)
    return _finish(net)


def inputs(seed: int, model_proto: onnx.ModelProto, rows: int = 16) -> dict[str, np.ndarray]:
    """Calibration rows by input name, in the model's own layout."""
    chance = np.random.default_rng(seed)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        for value in model_proto.graph.input
    }
    return {n: chance.normal(0, 1, (rows, *s)).astype(np.float32) for n, s in shapes.items()}


def _two(op: str) -> Callable[[Network, str], str]:
    """An operator of two values of the same shape."""
    return lambda net, x: net.add(op, [x, _same_shape(net, x)], net.shapes[x])


def _concat(net: Network, x: str) -> str:
    shape = net.shapes[x]
    other = _conv(net, x, kernel=1)
    return net.add("Concat", [x, other], (shape[0] + net.shapes[other][0], *shape[1:]), axis=1)


def _pad(net: Network, x: str) -> str:
    channels, *size = net.shapes[x]
    ends = [net.pick(0, 2) for _ in size]
    tensors = [x, net.integers(0, 0, *[1] * len(size), 0, 0, *ends)]
    if net.pick(0, 1):
        tensors.append(net.constant(np.array(0.5, np.float32)))
    grown = (s + 1 + e for s, e in zip(size, ends, strict=True))
    return net.add("Pad", tensors, (channels, *grown))


def _gate(net: Network, x: str) -> str:
    """Each channel times a function of its mean (or maximum)."""
    shape = net.shapes[x]
    ones = (shape[0], *[1] * (len(shape) - 1))
    # onnx's reference evaluator drops an axis of a 1-D GlobalMaxPool.
    op = net.choose("GlobalAveragePool", "GlobalMaxPool") if len(ones) == 3 else "GlobalAveragePool"
    pooled = net.add(op, [x], ones)
    gate = net.add("Sigmoid", [_conv(net, pooled, kernel=1, out=shape[0])], ones)
    return net.add("Mul", [x, gate], shape)


def _attention(net: Network, x: str) -> str:
    """Each position times a gate that is a reduction of its channels."""
    shape = net.shapes[x]
    ones = (1, *shape[1:])
    pooled = net.add(net.choose(*REDUCTIONS), [x, net.integers(1)], ones, keepdims=1)
    return net.add("Mul", [net.add("Sigmoid", [pooled], ones), x], shape)


def _function(net: Network, x: str) -> str:
    """Functions that are defined for all reals, and grow no faster than these."""
    return net.add(net.choose(*FUNCTIONS), [x], net.shapes[x])


def _between(net: Network, x: str, low: float, high: float) -> str:
    """Values between two numbers."""
    shape = net.shapes[x]
    slope, start = (net.constant(np.array(v, np.float32)) for v in (high - low, low))
    scaled = net.add("Mul", [net.add("Sigmoid", [x], shape), slope], shape)
    return net.add("Add", [scaled, start], shape)


def _bounded(net: Network, x: str) -> str:
    """Functions that have a domain or grow fast, and divisions by such values."""
    op, shape = net.choose(*BOUNDED, "Div", "LogSum"), net.shapes[x]
    inside = _between(net, x, 1.1, 1.9) if op == "Acosh" else _between(net, x, 0.1, 0.9)
    if op == "Div":
        return net.add(op, [x, inside], shape)
    if op == "LogSum":
        ones = (1, *shape[1:])
        total = net.add("ReduceLogSum", [inside, net.integers(1)], ones, keepdims=1)
        return net.add("Add", [x, total], shape)
    tensors = [inside]
    if op == "Pow":
        exponent = np.array(net.pick(-1, 2, 3) / net.pick(1, 2), np.float32)
        tensors.append(net.constant(exponent))
    return net.add(op, tensors, shape)


def _extremum(net: Network, x: str) -> str:
    """Of two values or more, or of a value and constants."""
    op, shape = net.choose("Max", "Min", "Mean"), net.shapes[x]
    tensors = [x, _same_shape(net, x)] if net.pick(0, 1) or op == "Mean" else [x]
    if net.pick(0, 1) or len(tensors) == 1:
        tensors.append(net.weights(shape[0], *[1] * (len(shape) - 1)))
    return net.add(op, tensors, shape)


def _reduce(net: Network, x: str) -> str:
    """A reduction over the last axis, which is added again."""
    shape = net.shapes[x]
    op = net.choose(*REDUCTIONS)
    ones = (*shape[:-1], 1)
    return net.add("Add", [x, net.add(op, [x, net.integers(-1)], ones, keepdims=1)], shape)


def _choose(net: Network, x: str) -> str:
    """Values chosen by a comparison, or by a constant."""
    shape, other = net.shapes[x], _same_shape(net, x)
    if net.pick(0, 0, 1):
        mask = net.constant(net.chance.normal(0, 1, shape[-1:]) > 0)
        return net.add("Where", [mask, x, other], shape)
    limit = net.constant(np.array(0.3, np.float32))
    truth = net.add(net.choose(*COMPARISONS), [x, limit], shape)
    way = net.choose("Where", "Not", "And", "Or", "Xor")
    if way != "Where":
        tensors = [truth] if way == "Not" else [truth, net.add("Less", [other, limit], shape)]
        truth = net.add(way, tensors, shape)
    return net.add("Where", [truth, x, other], shape)


def _norm_pool(net: Network, x: str) -> str:
    channels, *size = net.shapes[x]
    kernels = [min(2, s) for s in size]
    grown = [s - k + 1 for s, k in zip(size, kernels, strict=True)]
    return net.add("LpPool", [x], (channels, *grown), kernel_shape=kernels, p=net.pick(1, 2, 3))


def _running(net: Network, x: str) -> str:
    """A running sum of what is small."""
    axis = net.constant(np.array(net.pick(1, 2), np.int64))
    attrs = {"exclusive": net.pick(0, 1), "reverse": net.pick(0, 1)}
    return net.add("CumSum", [net.add("Tanh", [x], net.shapes[x]), axis], net.shapes[x], **attrs)


def _constant(net: Network, x: str) -> str:
    """A constant per channel, or one for all."""
    shape = net.shapes[x]
    op = net.choose("Add", "Sub", "Mul", "Div")
    size = (1, shape[0], *[1] * (len(shape) - 1)) if net.pick(0, 1) else (1,)
    values = net.constant(net.chance.uniform(0.5, 2, size).astype(np.float32))
    return net.add(
        op, [values, x] if op in ("Add", "Sub") and net.pick(0, 1) else [x, values], shape
    )


def _silu(net: Network, x: str) -> str:
    shape = net.shapes[x]
    return net.add("Mul", [x, net.add("Sigmoid", [x], shape)], shape)


def _unchanged(net: Network, x: str) -> str:
    """An operator that only passes its input on, or views it in another way."""
    shape = net.shapes[x]
    op = net.choose("Identity", "Dropout", "Cast", "Unsqueeze", "Reshape", "Expand", "Sum")
    if op == "Cast":
        return net.add(op, [x], shape, to=TensorProto.FLOAT)
    if op == "Unsqueeze":
        wide = net.add(op, [x, net.integers(2)], (shape[0], 1, *shape[1:]))
        return net.add("Squeeze", [wide, net.integers(2)], shape)
    if op == "Reshape":
        flat = net.add(op, [x, net.integers(1, -1)], (int(np.prod(shape)),))
        return net.add(op, [flat, net.integers(-1, *shape)], shape)
    if op == "Expand":
        return net.add(op, [x, net.integers(*[1] * (len(shape) + 1))], shape)
    return net.add(op, [x], shape)


def _turn(net: Network, x: str) -> str:
    """Height and width (or length and channels) exchanged: elements really move."""
    shape = net.shapes[x]
    axes = list(range(len(shape) + 1))
    return net.add(
        "Transpose", [x], (*shape[:-2], shape[-1], shape[-2]), perm=[*axes[:-2], *axes[:-3:-1]]
    )


def _mix(net: Network, x: str) -> str:
    """A fully connected layer at each position, written with the channels last."""
    channels, *size = net.shapes[x]
    rank = len(size) + 1
    out = net.pick(1, 3, 6)
    last = net.add("Transpose", [x], (*size, channels), perm=[0, *range(2, rank + 1), 1])
    weights = net.weights(channels, out, scale=1 / np.sqrt(channels))
    made = net.add("MatMul", [last, weights], (*size, out))
    if net.pick(0, 1):
        made = _softmax(net, net.choose("Softmax", "LogSoftmax"), made)
    return net.add("Transpose", [made], (out, *size), perm=[0, rank, *range(1, rank)])


def _softmax(net: Network, op: str, x: str) -> str:
    """Over the last axis; onnx's evaluator gives minus infinity for logarithms below -104."""
    shape = net.shapes[x]
    return net.add(op, [net.add("Tanh", [x], shape) if op == "LogSoftmax" else x], shape, axis=-1)


def _second_input(net: Network, x: str) -> str:
    return net.add("Add", [x, net.input(net.shapes[x])], net.shapes[x])


def _output(net: Network, x: str) -> str:
    """Make a function of ``x`` an output of the network, too; go on with ``x``."""
    net.outputs.append(net.add("Relu", [x], net.shapes[x]))
    return x


def _same_shape(net: Network, x: str) -> str:
    """Another value of the same shape."""
    shape = net.shapes[x]
    rank = len(shape) - 1
    weights = net.weights(shape[0], shape[0], *[3] * rank, scale=0.4)
    return net.add("Conv", [x, weights], shape, kernel_shape=[3] * rank, pads=[1] * 2 * rank)


def _conv(net: Network, x: str, kernel: int | None = None, out: int | None = None) -> str:
    channels, *size = net.shapes[x]
    groups = net.pick(*(g for g in (1, 1, 2, 3) if channels % g == 0)) if out is None else 1
    out = out or groups * net.pick(1, 2, 3, 4, 7)
    free = kernel is None
    kernels = [kernel or net.pick(1, 2, 3, 5) for _ in size]
    strides = [net.pick(1, 1, 2, 3) if free else 1 for _ in size]
    dilations = [net.pick(1, 1, 2) if free else 1 for _ in size]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernels, strict=True)]
    begin = [max(net.pick(0, 1), r - s) if free else 0 for r, s in zip(reach, size, strict=True)]
    end = [net.pick(0, 1, 2) if free else 0 for _ in size]
    grown = [
        (s + b + e - r) // t + 1
        for s, b, e, r, t in zip(size, begin, end, reach, strides, strict=True)
    ]
    scale = 1.0 / np.sqrt(channels // groups * np.prod(kernels))
    tensors = [x, net.weights(out, channels // groups, *kernels, scale=scale)]
    if net.pick(0, 1):
        tensors.append(net.weights(out))
    return net.add(
        "Conv",
        tensors,
        (out, *grown),
        kernel_shape=kernels,
        strides=strides,
        dilations=dilations,
        pads=[*begin, *end],
        group=groups,
    )


def _depthwise(net: Network, x: str) -> str:
    channels, *size = net.shapes[x]
    multiplier = net.pick(1, 1, 2, 3)
    rank = len(size)
    weights = net.weights(channels * multiplier, 1, *[3] * rank, scale=0.4)
    attrs = {"kernel_shape": [3] * rank, "pads": [1] * 2 * rank, "group": channels}
    return net.add("Conv", [x, weights], (channels * multiplier, *size), **attrs)


def _larger(net: Network, x: str) -> str:
    """Up to twice the size, as decoders grow."""
    channels, *size = net.shapes[x]
    way = net.choose("ConvTranspose", "nearest", "linear") if max(size) < 12 else "ConvTranspose"
    if way != "ConvTranspose":
        grown = [s * 2 if net.pick(0, 1) else s + 1 for s in size]
        mode = net.choose("half_pixel", "asymmetric")
        sizes = net.integers(1, channels, *grown)
        return net.add("Resize", [x, "", "", sizes], (channels, *grown), mode=way,
                       coordinate_transformation_mode=mode)  # fmt: skip
    out, stride = net.pick(1, 2, 3), net.pick(1, 2) if max(size) < 12 else 1
    kernel, more = net.pick(2, 3), net.pick(0, stride - 1)
    weights = net.weights(channels, out, *[kernel] * len(size), scale=1.0 / np.sqrt(channels))
    grown = [stride * (s - 1) + kernel - 1 + more for s in size]
    return net.add("ConvTranspose", [x, weights], (out, *grown),
                   strides=[stride] * len(size), output_padding=[more] * len(size),
                   pads=[1] * len(size) + [0] * len(size))  # fmt: skip


def _move(net: Network, x: str) -> str:
    """Elements picked, exchanged or repeated."""
    channels, *size = net.shapes[x]
    way = net.choose("Slice", "Split", "Gather", "Tile", "DepthToSpace")
    whole = (channels, *size)
    even = len(size) == 2 and not size[0] % 2 and not size[1] % 2
    if even and way != "DepthToSpace":
        shape = (4 * channels, size[0] // 2, size[1] // 2)
        return net.add("SpaceToDepth", [x], shape, blocksize=2)
    if way == "Slice":
        parts = [x, net.integers(-1), net.integers(-9999), net.integers(2), net.integers(-1)]
        return net.add(way, parts, whole)
    if way == "Split" and channels % 2 == 0:
        half = net.add(way, [x, net.integers(channels // 2, channels // 2)],
                       (channels // 2, *size), axis=1)  # fmt: skip
        net.nodes[-1].output.append(f"{half}.second")
        net.shapes[f"{half}.second"] = net.shapes[half]
        turned = [f"{half}.second", half]
        return net.add("Concat", turned, whole, axis=1)
    if way == "Tile" and channels < 6:
        parts = [x, net.integers(1, 2, *[1] * len(size))]
        return net.add(way, parts, (2 * channels, *size))
    if way == "DepthToSpace" and len(size) == 2 and channels % 4 == 0:
        shape = (channels // 4, 2 * size[0], 2 * size[1])
        return net.add(way, [x], shape, blocksize=2, mode=net.choose("DCR", "CRD"))
    picked = [net.pick(*range(channels)) for _ in range(net.pick(1, 2, 4))]
    return net.add("Gather", [x, net.integers(*picked)], (len(picked), *size), axis=1)


def _norm(net: Network, x: str) -> str:
    channels = net.shapes[x][0]
    parts = [net.weights(channels) for _ in range(3)]
    variance = net.constant(net.chance.uniform(0.5, 2, channels).astype(np.float32))
    return net.add("BatchNormalization", [x, *parts, variance], net.shapes[x])


def _normalize(net: Network, x: str) -> str:
    """Values less their mean, by their deviation: of all, of each channel or of each position."""
    shape = net.shapes[x]
    op = net.choose("Layer", "Instance", "MeanVariance", "Lp")
    name, channels = f"{op}Normalization", shape[0]
    if op == "Layer":
        last = [net.weights(shape[-1]) for _ in range(2)]
        return net.add(name, [x, *last], shape, axis=-1, epsilon=1e-3)
    if op == "Instance":
        parts = [net.weights(channels) for _ in range(2)]
        return net.add(name, [x, *parts], shape, epsilon=1e-3)
    if op == "MeanVariance":
        return net.add(name, [x], shape, axes=list(range(1, len(shape) + 1)))
    shifted = net.add("Add", [x, net.constant(np.array([0.5], np.float32))], shape)
    return net.add(name, [shifted], shape, axis=-1, p=2)


def _product(net: Network, x: str) -> str:
    """Each channel with each other: a small attention over channels."""
    shape = net.shapes[x]
    channels, positions = shape[0], int(np.prod(shape[1:]))
    rows = [
        net.add("Reshape", [value, net.integers(1, channels, positions)], (channels, positions))
        for value in (x, _same_shape(net, x))
    ]
    scores = net.add("Einsum", rows, (channels, channels), equation="bij,bkj->bik")
    small = net.constant(np.array([1 / positions], np.float32))
    gates = _softmax(net, "Softmax", net.add("Mul", [scores, small], (channels, channels)))
    mixed = net.add("MatMul", [gates, rows[1]], (channels, positions))
    return net.add("Reshape", [mixed, net.integers(1, *shape)], shape)


def _sequence(net: Network, x: str) -> str:
    """A recurrent layer over the positions of a row, in one direction or the other."""
    channels, *size = net.shapes[x]
    length = int(np.prod(size))
    if length > 40:
        return _unary(net, x)
    op, hidden = net.choose("LSTM", "GRU", "RNN"), net.pick(1, 3, 4)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op] * hidden
    flat = net.add("Reshape", [x, net.integers(1, channels, length)], (channels, length))
    steps = net.add("Transpose", [flat], (length, channels), perm=[2, 0, 1])
    scale = 1 / np.sqrt(channels + hidden)
    parts = [net.weights(1, gates, n, scale=scale) for n in (channels, hidden)]
    attrs = {"linear_before_reset": 1} if op == "GRU" else {}
    made = net.add(
        op,
        [steps, *parts, net.weights(1, 2 * gates, scale=0.2)],
        (1, 1, hidden),
        hidden_size=hidden,
        direction=net.choose("forward", "reverse"),
        **attrs,
    )
    turned = net.add("Transpose", [made], (hidden, length), perm=[2, 1, 3, 0])
    ones = (hidden, *size)
    return net.add("Reshape", [turned, net.integers(1, *ones)], ones)


def _unary(net: Network, x: str) -> str:
    op = net.choose(*UNARY)
    tensors = [x]
    if op == "Gelu":
        return net.add(op, tensors, net.shapes[x], approximate=net.choose("none", "tanh"))
    if op == "PRelu":
        shape = net.shapes[x]
        each = net.weights(shape[0], *[1] * (len(shape) - 1), scale=0.3)
        tensors.append(each if net.pick(0, 1) else net.constant(np.array([0.3], np.float32)))
    if op in ("Max", "Min"):
        tensors.append(net.constant(np.array([0.25], np.float32)))
    if op == "Clip":
        tensors += [net.constant(np.array(v, np.float32)) for v in (-0.5, 1.5)]
    return net.add(op, tensors, net.shapes[x])


def _pool(net: Network, kind: str, x: str) -> str:
    channels, *size = net.shapes[x]
    kernels = [min(net.pick(2, 3), s) for s in size]
    strides = [net.pick(1, 2) for _ in size]
    pads = [net.pick(0, 1) if k > 1 else 0 for k in kernels]
    if kind == "max_pool":  # onnx's reference evaluator is wrong about other pads than these
        pads = [pads[0] if kernels == [3, 3] else 0] * len(size)
    grown = [
        (s + 2 * p - k) // t + 1 for s, p, k, t in zip(size, pads, kernels, strides, strict=True)
    ]
    attrs: dict[str, object] = {"kernel_shape": kernels, "strides": strides, "pads": pads * 2}
    if kind == "avg_pool":
        attrs["count_include_pad"] = net.pick(0, 1)
    op = "MaxPool" if kind == "max_pool" else "AveragePool"
    return net.add(op, [x], (channels, *grown), **attrs)


def _classify(net: Network, x: str) -> None:
    flat = _features(net, x)
    if net.pick(0, 0, 1):
        extra = net.input((net.pick(1, 3),))
        count = net.shapes[flat][0] + net.shapes[extra][0]
        flat = net.add("Concat", [flat, extra], (count,), axis=-1)
    features, classes = net.shapes[flat][0], net.pick(1, 3, 10)
    scale = 1.0 / np.sqrt(features)
    if net.pick(0, 1):
        tensors = [flat, net.weights(classes, features, scale=scale), net.weights(classes)]
        logits = net.add("Gemm", tensors, (classes,), transB=1)
    else:
        product = net.add("MatMul", [flat, net.weights(features, classes, scale=scale)], (classes,))
        logits = net.add("Add", [product, net.weights(classes)], (classes,))
    end = net.choose("", "Softmax", "LogSoftmax", "ArgMax", "ArgMin", "TopK")
    if end in ("Softmax", "LogSoftmax"):
        logits = _softmax(net, end, logits)
    elif end == "TopK":
        logits = net.add(end, [logits, net.integers(1)], (1,), axis=1)
    elif end.startswith("Arg"):
        logits = net.add(end, [logits], (1,), axis=1, keepdims=1)
    net.outputs.insert(0, logits)


def _features(net: Network, x: str) -> str:
    """(1, features) of an image: all of it, or a mean per channel, in one of many ways."""
    shape = net.shapes[x]
    rank, channels = len(shape), shape[0]
    ones = (channels, *[1] * (rank - 1))
    way = net.choose("Flatten", "Reshape", "Squeeze", "ReduceMean", "GlobalAveragePool")
    if way == "Flatten":
        return net.add(way, [x], (int(np.prod(shape)),))
    if way == "Reshape":
        return net.add(way, [x, net.integers(1, -1)], (int(np.prod(shape)),))
    if way == "ReduceMean":
        axes = net.integers(*range(2, rank + 1))
        return net.add(way, [x, axes], (channels,), keepdims=0)
    pooled = net.add("GlobalAveragePool", [x], ones)
    if way == "Squeeze":
        return net.add(way, [pooled, net.integers(*range(2, rank + 1))], (channels,))
    return net.add("Flatten", [pooled], (channels,))


_GROW: dict[str, Callable[[Network, str], str]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "norm": _norm,
    "unary": _unary,
    "silu": _silu,
    "max_pool": lambda net, x: _pool(net, "max_pool", x),
    "avg_pool": lambda net, x: _pool(net, "avg_pool", x),
    "residual": _two("Add"),
    "mul": _two("Mul"),
    "sub": _two("Sub"),
    "concat": _concat,
    "pad": _pad,
    "gate": _gate,
    "constant": _constant,
    "same": _unchanged,
    "turn": _turn,
    "mix": _mix,
    "attention": _attention,
    "larger": _larger,
    "move": _move,
    "function": _function,
    "bounded": _bounded,
    "extremum": _extremum,
    "reduce": _reduce,
    "choose": _choose,
    "norm_pool": _norm_pool,
    "running": _running,
    "normalize": _normalize,
    "product": _product,
    "sequence": _sequence,
    "second_input": _second_input,
    "output": _output,
}


def _finish(net: Network) -> onnx.ModelProto:
    kinds = {n.output[0]: TensorProto.INT64 for n in net.nodes if n.op_type.startswith("Arg")}

    def value(name: str) -> onnx.ValueInfoProto:
        kind = kinds.get(name, TensorProto.FLOAT)
        return helper.make_tensor_value_info(name, kind, [1, *net.shapes[name]])

    starts, ends = ([value(n) for n in names] for names in (net.inputs, net.outputs))
    graph = helper.make_graph(net.nodes, "random", starts, ends, net.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made
