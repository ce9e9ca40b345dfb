"""How each operator of the Graph is written in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from mcuq.errors import ModelError
from mcuq.exporters import products, sequences
from mcuq.exporters.clips import bare, clip_to
from mcuq.exporters.values import Value, Values, file_places, file_shape
from mcuq.importers.nodes import layout
from mcuq.importers.nodes.windows import resize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import resize_linear
from mcuq.ops.argmax import takes_last
from mcuq.ops.movement import copy
from mcuq.ops.softmax import scale_of
from mcuq.ops.spec import fused_clip

Writer = Callable[[Values, Node], Value]
MASKED = 1e5
"""What is taken from scores that a softmax leaves out."""


def check(graph: Graph, node: Node) -> None:
    """ModelError if ``node`` cannot be written."""
    if node.op not in _WRITERS:
        reason = f"node '{node.name}': mcuq cannot write operator {node.op} as ONNX"
        raise ModelError(graph.name, reason, "Compress while compiling: mcuq compile --compress")
    if node.op in ("lstm", "gru", "rnn"):
        sequences.check(graph, node)


def write(values: Values, node: Node) -> None:
    """Append ``node`` to the file."""
    check(values.graph, node)
    values.known[node.output] = _WRITERS[node.op](values, node)


def _conv2d(values: Values, node: Node) -> Value:
    weights = values.graph.data(node.inputs[1]).transpose(0, 3, 1, 2)
    return _convolution(values, node, weights, node.int("groups"))


def _depthwise(values: Values, node: Node) -> Value:
    weights = values.graph.data(node.inputs[1]).transpose(2, 0, 1)[:, None]
    return _convolution(values, node, weights, values.graph.shape(node.inputs[0])[-1])


def _convolution(values: Values, node: Node, weights: Array, groups: int) -> Value:
    """Conv; padding with other values than 0 by a Pad before it."""
    x, w, b = node.inputs
    source, pads = values.usual(x).name, node.ints("pads")
    level = np.array(node.attrs["pad_value"], np.float64)
    if any(pads) and level.any():
        source = _padded(values, source, node.name, (0, 0, *pads[:2], 0, 0, *pads[2:]), level)
        pads = (0, 0, 0, 0)
    inputs = [source, values.constant(w, weights), values.constant(b, values.graph.data(b))]
    attrs = {key: node.ints(key) for key in ("strides", "dilations")}
    attrs |= {"kernel_shape": weights.shape[2:], "pads": pads}
    return _usual(values, node, "Conv", inputs, **attrs, group=groups)


def _padded(values: Values, source: str, label: str, pads: tuple[int, ...], level: Array) -> str:
    """``source`` padded; with a value per channel as x - v, padded with 0, then + v."""
    amounts = values.constant(f"{label}.pads", np.array(pads, np.int64))
    if len(set(level.tolist())) == 1:
        fill = values.constant(f"{label}.pad_value", np.array(level[0]))
        return values.emit("Pad", f"{label}.pad", [source, amounts, fill])
    lift = values.constant(f"{label}.pad_value", level.reshape(1, -1, 1, 1))
    moved = values.emit("Sub", f"{label}.lowered", [source, lift])
    wide = values.emit("Pad", f"{label}.pad", [moved, amounts])
    return values.emit("Add", f"{label}.padded", [wide, lift])


def _dense(values: Values, node: Node) -> Value:
    """Gemm; its columns follow the order of the data in the file."""
    x, w, b = node.inputs
    value, weights = values.known[x], values.graph.data(w)
    flat = values.moved(value, value.places, (1, weights.shape[1])).name
    moved, bias = weights[:, value.places], values.graph.data(b)
    inputs = [flat, values.constant(w, moved), values.constant(b, bias)]
    return _usual(values, node, "Gemm", inputs, transB=1)


def _usual(values: Values, node: Node, op: str, inputs: Sequence[str], **attrs: Any) -> Value:
    """``op``, which writes the usual order, with the node's clip behind it."""
    return _limited(values, node, values.emit_as(op, node.name, bare(node), inputs, **attrs))


def _limited(values: Values, node: Node, made: str) -> Value:
    """``made``, in the usual order, with the node's clip behind it."""
    name = clip_to(values, fused_clip(node), f"{node.name}.clip", made, node.output)
    shape = values.graph.shape(node.output)
    return Value(name, file_shape(shape), file_places(shape))


