"""Float graphs by hand, with seeded weights, for the tests of the quantizer and the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcuq.ir import Graph, Node, Port, Shape, Tensor
from mcuq.ops import spec

NO_CLIP = (-math.inf, math.inf)
RELU = (0.0, math.inf)


class Net:
    """Builds a Graph node by node; every method returns the name of its output."""

    def __init__(self, shape: Shape, kind: str = "s8", seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {"x": Tensor("x", shape)}
        self.inputs = [Port("x", "x", shape, kind=kind)]

    def input(self, name: str, shape: Shape) -> str:
        self.tensors[name] = Tensor(name, shape)
        self.inputs.append(Port(name, name, shape))
        return name

    def constant(self, name: str, values: Any) -> str:
        data = np.array(values, np.float32)
        self.tensors[name] = Tensor(name, data.shape, data)
        return name

    def node(self, op: str, *inputs: str, name: str = "", **attrs: Any) -> str:
        output = name or f"{op}_{len(self.nodes)}"
        node = Node(op, output, inputs, (output,), attrs)
        shape = spec(op).infer(node, [self.tensors[n].shape for n in inputs])
        self.nodes.append(node)
        self.tensors[output] = Tensor(output, shape)
        return output

    def conv(
        self, x: str, channels: int, kernel: int = 3, stride: int = 1, clip: Any = RELU, **more: Any
    ) -> str:
        depth = self.tensors[x].shape[-1]
        shape = (channels, kernel, kernel, depth)
        weights = self.random.normal(0, (kernel * kernel * depth) ** -0.5, shape)
        attrs = {
            "strides": (stride, stride), "dilations": (1, 1), "pads": (kernel // 2,) * 4,
            "groups": 1, "clip": clip, "pad_value": (0.0,), **more,
        }  # fmt: skip
        return self._weighted("conv2d", x, weights, channels, attrs)

    def depthwise(self, x: str, kernel: int = 3, clip: Any = RELU) -> str:
        depth = self.tensors[x].shape[-1]
        weights = self.random.normal(0, 1 / kernel, (kernel, kernel, depth))
        attrs = {
            "strides": (1, 1), "dilations": (1, 1), "pads": (kernel // 2,) * 4,
            "clip": clip, "pad_value": (0.0,),
        }  # fmt: skip
        return self._weighted("depthwise_conv2d", x, weights, depth, attrs)

    def dense(self, x: str, features: int, clip: Any = NO_CLIP) -> str:
        depth = self.tensors[x].shape[-1]
        weights = self.random.normal(0, depth**-0.5, (features, depth))
        return self._weighted("dense", x, weights, features, {"clip": clip})

    def recurrent(self, op: str, x: str, units: int, **attrs: Any) -> str:
        """A layer that gives all its states, if ``attrs`` say nothing else."""
        gates, index = {"lstm": 4, "gru": 3, "rnn": 1}[op], len(self.nodes)
        rows = gates * units
        shapes = {
            "w": (rows, self.tensors[x].shape[-1]),
            "r": (rows, units),
            "b": ((2 if op == "gru" else 1) * rows,),
            **dict.fromkeys("hc" if op == "lstm" else "h", (units,)),
        }
        names = [
            self.constant(f"{name}{index}", self.random.normal(0, units**-0.5, shape))
            for name, shape in shapes.items()
        ]
        more = {"lstm": {}, "gru": {"after": True}, "rnn": {"activation": "tanh"}}[op]
        return self.node(op, x, *names, **{"gives": "all", "reverse": False, **more, **attrs})

    def pool(self, x: str) -> str:
        """The global average, flat."""
        _, height, width, channels = self.tensors[x].shape
        y = self.node(
            "avg_pool2d", x, kernel=(height, width), strides=(1, 1), pads=(0, 0, 0, 0),
            include_pad=False, clip=NO_CLIP,
        )  # fmt: skip
        return self.node("reshape", y, shape=(1, channels))

    def graph(self, *outputs: str, name: str = "small") -> Graph:
        ports = tuple(Port(n, n, self.tensors[n].shape) for n in outputs)
        return Graph(name, tuple(self.inputs), ports, tuple(self.nodes), dict(self.tensors))

    def _weighted(self, op: str, x: str, weights: Any, channels: int, attrs: Any) -> str:
        index = len(self.nodes)
        w = self.constant(f"w{index}", weights)
        b = self.constant(f"b{index}", self.random.normal(0, 0.1, channels))
        return self.node(op, x, w, b, **attrs)


def residual_network(kind: str = "s8") -> Graph:
    """conv, depthwise, a signed residual add, pooling, dense, softmax over 8x8x3 images."""
    net = Net((1, 8, 8, 3), kind)
    stem = net.conv("x", 8)
    wide = net.depthwise(stem)
    narrow = net.conv(wide, 8, kernel=1, clip=NO_CLIP)
    total = net.node("add", stem, narrow, clip=NO_CLIP, name="total")
    scores = net.dense(net.pool(total), 5)
    return net.graph(net.node("softmax", scores, name="classes"))


def images(rows: int, seed: int = 1) -> Any:
    """(rows, 8, 8, 3) reals around zero."""
    return np.random.default_rng(seed).normal(0, 1, (rows, 8, 8, 3)).astype(np.float32)
