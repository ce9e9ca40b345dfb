"""Operators on integers (QLinearConv, ConvInteger, ...) as operators on reals between pairs.

``QLinearX`` computes X on dequantized inputs and quantizes the result. ``ConvInteger`` and
``MatMulInteger`` compute with integers alone: those of a QuantizeLinear are its reals divided by
its scale, and DynamicQuantizeLinear is taken for exact, with a scale of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.modern import Old
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

Rewrite = Callable[[Old], list[Any] | None]
_KEEPS = ("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "MaxPool")
_ANY = "Quantize the model again in the QDQ format (quant_format=QuantFormat.QDQ)"


def _real(old: Old, names: Sequence[str], part: str, axis: int = 0) -> Any:
    """A DequantizeLinear of (integers, scale, zero); of reals nothing: they were never rounded."""
    if names[0] in old.unrounded:
        return old.part("Clip", names[:1], part)
    kept = [n for n in names if n]
    scale = old.constants.get(names[1])
    attrs = {"axis": axis} if scale is not None and scale.size > 1 else {}
    return old.part("DequantizeLinear", kept, part, **attrs)


def _limited(old: Old, source: str, scale: str, zero: str) -> Any:
    """The QuantizeLinear that writes the result."""
    return old.part("QuantizeLinear", [n for n in (source, scale, zero) if n])


def _attributes(old: Old, drop: Sequence[str] = ()) -> dict[str, Any]:
    names = sorted({a.name for a in old.node.attribute} - set(drop))
    return {name: old.attribute(name) for name in names}


def _bias(old: Old, name: str, factor: Array) -> list[Any]:
    """The int32 bias ``name`` in steps of ``factor``, as reals."""
    scale = np.asarray(factor, np.float32).reshape(-1)
    step = old.constant(scale if scale.size > 1 else scale.reshape(()), "bias_scale")
    return [_real(old, [name, step], "bias")]


def _conv(old: Old) -> list[Any]:
    """QLinearConv(x, sx, zx, w, sw, zw, sy, zy, bias)."""
    names = old.inputs
    nodes = [_real(old, names[0:3], "x"), _real(old, names[3:6], "w")]
    inputs = [nodes[0].output[0], nodes[1].output[0]]
    if old.input(8):
        factor = old.given(1).astype(np.float64) * old.given(4).astype(np.float64)
        nodes += _bias(old, names[8], factor)
        inputs.append(nodes[-1].output[0])
    result = old.part("Conv", inputs, "y", **_attributes(old))
    return [*nodes, result, _limited(old, result.output[0], names[6], names[7])]


def _matmul(old: Old) -> list[Any]:
    """QLinearMatMul(a, sa, za, b, sb, zb, sy, zy)."""
    names = old.inputs
    nodes = [
        _real(old, names[0:3], "a", old.rank(names[0]) - 2),
        _real(old, names[3:6], "b", old.rank(names[3]) - 1),
    ]
    result = old.part("MatMul", [n.output[0] for n in nodes], "y")
    return [*nodes, result, _limited(old, result.output[0], names[6], names[7])]


def _gemm(old: Old) -> list[Any]:
    """QGemm(a, sa, za, b, sb, zb, bias, sy, zy): without sy the result is real."""
    names = old.inputs
    transposed = old.attribute("transB", 0)
    nodes = [_real(old, names[0:3], "a"), _real(old, names[3:6], "b", 0 if transposed else 1)]
    inputs = [n.output[0] for n in nodes]
    alpha = float(old.attribute("alpha", 1.0))
    if old.input(6):
        factor = old.given(1).astype(np.float64) * old.given(4).astype(np.float64) * alpha
        axis = old.rank(names[6]) - 1
        bias = _bias(old, names[6], factor)
        if np.size(factor) > 1:
            bias = [_real(old, bias[0].input[:2], "bias", axis)]
        nodes += bias
        inputs.append(nodes[-1].output[0])
    attrs = {"transA": old.attribute("transA", 0), "transB": transposed, "alpha": alpha}
    if not old.input(7):
        return [*nodes, old.part("Gemm", inputs, **attrs)]
    result = old.part("Gemm", inputs, "y", **attrs)
    return [*nodes, result, _limited(old, result.output[0], names[7], old.input(8))]


def _binary(op: str) -> Rewrite:
    """A handler for op(A, sA, zA, B, sB, zB, sC, zC)."""

    def rewrite(old: Old) -> list[Any]:
        names = old.inputs
        nodes = [_real(old, names[0:3], "a"), _real(old, names[3:6], "b")]
        result = old.part(op, [n.output[0] for n in nodes], "c")
        return [*nodes, result, _limited(old, result.output[0], names[6], old.input(7))]

    return rewrite


def _unary(op: str, drop: Sequence[str] = (), **attrs: Any) -> Rewrite:
    """A handler for op(X, sX, zX, sY, zY)."""

    def rewrite(old: Old) -> list[Any]:
        if old.attribute("channels_last", 0):
            raise Refused(f"{old.node.op_type} with channels last", _ANY)
        first = _real(old, old.inputs[0:3], "x")
        given = {**_attributes(old, (*drop, "channels_last")), **attrs}
        result = old.part(op, first.output[:], "y", **given)
        return [first, result, _limited(old, result.output[0], old.input(3), old.input(4))]

    return rewrite


def _softmax(old: Old) -> list[Any]:
    """QLinearSoftmax; before opset 13 it is over all axes from ``axis`` on."""
    shape = old.kind(old.input(0)).shape
    axis = int(old.attribute("axis", -1)) % len(shape)
    if int(old.attribute("opset", 13)) < 13 and max(shape[axis + 1 :], default=1) > 1:
        raise Refused("QLinearSoftmax over several axes", _ANY)
    return _unary("Softmax", ("opset", "axis"), axis=axis)(old) or []


def _mean(old: Old) -> list[Any]:
    """QLinearReduceMean, its axes an attribute."""
    axes = old.attribute("axes")
    first = _real(old, old.inputs[0:3], "x")
    names = [first.output[0]]
    if axes is not None:
        names.append(old.integers(axes, "axes"))
    result = old.part("ReduceMean", names, "y", keepdims=old.attribute("keepdims", 1))
    return [first, result, _limited(old, result.output[0], old.input(3), old.input(4))]


def _concat(old: Old) -> list[Any]:
    """QLinearConcat(sY, zY, X1, s1, z1, X2, ...)."""
    scale, zero, *names = old.inputs
    nodes = [_real(old, names[i : i + 3], "x") for i in range(0, len(names), 3)]
    parts = [node.output[0] for node in nodes]
    result = old.part("Concat", parts, "y", axis=old.attribute("axis", 0))
    return [*nodes, result, _limited(old, result.output[0], scale, zero)]


def _dynamic(old: Old) -> list[Any]:
    """DynamicQuantizeLinear as if it were exact: integers of scale 1 and zero point 0."""
    names = [*old.node.output, "", ""]
    nodes = [old.part("Identity", old.inputs[:1])]
    del nodes[0].output[1:]
    for name, data, part in ((names[1], np.float32(1), "one"), (names[2], np.uint8(0), "zero")):
        if name:
            nodes.append(old.part("Identity", [old.constant(data, part)]))
            nodes[-1].output[:] = [name]
    return nodes


def _scale_of(old: Old, name: str) -> OnnxStep | None:
    """The QuantizeLinear whose integers ``name`` holds."""
    step = old.maker(name, _KEEPS)
    return step if step is not None and step.op == "QuantizeLinear" else None


def _levels(old: Old, index: int, zero_index: int, part: str, axis: int) -> tuple[list[Any], str]:
    """(nodes, name) of the integers of input ``index`` less their zero point, as reals."""
    name, zero = old.input(index), old.constants.get(old.input(zero_index), np.zeros(()))
    known = old.constants.get(name)
    if zero.size > 1:
        shape = [1] * old.rank(name)
        shape[axis] = zero.size
        zero = zero.reshape(shape)
    if known is not None:
        data = known.astype(np.int64) - zero.astype(np.int64)
        return [], old.constant(data.astype(np.float32), part)
    if old.input(zero_index) and old.input(zero_index) not in old.constants:
        raise Refused("its zero point is computed at run time", _ANY)
    step = _scale_of(old, name)
    if name in old.unrounded:
        return [], name
    if step is None:
        nodes = [old.part("Cast", [name], f"{part}_real", to=1)]
        shift = -zero.astype(np.float32)
    else:
        nodes, shift = _divided(old, step, name, zero, part)
    if bool(np.any(shift)):
        moved = old.constant(shift, f"{part}_shift")
        nodes.append(old.part("Add", [nodes[-1].output[0], moved], f"{part}_moved"))
    return nodes, str(nodes[-1].output[0])


def _divided(
    old: Old, step: OnnxStep, name: str, zero: Array, part: str
) -> tuple[list[Any], Array]:
    """The integers of a QuantizeLinear: its reals by its scale; and what their zero points lack."""
    scale = old.constants.get(step.inputs[1])
    own = old.constants.get(step.inputs[2]) if len(step.inputs) > 2 else np.zeros(())
    if scale is None or own is None or scale.size != 1 or own.size != 1:
        raise Refused("the scale of its integers is computed at run time", _ANY)
    first = _real(old, [name, *step.inputs[1:3]], f"{part}_real")
    factor = old.constant(np.float32(1 / float(scale.reshape(()))), f"{part}_steps")
    second = old.part("Mul", [first.output[0], factor], f"{part}_integers")
    return [first, second], (own.astype(np.float32).reshape(()) - zero.astype(np.float32))


def _integer(op: str) -> Rewrite:
    """A handler for ConvInteger and MatMulInteger: (x, w, zero of x, zero of w)."""

    def rewrite(old: Old) -> list[Any]:
        rows = 1 if op == "Conv" else old.rank(old.input(0)) - 2
        columns = 0 if op == "Conv" else old.rank(old.input(1)) - 1
        first, x = _levels(old, 0, 2, "x", rows)
        second, w = _levels(old, 1, 3, "w", columns)
        return [*first, *second, old.part(op, [x, w], **_attributes(old))]

    return rewrite


def _to_float(dynamic: bool) -> Rewrite:
    """MatMulIntegerToFloat(a, b, sa, sb, za, zb, bias); DynamicQuantizeMatMul has a real ``a``."""

    def rewrite(old: Old) -> list[Any]:
        zero, bias = (3, 4) if dynamic else (5, 6)
        scale = 2 if dynamic else 3
        axis = old.rank(old.input(1)) - 1
        nodes = [_real(old, [old.input(1), old.input(scale), old.input(zero)], "b", axis)]
        left = old.input(0)
        if not dynamic:
            nodes.append(_real(old, [left, old.input(2), old.input(4)], "a"))
            left = nodes[-1].output[0]
        if not old.input(bias):
            return [*nodes, old.part("MatMul", [left, nodes[0].output[0]])]
        product = old.part("MatMul", [left, nodes[0].output[0]], "product")
        return [*nodes, product, old.part("Add", [product.output[0], old.input(bias)])]

    return rewrite


def _undone(old: Old) -> list[Any] | None:
    """DequantizeLinear of what DynamicQuantizeLinear left as it was."""
    if old.input(0) in old.unrounded:
        return [old.part("Clip", old.inputs[:1])]
    return None


STANDARD: dict[str, Rewrite] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "ConvInteger": _integer("Conv"),
    "MatMulInteger": _integer("MatMul"),
    "DynamicQuantizeLinear": _dynamic,
    "DequantizeLinear": _undone,
}
MICROSOFT: dict[str, Rewrite] = {
    **STANDARD,
    "QLinearAdd": _binary("Add"),
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearLeakyRelu": _unary("LeakyRelu"),
    "QLinearAveragePool": _unary("AveragePool"),
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearSoftmax": _softmax,
    "QLinearReduceMean": _mean,
    "QLinearConcat": _concat,
    "QGemm": _gemm,
    "MatMulIntegerToFloat": _to_float(dynamic=False),
    "DynamicQuantizeMatMul": _to_float(dynamic=True),
}