def _clip(values: Values, node: Node) -> Value:
    value = values.known[node.inputs[0]]
    limits = (node.float("low"), node.float("high"))
    return _same_order(value, clip_to(values, limits, node.name, value.name, node.output))


def _same_order(value: Value, name: str) -> Value:
    return Value(name, value.shape, value.places)


def _unary(op: str, *attrs: str, opset: int = 0) -> Writer:
    def writer(values: Values, node: Node) -> Value:
        value = values.known[node.inputs[0]]
        values.opset = max(values.opset, opset)
        given = {key: node.attrs[key] for key in attrs}
        made = values.emit_as(op, node.name, node.output, [value.name], **given)
        return _same_order(value, made)

    return writer


def _silu(values: Values, node: Node) -> Value:
    value = values.known[node.inputs[0]]
    source = _times(values, node, value.name, "rate", float(node.attrs.get("rate", 1.0)))
    gate = values.emit("Sigmoid", f"{node.name}.sigmoid", [source])
    made = values.emit_as("Mul", node.name, node.output, [value.name, gate])
    return _same_order(value, made)


def _exp(values: Values, node: Node) -> Value:
    value = values.known[node.inputs[0]]
    source = _times(values, node, value.name, "rate", node.float("rate"))
    return _same_order(value, values.emit_as("Exp", node.name, node.output, [source]))


def _times(values: Values, node: Node, source: str, word: str, number: float) -> str:
    """``source`` times a number, which is the ``word`` of the node."""
    if number == 1.0:
        return source
    factor = values.constant(f"{node.name}.{word}", np.array(number))
    return values.emit("Mul", f"{node.name}.scaled", [source, factor])


def _with_number(op: str, attribute: str, first: bool = False) -> Writer:
    """``op`` of a value and the number that an attribute holds."""

    def writer(values: Values, node: Node) -> Value:
        value = values.known[node.inputs[0]]
        number = values.constant(f"{node.name}.{attribute}", np.array(node.float(attribute)))
        inputs = [number, value.name] if first else [value.name, number]
        return _same_order(value, values.emit_as(op, node.name, node.output, inputs))

    return writer


_SIGNS = {
    "<": "Less", "<=": "LessOrEqual", "=": "Equal", ">=": "GreaterOrEqual", ">": "Greater",
}  # fmt: skip


def _compare(values: Values, node: Node) -> Value:
    """A comparison, or for less or greater the opposite of Equal; as a number."""
    value, holds = values.known[node.inputs[0]], str(node.attrs["holds"])
    limit = values.constant(f"{node.name}.limit", np.array(node.float("limit")))
    op = _SIGNS.get(holds, "Equal")
    truth = values.emit(op, f"{node.name}.truth", [value.name, limit])
    if holds not in _SIGNS:
        truth = values.emit("Not", f"{node.name}.not", [truth])
    return _same_order(value, values.emit_as("Cast", node.name, node.output, [truth], to=1))


def _prelu(values: Values, node: Node) -> Value:
    source, slopes = values.usual(node.inputs[0]), np.array(node.attrs["slopes"])
    wide = slopes.reshape(-1, 1, 1) if len(source.shape) == 4 else slopes
    inputs = [source.name, values.constant(f"{node.name}.slopes", wide)]
    return _same_order(source, values.emit_as("PRelu", node.name, node.output, inputs))


def _binary(op: str) -> Writer:
    def writer(values: Values, node: Node) -> Value:
        shape = values.graph.shape(node.output)
        inputs = [_operand(values, name, shape) for name in node.inputs]
        return _usual(values, node, op, inputs)

    return writer


def _operand(values: Values, name: str, shape: Shape) -> str:
    """An operand that spreads over a value whose tensor has ``shape``."""
    own = values.graph.shape(name)
    wide = (1,) * (len(shape) - len(own)) + own
    if values.graph.is_constant(name):
        data = values.graph.data(name).reshape(wide)
        return values.constant(name, data.transpose(0, 3, 1, 2) if len(shape) == 4 else data)
    if len(own) == len(shape):
        return values.usual(name).name
    value = values.moved(values.known[name], layout.identity(prod(own)), own)
    return values.moved(value, file_places(wide), file_shape(wide)).name


