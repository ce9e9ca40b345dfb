"""Recurrent operators: what ONNX has a word for, and one sentence each on what it has not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.file import Tensor
from mcuq.importers.tflite.writer import OperatorCall
from mcuq.ir import Array

Results = list[str]
_TANH, _RELU = 4, 1


def lstm(call: OperatorCall) -> Results:
    """UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and normalization."""
    if any(call.has(index) for index in (9, 10, 11, 16, 17, 20, 21, 22, 23)):
        raise Refused("it has peepholes, a projection or normalization", "Use a plain LSTM")
    if call.integer("FusedActivationFunction", _TANH) != _TANH:
        raise Refused("its activation is not TANH", "Use a plain LSTM")
    gates = [index for index in (1, 4, 2, 3) if call.has(index)]  # ONNX: in, out, forget, cell
    if len(gates) != 4:
        raise Refused("it couples its gates", "Use a plain LSTM")
    weights = np.concatenate([call.reals(index) for index in gates])
    recurrent = np.concatenate([call.reals(index + 4) for index in gates])
    biases = np.concatenate([call.reals(index + 11) for index in gates])
    _note_clip(call)
    return _sequence(call, "LSTM", weights, recurrent, biases)


def _note_clip(call: OperatorCall) -> None:
    """Say that the clip of the cell is left out, unless no cell can reach it.

    A step adds at most 1 to a cell's size, so that it never reaches 10 in 10 steps.
    """
    clip = float(call.operator.options.get("CellClip") or 0.0)
    steps = call.shape(0)[0 if call.option("TimeMajor") else 1]
    if 0.0 < clip < steps:
        call.writer.notes.append(
            f"node '{call.name}': its cells are not clipped at {clip:g}, as the file says: trained "
            "ones stay far below"
        )


def rnn(call: OperatorCall) -> Results:
    """UNIDIRECTIONAL_SEQUENCE_RNN(data, weights, recurrent weights, biases, state)."""
    words = {_TANH: "Tanh", _RELU: "Relu"}
    kind = call.integer("FusedActivationFunction", _TANH)
    if kind not in words:
        raise Refused("its activation is neither TANH nor RELU", "Use a plain RNN")
    parts = (call.reals(1), call.reals(2), call.reals(3))
    return _sequence(call, "RNN", *parts, activations=[words[kind]])


def _sequence(
    call: OperatorCall,
    op: str,
    weights: Array,
    recurrent: Array,
    biases: Array,
    **attrs: object,
) -> Results:
    """The states of all steps, from zero; rows come first unless ``TimeMajor``."""
    constants = [
        call.writer.constant(weights[None], "weights"),
        call.writer.constant(recurrent[None], "recurrent"),
        call.writer.constant(np.concatenate([biases, np.zeros_like(biases)])[None], "biases"),
    ]
    value = call.value(0)
    if not call.option("TimeMajor"):
        value = call.writer.transposed(value, (1, 0, 2), call.name)
    made = call.node(op, [value, *constants], hidden_size=recurrent.shape[1], **attrs)
    rows = call.node("Squeeze", [made, call.writer.integers([1])])
    if not call.option("TimeMajor"):
        rows = call.writer.transposed(rows, (1, 0, 2), call.name)
    return [rows]


def svdf(call: OperatorCall) -> Results:
    """SVDF(data, weights of features, weights of time, bias, memory): one step of a stream.

    What filters make of the data joins their memory, the newest last; the output sums the memories
    of ``Rank`` filters each, weighted along time.
    """
    rank, (filters, memory) = call.integer("Rank"), call.shape(2)
    if call.shape(0)[0] != 1:
        raise Refused(f"a batch of {call.shape(0)[0]}", "Convert it with a batch of 1")
    if rank < 1 or filters % rank or call.shape(1) != (filters, call.shape(0)[-1]):
        raise Refused("its weights do not fit its rank", "Convert the model again")
    new = call.node("MatMul", [call.value(0), call.weights(1, (1, 0))])
    if call.has(4) and call.tensor(4).is_quantized:
        new = call.writer.paired(new, _in_bytes(call.tensor(4)))
    now = call.reshaped(new, [1, filters, 1])
    state = call.writer.state(f"{call.name}.memory", (1, filters, memory))
    if memory > 1:
        bounds = [call.writer.integers([place]) for place in (1, memory, 2)]
        now = call.node("Concat", [call.node("Slice", [state, *bounds]), now], axis=2)
    call.writer.keep(state, now)
    units = filters // rank
    weights = call.writer.constant(call.reals(2).reshape(units, rank, memory), "weights")
    bias = [call.writer.constant(call.reals(3), "bias")] if call.has(3) else []
    sums = call.node("Conv", [now, weights, *bias], group=units)
    return [call.activated(call.reshaped(sums, [1, units]))]


def _in_bytes(tensor: Tensor) -> Tensor:
    """The range of a tensor of 16 bits, in 8."""
    if tensor.type != "int16":
        return tensor
    return replace(tensor, type="int8", scales=tuple(256 * scale for scale in tensor.scales))
