"""The last step: State -> QGraph, by each operator's ``to_int``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import quantize as to_integers
from mcuq.ir import Array, Graph, Node, Port, Shape, Tensor, unique_name
from mcuq.ops import spec
from mcuq.qir import QGraph, QTensor, frac_of
from mcuq.quantize.state import State
from mcuq.quantize.wide import with_conversions


def assemble(state: State) -> QGraph:
    """The integer network of a finished state."""
    graph, acts = _with_explicit_pads(_with_biases(state), dict(state.acts))
    graph, acts, first = _with_byte_inputs(graph, acts)
    graph, acts = with_conversions(graph, acts)
    nodes: list[Node] = list(first)
    tensors = {n: QTensor(n, t.shape, t.kind, t.frac, t.zero) for n, t in acts.items()}
    for node in graph.nodes:
        to_int = spec(node.op).to_int
        if to_int is None:
            raise ModelError(graph.name, f"node '{node.name}': {node.op} has no integer form")
        form = to_int(node, graph, acts, state.weights)
        nodes.append(form.node)
        tensors.update((constant.name, constant) for constant in form.constants)
    used = {n for node in nodes for n in (*node.inputs, *node.outputs)}
    used |= {port.tensor for port in (*graph.inputs, *graph.outputs)}
    return QGraph(
        graph.name,
        tuple(_port(port, tensors[port.tensor]) for port in graph.inputs),
        tuple(
            _port(port, tensors[port.tensor], state.factors.get(port.tensor, 1.0))
            for port in graph.outputs
        ),
        tuple(nodes),
        {n: t for n, t in tensors.items() if n in used},
        graph.stream,
    )


def _port(port: Port, tensor: QTensor, factor: float | Array = 1.0) -> Port:
    """``port`` with the conversion of its integers, unless something has fixed it already.

    The tensor holds ``factor`` times the real value, one or one per channel.
    """
    if port.scale:
        return replace(port, kind=tensor.kind)
    scales = (2.0 ** -frac_of(tensor) / np.atleast_1d(factor)).tolist()
    zeros = (float(tensor.zero),) * len(scales)
    return replace(port, kind=tensor.kind, scale=tuple(scales), offset=zeros)


def _with_biases(state: State) -> Graph:
    """The network with the corrected biases."""
    tensors = dict(state.graph.tensors)
    tensors.update((n, replace(tensors[n], data=b)) for n, b in state.biases.items())
    return replace(state.graph, tensors=tensors)


def _with_explicit_pads(graph: Graph, acts: dict[str, QTensor]) -> tuple[Graph, dict[str, QTensor]]:
    """Replace paddings that differ per channel even in integers by a ``pad`` before the node."""
    nodes: list[Node] = []
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if _uneven(node, acts):
            source = node.inputs[0]
            name = unique_name(tensors, f"{source}.padded")
            top, left, bottom, right = node.ints("pads")
            pads = ((0, 0), (top, bottom), (left, right), (0, 0))
            shape = _padded(graph.shape(source), pads)
            tensors[name] = Tensor(name, shape)
            acts[name] = replace(acts[source], name=name, shape=shape)
            attrs = {"pads": pads, "value": node.attrs["pad_value"]}
            nodes.append(Node("pad", name, (source,), (name,), attrs))
            node = replace(node, inputs=(name, *node.inputs[1:]))
            node = node.with_attrs(pads=(0, 0, 0, 0), pad_value=(0.0,))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), tensors=tensors), acts


def _padded(shape: Shape, pads: tuple[tuple[int, int], ...]) -> Shape:
    return tuple(size + begin + end for size, (begin, end) in zip(shape, pads, strict=True))


def _uneven(node: Node, acts: Mapping[str, QTensor]) -> bool:
    values = node.attrs.get("pad_value", (0.0,))
    if len(values) == 1 or not any(node.ints("pads")):
        return False
    act = acts[node.inputs[0]]
    integers = to_integers(values, frac_of(act), act.zero, act.kind)
    return len(set(integers.tolist())) > 1


def _with_byte_inputs(
    graph: Graph, acts: dict[str, QTensor]
) -> tuple[Graph, dict[str, QTensor], tuple[Node, ...]]:
    """Put a ``from_u8`` behind each u8 input; its readers read the s8 tensor instead."""
    tensors, renamed, first = dict(graph.tensors), {}, []
    for port in graph.inputs:
        if port.kind != "u8" or port.tensor in renamed:
            continue
        source = port.tensor
        name = unique_name(tensors, f"{source}.s8")
        renamed[source] = name
        tensors[name] = Tensor(name, graph.shape(source))
        acts[name] = replace(acts[source], name=name)
        acts[source] = QTensor(source, graph.shape(source), "u8", 0, 0)
        first.append(Node("from_u8", name, (source,), (name,)))
    nodes = tuple(
        replace(n, inputs=tuple(renamed.get(i, i) for i in n.inputs)) for n in graph.nodes
    )
    outputs = tuple(replace(p, tensor=renamed.get(p.tensor, p.tensor)) for p in graph.outputs)
    return replace(graph, nodes=nodes, tensors=tensors, outputs=outputs), acts, tuple(first)