def _max_pool(values: Values, node: Node) -> Value:
    attrs = {key: node.ints(key) for key in ("strides", "dilations", "pads")}
    attrs["kernel_shape"] = node.ints("kernel")
    return _usual(values, node, "MaxPool", [values.usual(node.inputs[0]).name], **attrs)


def _average_pool(values: Values, node: Node) -> Value:
    source = values.usual(node.inputs[0])
    if node.ints("kernel") == source.shape[2:] and not any(node.ints("pads")):
        return _usual(values, node, "GlobalAveragePool", [source.name])
    attrs = {key: node.ints(key) for key in ("strides", "pads")}
    attrs["kernel_shape"] = node.ints("kernel")
    counted = int(bool(node.attrs["include_pad"]))
    return _usual(values, node, "AveragePool", [source.name], **attrs, count_include_pad=counted)


def _argmax(values: Values, node: Node) -> Value:
    """ArgMax along our last axis, which is axis 1 of the file."""
    source = values.usual(node.inputs[0])
    attrs = {"axis": _last_axis(source), "keepdims": 1, "select_last_index": int(takes_last(node))}
    return _usual(values, node, "ArgMax", [source.name], **attrs)


def _last_axis(source: Value) -> int:
    """Where our last axis lies in the file: it is axis 1 of an image."""
    return 1 if len(source.shape) == 4 else len(source.shape) - 1


def _log_softmax(values: Values, node: Node) -> Value:
    source = values.usual(node.inputs[0])
    return _usual(values, node, "LogSoftmax", [source.name], axis=_last_axis(source))


def _softmax(values: Values, node: Node) -> Value:
    """Softmax with its scale and mask before it: a product, and a sum with a very low number."""
    source, graph = values.usual(node.inputs[0]), values.graph
    name = _times(values, node, source.name, "scale", scale_of(node))
    if len(node.inputs) == 2:
        shape = graph.shape(node.inputs[0])
        low = (np.resize(graph.data(node.inputs[1]), shape) - 1) * MASKED
        moved = low.transpose(0, 3, 1, 2) if len(shape) == 4 else low
        added = values.constant(f"{node.name}.mask", moved)
        name = values.emit("Add", f"{node.name}.masked", [name, added])
    return _usual(values, node, "Softmax", [name], axis=_last_axis(source))


def _concat(values: Values, node: Node) -> Value:
    inputs = [values.usual(name).name for name in node.inputs]
    axis, rank = node.int("axis"), len(values.graph.shape(node.output))
    axis = {1: 2, 2: 3, 3: 1}[axis] if rank == 4 else axis
    return _usual(values, node, "Concat", inputs, axis=axis)


def _pad(values: Values, node: Node) -> Value:
    pairs = node.attrs["pads"]
    pairs = [pairs[i] for i in (0, 3, 1, 2)] if len(pairs) == 4 else list(pairs)
    amounts = (*(begin for begin, _ in pairs), *(end for _, end in pairs))
    level = np.array(node.attrs["value"], np.float64)
    source = values.usual(node.inputs[0]).name
    return _limited(values, node, _padded(values, source, node.name, amounts, level))


def _reshape(values: Values, node: Node) -> Value:
    """The same memory: nothing is written."""
    return values.known[node.inputs[0]]


def _transpose(values: Values, node: Node) -> Value:
    """The same values at other places: nothing is written."""
    value, shape = values.known[node.inputs[0]], values.graph.shape(node.inputs[0])
    moved = layout.identity(prod(shape)).reshape(shape).transpose(node.ints("perm")).reshape(-1)
    return Value(value.name, value.shape, layout.inverse(moved)[value.places])


def _copy(values: Values, node: Node) -> Value:
    """Gather from the data as one row."""
    shape = values.graph.shape(node.output)
    name = _taken(values, node.inputs[0], copy.sources(node)[file_places(shape)], node)
    wanted = values.constant(f"{node.name}.shape", np.array([-1, *file_shape(shape)[1:]]))
    made = values.emit_as("Reshape", node.name, node.output, [name, wanted])
    return _limited(values, node, made)


