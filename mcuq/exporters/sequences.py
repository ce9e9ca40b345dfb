"""How recurrent layers are written in ONNX: LSTM, GRU and RNN over (time, batch, data)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuq.errors import ModelError
from mcuq.exporters.values import Value, Values
from mcuq.importers.nodes import layout
from mcuq.ir import Array, Graph, Node, Shape

_OUTPUTS = {"all": 0, "last": 1, "cell": 2}


def lstm(values: Values, node: Node) -> Value:
    """Its biases are those of the input; those of the state are 0."""
    bias = values.graph.data(node.inputs[3])
    return _layer(values, node, "LSTM", np.concatenate([bias, np.zeros_like(bias)]), {})


def gru(values: Values, node: Node) -> Value:
    attrs = {"linear_before_reset": int(bool(node.attrs["after"]))}
    return _layer(values, node, "GRU", values.graph.data(node.inputs[3]), attrs)


def rnn(values: Values, node: Node) -> Value:
    bias = values.graph.data(node.inputs[3])
    attrs = {"activations": [str(node.attrs["activation"]).capitalize()]}
    return _layer(values, node, "RNN", np.concatenate([bias, np.zeros_like(bias)]), attrs)


def _layer(values: Values, node: Node, op: str, bias: Array, attrs: Mapping[str, Any]) -> Value:
    x, w, r, b = node.inputs[:4]
    hidden = values.graph.data(r).shape[-1]
    steps, width = values.graph.shape(x)[-2:]
    known = values.known[x]
    rows = values.moved(known, layout.identity(steps * width), (1, steps, width)).name
    first = values.emit("Transpose", f"{node.name}.time_first", [rows], perm=[1, 0, 2])
    given = {w: values.graph.data(w), r: values.graph.data(r), b: bias}
    constants = [values.constant(name, data[None]) for name, data in given.items()]
    limit = {"clip": float(node.attrs["limit"])} if "limit" in node.attrs else {}
    direction = "reverse" if node.attrs["reverse"] else "forward"
    gives = str(node.attrs["gives"])
    made = values.emit_several(
        op,
        node.name,
        _OUTPUTS[gives],
        [first, *constants],
        hidden_size=hidden,
        direction=direction,
        **attrs,
        **limit,
    )
    if gives == "all":
        return _all(values, node, made, (1, steps, hidden))
    zero = values.constant(f"{node.name}.direction", np.array([0]))
    name = values.emit_as("Squeeze", f"{node.name}.last", node.output, [made, zero])
    return Value(name, (1, hidden), layout.identity(hidden))


def _all(values: Values, node: Node, made: str, shape: Shape) -> Value:
    """(time, direction, batch, data) with the batch first."""
    one = values.constant(f"{node.name}.direction", np.array([1]))
    single = values.emit("Squeeze", f"{node.name}.states", [made, one])
    label = f"{node.name}.batch_first"
    name = values.emit_as("Transpose", label, node.output, [single], perm=[1, 0, 2])
    return Value(name, shape, layout.identity(shape[1] * shape[2]))


def check(graph: Graph, node: Node) -> None:
    """ModelError for a state at the start: it would need the batch's size, which is left open."""
    if any(bool(graph.data(name).any()) for name in node.inputs[4:]):
        reason = f"node '{node.name}': a state that does not start at 0 cannot be written as ONNX"
        raise ModelError(graph.name, reason, "Compress while compiling: mcuq compile --compress")
