"""Seeded small ONNX networks over all operators: odd sizes, one channel, groups, residuals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNARY = ("Relu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Clip")
SPATIAL = (
    *("conv", "conv", "conv", "depthwise", "norm", "unary", "unary", "max_pool", "avg_pool"),
    *("residual", "mul", "sub", "concat", "pad", "gate", "constant_add"),
)


@dataclass
class Network:
    """An ONNX graph under construction; ``shapes`` are without the batch."""

    seed: int
    chance: np.random.Generator = field(init=False)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)

    def pick(self, *options: int) -> int:
        return int(self.chance.choice(options))

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        values = self.chance.normal(0, scale, shape).astype(np.float32)
        return self.constant(values)

    def add(self, op: str, inputs: list[str], shape: tuple[int, ...], **attrs: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"/{op}_{name}", **attrs))
        self.shapes[name] = shape
        return name


def model(seed: int, one_d: bool | None = None) -> onnx.ModelProto:
    """A network of 3 to 9 operators and a classifier; the same for the same seed."""
    net = Network(seed)
    flat = seed % 4 == 3 if one_d is None else one_d
    channels = net.pick(1, 2, 3, 4, 5, 8)
    size = (net.pick(7, 12, 19),) if flat else (net.pick(5, 7, 8, 11), net.pick(5, 6, 9))
    net.shapes["x"] = (channels, *size)
    current = "x"
    kinds = ("conv", "unary", "norm", "residual", "max_pool", "avg_pool") if flat else SPATIAL
    for _ in range(net.pick(3, 4, 5, 6, 7, 8, 9)):
        current = _grow(net, str(net.chance.choice(kinds)), current)
    features = current
    outputs = [_classify(net, current)]
    if net.pick(0, 0, 1):
        outputs.append(net.add("Relu", [features], net.shapes[features]))
    return _finish(net, outputs)


def inputs(seed: int, model_proto: onnx.ModelProto, rows: int = 16) -> np.ndarray:
    """Calibration rows in the model's own layout."""
    shape = [d.dim_value for d in model_proto.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).normal(0, 1, (rows, *shape[1:])).astype(np.float32)


def _grow(net: Network, kind: str, x: str) -> str:
    shape = net.shapes[x]
    if kind == "conv":
        return _conv(net, x)
    if kind == "depthwise":
        return _depthwise(net, x)
    if kind == "norm":
        return _norm(net, x)
    if kind == "unary":
        return _unary(net, x)
    if kind in ("max_pool", "avg_pool"):
        return _pool(net, kind, x)
    if kind == "residual":
        return net.add("Add", [x, _same(net, x)], shape)
    if kind in ("mul", "sub"):
        return net.add(kind.capitalize(), [x, _same(net, x)], shape)
    if kind == "concat":
        other = _conv(net, x, kernel=1)
        return net.add("Concat", [x, other], (shape[0] + net.shapes[other][0], *shape[1:]), axis=1)
    if kind == "pad":
        pads = net.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64))
        return net.add("Pad", [x, pads], (shape[0], shape[1] + 1, shape[2] + 2))
    if kind == "gate":
        pooled = net.add("GlobalAveragePool", [x], (shape[0], 1, 1))
        gate = net.add("Sigmoid", [_conv(net, pooled, kernel=1, out=shape[0])], (shape[0], 1, 1))
        return net.add("Mul", [x, gate], shape)
    return net.add("Add", [x, net.weights(1, shape[0], *[1] * (len(shape) - 1))], shape)


def _same(net: Network, x: str) -> str:
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
    channels, height, width = net.shapes[x]
    multiplier = net.pick(1, 1, 2, 3)
    weights = net.weights(channels * multiplier, 1, 3, 3, scale=0.4)
    shape = (channels * multiplier, height, width)
    attrs = {"kernel_shape": [3, 3], "pads": [1] * 4, "group": channels}
    return net.add("Conv", [x, weights], shape, **attrs)


def _norm(net: Network, x: str) -> str:
    channels = net.shapes[x][0]
    parts = [net.weights(channels) for _ in range(3)]
    variance = net.constant(net.chance.uniform(0.5, 2, channels).astype(np.float32))
    return net.add("BatchNormalization", [x, *parts, variance], net.shapes[x])


def _unary(net: Network, x: str) -> str:
    op = str(net.chance.choice(UNARY))
    tensors = [x]
    if op == "Clip":
        tensors += [net.constant(np.array(v, np.float32)) for v in (-0.5, 1.5)]
    return net.add(op, tensors, net.shapes[x])


def _pool(net: Network, kind: str, x: str) -> str:
    channels, *size = net.shapes[x]
    kernels = [min(net.pick(2, 3), s) for s in size]
    strides = [net.pick(1, 2) for _ in size]
    pads = [net.pick(0, 1) if k > 1 else 0 for k in kernels]
    grown = [
        (s + 2 * p - k) // t + 1 for s, p, k, t in zip(size, pads, kernels, strides, strict=True)
    ]
    attrs: dict[str, object] = {"kernel_shape": kernels, "strides": strides, "pads": pads * 2}
    if kind == "avg_pool":
        attrs["count_include_pad"] = net.pick(0, 1)
    op = "MaxPool" if kind == "max_pool" else "AveragePool"
    return net.add(op, [x], (channels, *grown), **attrs)


def _classify(net: Network, x: str) -> str:
    shape = net.shapes[x]
    if net.pick(0, 1):
        x = net.add("GlobalAveragePool", [x], (shape[0], *[1] * (len(shape) - 1)))
    features = int(np.prod(net.shapes[x]))
    flat = net.add("Flatten", [x], (features,))
    classes = net.pick(1, 3, 10)
    scale = 1.0 / np.sqrt(features)
    tensors = [flat, net.weights(classes, features, scale=scale), net.weights(classes)]
    logits = net.add("Gemm", tensors, (classes,), transB=1)
    end = net.pick(0, 1, 2)
    if end == 1:
        return net.add("Softmax", [logits], (classes,), axis=-1)
    if end == 2:
        return net.add("ArgMax", [logits], (1,), axis=1, keepdims=1)
    return logits


def _finish(net: Network, outputs: list[str]) -> onnx.ModelProto:
    kinds = {n.output[0]: TensorProto.INT64 for n in net.nodes if n.op_type == "ArgMax"}

    def value(name: str) -> onnx.ValueInfoProto:
        kind = kinds.get(name, TensorProto.FLOAT)
        return helper.make_tensor_value_info(name, kind, [1, *net.shapes[name]])

    ends = [value(n) for n in outputs]
    graph = helper.make_graph(net.nodes, "random", [value("x")], ends, net.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made