def _taken(values: Values, tensor: str, sources: Array, node: Node) -> str:
    """The elements at ``sources``, places in the memory of ``tensor``, as a row."""
    value = values.known[tensor]
    flat = values.moved(value, value.places, (1, len(value.places)))
    indices = values.constant(f"{node.name}.indices", layout.inverse(value.places)[sources])
    return values.emit("Gather", f"{node.name}.taken", [flat.name, indices], axis=1)


def _resize_linear(values: Values, node: Node) -> Value:
    """Resize where a coordinate mode gives these places, else sums of what Gather takes."""
    name, shape = values.usual(node.inputs[0]).name, values.graph.shape(node.inputs[0])
    mode = next((m for m in resize.MODES if _lies(node, shape, m)), None)
    if mode is not None:
        sizes = values.graph.shape(node.output)[1:3]
        wanted = values.constant(f"{node.name}.sizes", np.array(sizes))
        values.opset = max(values.opset, 19)
        made = values.emit_as(
            "Resize",
            node.name,
            node.output,
            [name, "", "", wanted],
            mode="linear",
            axes=[2, 3],
            coordinate_transformation_mode=mode,
        )
        return _limited(values, node, made)
    return _limited(values, node, _between(values, node, name, shape))


def _between(values: Values, node: Node, name: str, shape: Shape) -> str:
    """The rows, then the columns, as ``low + (high - low) * share``."""
    for axis, (places, share) in enumerate((("rows", "row"), ("columns", "column")), 2):
        first, label = np.array(node.ints(places)), f"{node.name}.{places}"
        ends = (first, resize_linear.following(first, shape[axis - 1]))
        low, high = (
            values.emit("Gather", label, [name, values.constant(label, end)], axis=axis)
            for end in ends
        )
        wide = np.array(node.attrs[f"{share}_shares"]).reshape(-1, *(1,) * (3 - axis))
        part = values.emit("Sub", label, [high, low])
        part = values.emit("Mul", label, [part, values.constant(f"{label}.shares", wide)])
        name = values.emit("Add", label, [low, part])
    return name


def _lies(node: Node, shape: Shape, mode: str) -> bool:
    """Whether Resize of an image of ``shape`` reads the node's places in this coordinate mode."""
    for axis, (places, share) in enumerate((("rows", "row"), ("columns", "column")), 1):
        found = np.array(node.ints(places)) + np.array(node.attrs[f"{share}_shares"])
        size, out = shape[axis], len(found)
        wanted = resize.coordinates(mode, size, out / size, out).clip(0, size - 1)
        if np.abs(found - wanted).max() > _NEAR:
            return False
    return True


_NEAR = 1e-6
"""What places may differ by from those that another file states otherwise."""

_PLAIN = """
    Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Floor Log Round Sign Sin Sinh Softplus
    Softsign Sqrt Tan
""".split()
_WRITERS: dict[str, Writer] = {
    "matmul": products.matmul,
    "normalize": products.normalize,
    "lstm": sequences.lstm,
    "gru": sequences.gru,
    "rnn": sequences.rnn,
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise,
    "dense": _dense,
    "clip": _clip,
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "hard_sigmoid": _unary("HardSigmoid", "alpha", "beta"),
    "hard_swish": _unary("HardSwish"),
    "leaky_relu": _unary("LeakyRelu", "alpha"),
    "elu": _unary("Elu", "alpha"),
    "gelu": _unary("Gelu", "approximate", opset=20),
    "silu": _silu,
    "exp": _exp,
    "reciprocal": _with_number("Div", "numerator", True),
    "power": _with_number("Pow", "exponent"),
    **{name.lower(): _unary(name) for name in _PLAIN},
    "compare": _compare,
    "selu": _unary("Selu", "alpha", "gamma"),
    "celu": _unary("Celu", "alpha"),
    "thresholded_relu": _unary("ThresholdedRelu", "alpha"),
    "shrink": _unary("Shrink", "bias", "lambd"),
    "mish": _unary("Mish", opset=18),
    "prelu": _prelu,
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "argmax": _argmax,
    "concat": _concat,
    "pad": _pad,
    "copy": _copy,
    "resize_linear": _resize_linear,
    "reshape": _reshape,
    "transpose": _transpose,
}
