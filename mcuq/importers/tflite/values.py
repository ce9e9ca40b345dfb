"""Arithmetic, functions of one value, reductions and products of two computed tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.importers.tflite.file import Tensor
from mcuq.importers.tflite.writer import OperatorCall

Results = list[str]


def unary(op: str) -> Callable[[OperatorCall], Results]:
    """The ONNX operator ``op`` of the one operand."""
    return lambda call: [call.node(op, [call.value(0)])]


def binary(op: str) -> Callable[[OperatorCall], Results]:
    """The ONNX operator ``op`` of the two operands, and the fused activation."""
    return lambda call: [call.activated(call.node(op, [call.value(0), call.value(1)]))]


def relu6(call: OperatorCall) -> Results:
    return [call.clip(call.value(0), 0.0, 6.0)]


def relu_n1_to_1(call: OperatorCall) -> Results:
    return [call.clip(call.value(0), -1.0, 1.0)]


def relu_0_to_1(call: OperatorCall) -> Results:
    return [call.clip(call.value(0), 0.0, 1.0)]


def leaky_relu(call: OperatorCall) -> Results:
    return [call.node("LeakyRelu", [call.value(0)], alpha=float(call.option("Alpha")))]


def elu(call: OperatorCall) -> Results:
    return [call.node("Elu", [call.value(0)], alpha=1.0)]


def gelu(call: OperatorCall) -> Results:
    near = "tanh" if call.option("Approximate") else "none"
    return [call.node("Gelu", [call.value(0)], approximate=near)]


def rsqrt(call: OperatorCall) -> Results:
    return [call.node("Reciprocal", [call.node("Sqrt", [call.value(0)])])]


def square(call: OperatorCall) -> Results:
    return [call.node("Mul", [call.value(0), call.value(0)])]


def squared_difference(call: OperatorCall) -> Results:
    gap = call.node("Sub", [call.value(0), call.value(1)])
    return [call.node("Mul", [gap, gap])]


def softmax(call: OperatorCall) -> Results:
    """SOFTMAX along the last axis, of the data times ``Beta``."""
    value, beta = call.value(0), np.array(call.option("Beta"), np.float32)
    if beta != 1.0:
        value = call.node("Mul", [value, call.writer.constant(beta, "beta")])
    return [call.node("Softmax", [value], axis=-1)]


def log_softmax(call: OperatorCall) -> Results:
    return [call.node("LogSoftmax", [call.value(0)], axis=-1)]


def reduction(op: str) -> Callable[[OperatorCall], Results]:
    """MEAN, SUM, REDUCE_MAX, ...: axes are a constant operand."""

    def reduce(call: OperatorCall) -> Results:
        axes = call.writer.integers(sorted(axis % len(call.shape(0)) for axis in call.ints(1)))
        return [call.node(op, [call.value(0), axes], keepdims=int(call.option("KeepDims")))]

    return reduce


def arg(op: str) -> Callable[[OperatorCall], Results]:
    """ARG_MAX and ARG_MIN."""
    return lambda call: [call.node(op, [call.value(0)], axis=call.ints(1)[0], keepdims=0)]


def batch_matmul(call: OperatorCall) -> Results:
    """BATCH_MATMUL; an operand may be read transposed."""
    operands = []
    for index, flag in ((0, "AdjX"), (1, "AdjY")):
        value, rank = call.value(index), len(call.shape(index))
        if call.operator.options.get(flag):
            order = (*range(rank - 2), rank - 1, rank - 2)
            value = call.writer.transposed(value, order, call.name)
        operands.append(value)
    return [call.node("MatMul", operands)]


def l2_normalization(call: OperatorCall) -> Results:
    return [call.activated(call.node("LpNormalization", [call.value(0)], axis=-1, p=2))]


def select(call: OperatorCall) -> Results:
    """SELECT and SELECT_V2; the condition of the former may be one for each row."""
    condition, rank = call.value(0), len(call.result().shape)
    if call.op == "SELECT" and len(call.shape(0)) == 1 and rank > 1:
        condition = call.reshaped(condition, [call.shape(0)[0], *[1] * (rank - 1)])
    return [call.node("Where", [condition, call.value(1), call.value(2)])]


def not_equal(call: OperatorCall) -> Results:
    return [call.node("Not", [call.node("Equal", [call.value(0), call.value(1)])])]


def floor_div(call: OperatorCall) -> Results:
    return [call.node("Floor", [call.node("Div", [call.value(0), call.value(1)])])]


def sum_of_all(call: OperatorCall) -> Results:
    """ADD_N."""
    return [call.node("Sum", [call.value(i) for i in range(len(call.operator.inputs))])]


def cumulative_sum(call: OperatorCall) -> Results:
    """CUMSUM along a constant axis."""
    axis = call.writer.constant(np.array(call.ints(1)[0], np.int64), "axis")
    options = {word: call.operator.options.get(word) for word in ("Exclusive", "Reverse")}
    flags = {word.lower(): int(bool(chosen)) for word, chosen in options.items()}
    return [call.node("CumSum", [call.value(0), axis], **flags)]


def floor_mod(call: OperatorCall) -> Results:
    """FLOOR_MOD: the remainder has the sign of the divisor."""
    return [call.node("Mod", [call.value(0), call.value(1)])]


def fake_quant(call: OperatorCall) -> Results:
    """FAKE_QUANT: values limited to a range, with the step of it; 0 is one of the steps."""
    low, high = min(float(call.option("Min")), 0.0), max(float(call.option("Max")), 0.0)
    narrow, bits = int(call.integer("NarrowRange", 0)), call.integer("NumBits", 8)
    if high - low <= 0.0 or bits > 8:
        return [call.clip(call.value(0), low, high)]
    scale = (high - low) / ((1 << bits) - 1 - narrow)
    zero = min(max(round(-low / scale), 0), 255) - 128
    pair = Tensor(call.name, call.shape(0), "int8", None, (scale,), (zero,))
    return [call.writer.paired(call.clip(call.value(0), low, high), pair)]
