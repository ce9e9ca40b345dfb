"""Arithmetic, functions of one value, reductions and products of two computed tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.importers.builder import Refused
from mcuq.importers.tflite.writer import Call

Results = list[str]


def unary(op: str) -> Callable[[Call], Results]:
    """The ONNX operator ``op`` of the one operand."""
    return lambda call: [call.node(op, [call.value(0)])]


def binary(op: str) -> Callable[[Call], Results]:
    """The ONNX operator ``op`` of the two operands, and the fused activation."""
    return lambda call: [call.activated(call.node(op, [call.value(0), call.value(1)]))]


def relu6(call: Call) -> Results:
    return [call.clip(call.value(0), 0.0, 6.0)]


def relu_n1_to_1(call: Call) -> Results:
    return [call.clip(call.value(0), -1.0, 1.0)]


def relu_0_to_1(call: Call) -> Results:
    return [call.clip(call.value(0), 0.0, 1.0)]


def leaky_relu(call: Call) -> Results:
    return [call.node("LeakyRelu", [call.value(0)], alpha=float(call.option("Alpha")))]


def elu(call: Call) -> Results:
    return [call.node("Elu", [call.value(0)], alpha=1.0)]


def gelu(call: Call) -> Results:
    near = "tanh" if call.option("Approximate") else "none"
    return [call.node("Gelu", [call.value(0)], approximate=near)]


def rsqrt(call: Call) -> Results:
    return [call.node("Reciprocal", [call.node("Sqrt", [call.value(0)])])]


def square(call: Call) -> Results:
    return [call.node("Mul", [call.value(0), call.value(0)])]


def squared_difference(call: Call) -> Results:
    gap = call.node("Sub", [call.value(0), call.value(1)])
    return [call.node("Mul", [gap, gap])]


def softmax(call: Call) -> Results:
    """SOFTMAX along the last axis, of the data times ``Beta``."""
    beta = float(call.option("Beta"))
    value = call.value(0)
    if beta != 1.0:
        value = call.node("Mul", [value, call.writer.constant(np.array(beta, np.float32), "beta")])
    return [call.node("Softmax", [value], axis=-1)]


def log_softmax(call: Call) -> Results:
    return [call.node("LogSoftmax", [call.value(0)], axis=-1)]


def reduction(op: str) -> Callable[[Call], Results]:
    """MEAN, SUM, REDUCE_MAX, ...: axes are a constant operand."""

    def reduce(call: Call) -> Results:
        axes = call.writer.integers(sorted(axis % len(call.shape(0)) for axis in call.ints(1)))
        return [call.node(op, [call.value(0), axes], keepdims=int(call.option("KeepDims")))]

    return reduce


def arg(op: str) -> Callable[[Call], Results]:
    """ARG_MAX and ARG_MIN."""
    return lambda call: [call.node(op, [call.value(0)], axis=call.ints(1)[0], keepdims=0)]


def batch_matmul(call: Call) -> Results:
    """BATCH_MATMUL; an operand may be read transposed."""
    operands = []
    for index, flag in ((0, "AdjX"), (1, "AdjY")):
        value, rank = call.value(index), len(call.shape(index))
        if call.operator.options.get(flag):
            order = (*range(rank - 2), rank - 1, rank - 2)
            value = call.writer.transposed(value, order, call.name)
        operands.append(value)
    return [call.node("MatMul", operands)]


def l2_normalization(call: Call) -> Results:
    return [call.activated(call.node("LpNormalization", [call.value(0)], axis=-1, p=2))]


def select(call: Call) -> Results:
    return [call.node("Where", [call.value(index) for index in range(3)])]


def lstm(call: Call) -> Results:
    """UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and normalization."""
    if any(call.has(index) for index in (9, 10, 11, 16, 17, 20, 21, 22, 23)):
        raise Refused("it has peepholes, a projection or normalization", "Use a plain LSTM")
    if call.integer("FusedActivationFunction", 4) != 4:
        raise Refused("its activation is not TANH", "Use a plain LSTM")
    gates = [index for index in (1, 4, 3, 2) if call.has(index)]
    if len(gates) != 4:
        raise Refused("it couples its gates", "Use a plain LSTM")
    weights = np.concatenate([call.reals(index) for index in gates])
    recurrent = np.concatenate([call.reals(index + 4) for index in gates])
    biases = np.concatenate([call.reals(index + 11) for index in gates])
    hidden = recurrent.shape[1]
    constants = [
        call.writer.constant(weights[None], "weights"),
        call.writer.constant(recurrent[None], "recurrent"),
        call.writer.constant(np.concatenate([biases, np.zeros_like(biases)])[None], "biases"),
    ]
    value = call.value(0)
    if not call.option("TimeMajor"):
        value = call.writer.transposed(value, (1, 0, 2), call.name)
    clip = float(call.operator.options.get("CellClip", 0.0))
    if clip:
        raise Refused(f"it clips its cell state at {clip:g}", "Train it without cell_clip")
    made = call.node("LSTM", [value, *constants], hidden_size=hidden)
    rows = call.node("Squeeze", [made, call.writer.integers([1])])
    if not call.option("TimeMajor"):
        rows = call.writer.transposed(rows, (1, 0, 2), call.name)
    return [rows]
