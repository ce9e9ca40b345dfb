"""The types and shapes of what a node writes, by ONNX's own rules for each operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from mcuq.importers.standard.modern import Kind
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

UNREAD = {"STFT": {"onesided": 1}}
"""Attributes whose default is not what onnx's inference takes where they are left out."""
MAX_DATA = 1 << 10
"""Constants with more elements say nothing of a shape."""


def infer(
    step: OnnxStep, constants: Mapping[str, Array], kinds: Mapping[str, Kind]
) -> dict[str, Kind]:
    """The kinds of the outputs of a standard operator, as far as they are known."""
    names = [name for name in dict.fromkeys(step.inputs) if name]
    if any(name not in kinds for name in names):
        return {}
    if step.op == "Slice" and names and 0 in kinds[names[0]].shape:
        return {}  # onnx ends the process where a step goes back through no elements
    types = {name: _type(kinds[name]) for name in names}
    data = {
        name: onnx.numpy_helper.from_array(np.asarray(constants[name]))
        for name in names
        if name in constants and constants[name].size <= MAX_DATA
    }
    try:
        schema = _schema(step)
        node = _explicit(step)
        versions = [onnx.helper.make_opsetid("", schema.since_version)]
        found = shape_inference.infer_node_outputs(schema, node, types, data, None, versions)
    except Exception:  # of many kinds, for nodes that do not fit: their handler says what is wrong
        return {}
    known = ((name, _kind(found[name])) for name in step.outputs if name in found)
    return {name: kind for name, kind in known if kind is not None}


def _explicit(step: OnnxStep) -> Any:
    """The node with the defaults that inference has to be told."""
    node = onnx.NodeProto()
    node.CopyFrom(step.proto)
    left_out = {n: v for n, v in UNREAD.get(step.op, {}).items() if n not in step.attrs}
    node.attribute.extend(onnx.helper.make_attribute(n, v) for n, v in left_out.items())
    return node


def _schema(step: OnnxStep) -> Any:
    """The operator as of the step's version; of the newest if it did not exist by then."""
    newest = onnx.defs.onnx_opset_version()
    try:
        return onnx.defs.get_schema(step.op, min(step.opset, newest), "")
    except onnx.defs.SchemaError:
        return onnx.defs.get_schema(step.op, newest, "")


def _type(kind: Kind) -> Any:
    return onnx.helper.make_tensor_type_proto(kind.element, kind.shape)


def _kind(found: Any) -> Kind | None:
    tensor = found.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        return None
    dims = tensor.shape.dim
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
        return None  # a window larger than its image is given a size below 0
    return Kind(int(tensor.elem_type), tuple(int(dim.dim_value) for dim in dims))
