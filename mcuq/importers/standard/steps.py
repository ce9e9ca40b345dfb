"""The nodes of an ONNX model in plain Python, sorted, and without those that nothing needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mcuq.errors import McuqError, ModelError
from mcuq.importers.nodes.builder import Refused
from mcuq.importers.onnx_file import to_array
from mcuq.ir import Array

PAIRS = ("QuantizeLinear", "DequantizeLinear")
"""Operators that other domains, such as com.microsoft, define in the same way."""
GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


@dataclass(frozen=True, eq=False)
class OnnxStep:
    """One node. ``proto`` is the ONNX node it comes from, of the version ``opset``."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    proto: Any
    opset: int


def node_error(model: str, name: str, reason: str, remedy: str = "") -> ModelError:
    """The error of the node called ``name``."""
    return ModelError(f"{model}: node '{name}'", reason, remedy)


def label(node: Any) -> str:
    """What a node is called: its name, or what it writes."""
    return str(node.name or next((o for o in node.output if o), node.op_type))


def needed(steps: Sequence[OnnxStep], wanted: Collection[str]) -> list[OnnxStep]:
    """The steps of which something in ``wanted`` is made."""
    names = set(wanted)
    kept = []
    for step in reversed(steps):
        if names.intersection(step.outputs):
            kept.append(step)
            names.update(step.inputs)
    return kept[::-1]


def make_step(node: Any, opset: int) -> OnnxStep:
    """The step of a node without subgraphs."""
    attrs: dict[str, Any] = {}
    types = _attribute_types(node.op_type, opset)
    for attribute in node.attribute:
        if attribute.name in attrs:
            raise Refused(f"attribute '{attribute.name}' is given twice", "Export the model again")
        kind = attribute.type
        if kind != types.get(attribute.name, kind) or kind not in _KINDS:
            reason = f"attribute '{attribute.name}' of operator {node.op_type} has another type"
            raise Refused(reason, "Export the model again")
        value = onnx.helper.get_attribute_value(attribute)
        attrs[attribute.name] = _text(value) if isinstance(value, bytes) else value
    return OnnxStep(
        node.op_type, label(node), tuple(node.input), tuple(node.output), attrs, node, opset
    )


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
        schema: Any = onnx.defs.get_schema(op, min(opset, onnx.defs.onnx_opset_version()), "")
    except onnx.defs.SchemaError:
        return {}
    return {name: int(attribute.type) for name, attribute in schema.attributes.items()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def constant_of(step: OnnxStep, model: str, folder: Path | None) -> Array:
    """The value of a Constant node; ``folder`` is where external data may lie."""
    attrs = step.attrs
    if "value" in attrs:
        return to_array(attrs["value"], model, folder)
    for key, dtype in (("float", np.float32), ("int", np.int64)):
        for suffix in ("", "s"):
            name = f"value_{key}{suffix}"
            if name in attrs:
                return np.asarray(attrs[name], dtype)
    raise Refused("holds no numbers", "Store a dense numeric tensor")


def reads(node: Any) -> set[str]:
    """What a node reads, its subgraphs included."""
    names = {name for name in node.input if name}
    for graph in subgraphs(node):
        names |= _free(graph)
    return names


def subgraphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _free(graph: Any) -> set[str]:
    """What a subgraph reads from outside."""
    made = {i.name for i in graph.input} | {t.name for t in graph.initializer}
    made |= {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in reads(node)}
    return (read | {o.name for o in graph.output}) - made


def wanted_nodes(nodes: Sequence[Any], outputs: Collection[str]) -> list[Any]:
    """The nodes of which ``outputs`` are made, in the file's order."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waiting = [makers[name] for name in outputs if name in makers]
    kept = set(waiting)
    while waiting:
        for name in reads(nodes[waiting.pop()]):
            index = makers.get(name)
            if index is not None and index not in kept:
                kept.add(index)
                waiting.append(index)
    return [node for i, node in enumerate(nodes) if i in kept]


def sorted_nodes(nodes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The nodes so that each reads only what was written before; those that lie in a cycle."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    sources = [{makers[n] for n in reads(node) if n in makers} for node in nodes]
    if all(max(found, default=-1) < i for i, found in enumerate(sources)):
        return list(nodes), []
    readers: list[list[int]] = [[] for _ in nodes]
    for index, found in enumerate(sources):
        for source in found:
            readers[source].append(index)
    open_sources = [len(found) for found in sources]
    ready = deque(i for i, count in enumerate(open_sources) if not count)
    ordered: list[int] = []
    while ready:
        index = ready.popleft()
        ordered.append(index)
        for reader in readers[index]:
            open_sources[reader] -= 1
            if not open_sources[reader]:
                ready.append(reader)
    left = set(range(len(nodes))) - set(ordered)
    return [nodes[i] for i in ordered], [nodes[i] for i in sorted(left)]


def unsorted_faults(
    nodes: Sequence[Any], cyclic: Sequence[Any], known: Collection[str], model: str
) -> list[McuqError]:
    """What nothing writes, and cycles."""
    made = {name for node in (*nodes, *cyclic) for name in node.output} | set(known)
    faults: list[McuqError] = []
    for node in (*nodes, *cyclic):
        for name in sorted(reads(node) - made):
            reason = f"reads '{name}', which nothing writes"
            faults.append(node_error(model, label(node), reason, "Export the model again"))
    if cyclic and not faults:
        reason = "reads a value that depends on its own output (a cycle)"
        faults.append(node_error(model, label(cyclic[0]), reason, "Export the model again"))
    return faults
