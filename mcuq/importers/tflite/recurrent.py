"""Recurrent operators: what ONNX has a word for, and one sentence each on what it has not."""

from __future__ import annotations

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.writer import Call
from mcuq.ir import Array

Results = list[str]
_TANH, _RELU = 4, 1


def lstm(call: Call) -> Results:
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


def _note_clip(call: Call) -> None:
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


def rnn(call: Call) -> Results:
    """UNIDIRECTIONAL_SEQUENCE_RNN(data, weights, recurrent weights, biases, state)."""
    words = {_TANH: "Tanh", _RELU: "Relu"}
    kind = call.integer("FusedActivationFunction", _TANH)
    if kind not in words:
        raise Refused("its activation is neither TANH nor RELU", "Use a plain RNN")
    parts = (call.reals(1), call.reals(2), call.reals(3))
    return _sequence(call, "RNN", *parts, activations=[words[kind]])


def _sequence(
    call: Call,
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
