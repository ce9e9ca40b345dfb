"""The nodes of an ONNX model in plain Python, sorted, and without those that nothing needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from mcuq.errors import McuqError, ModelError
from mcuq.importers.onnx_file import OnnxModel, to_array
from mcuq.importers.suggestions import SUGGESTIONS, remedy_for
from mcuq.ir import Array

PAIRS = ("QuantizeLinear", "DequantizeLinear")
"""Operators that other domains, such as com.microsoft, define in the same way."""


@dataclass(frozen=True, eq=False)
class Step:
    """One node. ``proto`` is the ONNX node it comes from."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    proto: Any


def read_steps(model: OnnxModel) -> tuple[list[Step], dict[str, Array], list[McuqError]]:
    """The steps in topological order, all constants (those of Constant nodes too), the faults."""
    constants = dict(model.constants)
    steps: list[Step] = []
    faults: list[McuqError] = []
    for node in model.nodes:
        try:
            step = _step(node, model.name, model.opset)
            if step.op == "Constant":
                constants[step.outputs[0]] = _constant(step, model.name)
            else:
                steps.append(step)
        except ModelError as error:
            faults.append(error)
    known = {name for name, _ in model.inputs} | set(constants)
    lost = {o for n in model.nodes for o in n.output} if faults else set()
    ordered, wrong = _sorted(steps, known | lost, model)
    return needed(ordered, model.outputs), constants, faults + wrong


def node_error(model: str, name: str, reason: str, remedy: str = "") -> ModelError:
    """The error of the node called ``name``."""
    return ModelError(f"{model}: node '{name}'", reason, remedy)


def needed(steps: Sequence[Step], wanted: Collection[str]) -> list[Step]:
    """The steps of which something in ``wanted`` is made."""
    names = set(wanted)
    kept = []
    for step in reversed(steps):
        if names.intersection(step.outputs):
            kept.append(step)
            names.update(step.inputs)
    return kept[::-1]


def _step(node: Any, model: str, opset: int) -> Step:
    name = node.name or next((o for o in node.output if o), node.op_type)
    if node.domain not in ("", "ai.onnx") and node.op_type not in PAIRS:
        reason = f"operator {node.op_type} of the domain '{node.domain}' is not standard ONNX"
        remedy = SUGGESTIONS.get(node.op_type, "Export the model with standard operators only")
        raise node_error(model, name, reason, remedy)
    if not any(node.output):
        raise node_error(model, name, "has no outputs", "Export the model again")
    attrs: dict[str, Any] = {}
    types = _attribute_types(node.op_type, opset)
    for attribute in node.attribute:
        kind = attribute.type
        if kind in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            reason = f"operator {node.op_type} holds a subgraph, which is not supported"
            raise node_error(model, name, reason, remedy_for(node.op_type))
        if attribute.ref_attr_name:
            raise node_error(model, name, f"attribute '{attribute.name}' refers to a function")
        if kind != types.get(attribute.name, kind) or kind not in _KINDS:
            reason = f"attribute '{attribute.name}' of operator {node.op_type} has another type"
            raise node_error(model, name, reason, "Export the model again")
        value = onnx.helper.get_attribute_value(attribute)
        attrs[attribute.name] = _text(value) if isinstance(value, bytes) else value
    return Step(node.op_type, name, tuple(node.input), tuple(node.output), attrs, node)


_KINDS = (
    onnx.AttributeProto.FLOAT,
    onnx.AttributeProto.INT,
    onnx.AttributeProto.STRING,
    onnx.AttributeProto.TENSOR,
    onnx.AttributeProto.FLOATS,
    onnx.AttributeProto.INTS,
    onnx.AttributeProto.STRINGS,
    onnx.AttributeProto.SPARSE_TENSOR,
)


def _attribute_types(op: str, opset: int) -> Mapping[str, int]:
    """What the standard says of an operator's attributes; nothing for an unknown operator."""
    try:
        known = onnx.defs.get_schema(op, min(opset, onnx.defs.onnx_opset_version()), "").attributes
    except onnx.defs.SchemaError:
        return {}
    types: dict[str, Any] = {name: attribute.type for name, attribute in known.items()}
    return {name: int(kind) for name, kind in types.items()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _constant(step: Step, model: str) -> Array:
    """The value of a Constant node."""
    attrs = step.attrs
    if "value" in attrs:
        return to_array(attrs["value"], model, None)
    for key, dtype in (("float", np.float32), ("int", np.int64)):
        for suffix in ("", "s"):
            name = f"value_{key}{suffix}"
            if name in attrs:
                return np.asarray(attrs[name], dtype)
    raise node_error(model, step.name, "holds no numbers", "Store a dense numeric tensor")


def _sorted(
    steps: Sequence[Step], known: Collection[str], model: OnnxModel
) -> tuple[list[Step], list[McuqError]]:
    """The steps so that each reads only what was written before; what cannot be sorted."""
    written = set(known)
    ordered: list[Step] = []
    waiting = list(steps)
    while waiting:
        later = []
        for step in waiting:
            if all(not name or name in written for name in step.inputs):
                ordered.append(step)
                written.update(step.outputs)
            else:
                later.append(step)
        if len(later) == len(waiting):
            break
        waiting = later
    return ordered, _unsorted(waiting, written, model)


def _unsorted(
    waiting: Sequence[Step], written: Collection[str], model: OnnxModel
) -> list[McuqError]:
    made = {name for step in waiting for name in step.outputs}
    faults: list[McuqError] = []
    for step in waiting:
        for name in step.inputs:
            if name and name not in written and name not in made:
                reason = f"reads '{name}', which nothing writes"
                faults.append(node_error(model.name, step.name, reason, "Export the model again"))
    if waiting and not faults:
        reason = "reads a value that depends on its own output (a cycle)"
        faults.append(node_error(model.name, waiting[0].name, reason, "Export the model again"))
    for name in model.outputs:
        if name not in written and name not in made:
            faults.append(ModelError(model.name, f"output '{name}' is never written", ""))
    return faults
