"""Graph -> the bytes of an ONNX file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper

from mcuq.errors import ModelError
from mcuq.exporters.operators import write
from mcuq.exporters.values import Value, Values, info
from mcuq.ir import Array, Graph, Suppression
from mcuq.ops import chain
from mcuq.version import __version__


def to_bytes(graph: Graph) -> bytes:
    """The same for the same graph. Operators of opset 17, or 20 where there is a Gelu."""
    graph = chain.apart(graph)
    values = Values(graph)
    for port in graph.inputs:
        if port.kind != "s8" or port.scale:
            reason = f"input '{port.name}' is described as bytes"
            raise ModelError(graph.name, reason, "Write the file before describing its inputs")
        value = Value(port.name, port.shape, port.places)
        values.input(port.name, value)
        values.known[port.tensor] = value
    for node in graph.nodes:
        write(values, node)
    names = _output_names(values)
    chosen = [_chosen(values, made) for made in graph.behind]
    outputs = [info(port.name, port.shape, port.kind == "s32") for port in graph.outputs]
    for each in graph.behind:
        integer = onnx.TensorProto.INT64
        outputs.append(helper.make_tensor_value_info(each.name, integer, [None, 3]))
    made = helper.make_graph(
        [*values.renamed(names), *chosen],
        graph.name,
        [info(port.name, port.shape) for port in graph.inputs],
        outputs,
        list(values.constants.values()),
    )
    opset = [helper.make_opsetid("", values.opset)]
    model = helper.make_model(made, opset_imports=opset, producer_name="mcuq")
    model.producer_version = __version__
    model.ir_version = 9 if values.opset > 18 else 8
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _chosen(values: Values, made: Suppression) -> Any:
    """The NonMaxSuppression behind outputs."""
    numbers: dict[str, Array] = {
        "most": np.array([made.most]),
        "iou": np.array([made.iou], np.float32),
    }
    if math.isfinite(made.score):
        numbers["score"] = np.array([made.score], np.float32)
    limits = [values.constant(f"{made.name}.{key}", data) for key, data in numbers.items()]
    inputs, center = [made.boxes, made.scores, *limits], int(made.center)
    return helper.make_node(
        "NonMaxSuppression", inputs, [made.name], made.name, center_point_box=center
    )


def _output_names(values: Values) -> dict[str, str]:
    """Of every value that is an output, the name that the user gave it."""
    names: dict[str, str] = {}
    inputs = {port.name for port in values.graph.inputs}
    for port in values.graph.outputs:
        value = values.moved(values.known[port.tensor], port.places, port.shape)
        name = value.name
        if name in names or name in inputs:
            name = values.emit("Identity", port.name, [name])
        names[name] = port.name
    return names
