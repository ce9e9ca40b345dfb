"""Checks graphs whole: those that were just made, and those that a file holds.

``real_problems`` and ``integer_problems`` give a sentence for every fault: unknown operators,
attributes by their schema, names, order, shapes as inferred, and in integers the kinds, fracs,
ranges and sums that the operators' ``Schema`` asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from mcuq.capacity import excess
from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, Graph, Node, Port, Tensor, problems, state_ports
from mcuq.ops import OPS, spec
from mcuq.ops.spec import Form, Schema
from mcuq.qir import QGraph, QTensor
from mcuq.schema import FLOAT32, Misfit, fields

FRAC_LIMIT = 160
"""No frac is beyond it: 2**-160 is far below what float32 holds."""

Network = Graph | QGraph


def real_problems(graph: Graph) -> Iterator[str]:
    """Every fault of a float graph."""
    faults = list(_structure(graph))
    for tensor in graph.tensors.values():
        faults += _float_data(tensor)
    if not faults:
        for node in graph.nodes:
            faults += _node(node, graph, _schema(node.op).float_form)
    yield from faults


def integer_problems(graph: QGraph) -> Iterator[str]:
    """Every fault of an integer graph."""
    faults = list(_structure(graph))
    for tensor in graph.tensors.values():
        faults += _numbers(tensor)
    if not faults:
        for node in graph.nodes:
            faults += _integer_node(node, graph)
        for port in (*graph.inputs, *graph.outputs):
            faults += _conversion(port, graph.tensors[port.tensor])
    yield from faults


class BrokenGraphError(Exception):
    """mcuq made an integer graph that is not valid: our own bug, never the user's model."""


def check(graph: QGraph) -> None:
    """Raise ``BrokenGraphError`` unless ``graph`` is valid."""
    faults = list(islice(integer_problems(graph), 3))
    if faults:
        raise BrokenGraphError("; ".join(faults))


def _structure(graph: Network) -> Iterator[str]:
    """Names, order and sizes; what follows may rely on them."""
    yield from problems(graph)
    for tensor in graph.tensors.values():
        if not tensor.shape or min(tensor.shape) < 1 or excess(tensor.shape):
            yield f"tensor '{tensor.name}' has the impossible shape {tensor.shape}"
    for names, what in (
        ([node.name for node in graph.nodes], "nodes"),
        ([port.name for port in graph.inputs], "inputs"),
        ([port.name for port in graph.outputs], "outputs"),
        ([port.tensor for port in graph.inputs], "inputs of one tensor"),
    ):
        if len(set(names)) < len(names):
            yield f"two {what} have one name"
    if not graph.inputs or not graph.outputs:
        yield "it has no inputs or no outputs"
    for port in (*graph.inputs, *graph.outputs):
        yield from _port(port, graph.tensors.get(port.tensor))
    yield from _stream(graph)
    for node in graph.nodes:
        if len(node.outputs) != 1:
            yield f"node '{node.name}' has {len(node.outputs)} outputs"


def _stream(graph: Network) -> Iterator[str]:
    """States are ports, each of one state, with a shape and in integers a format that is theirs."""
    if graph.stream is None:
        return
    states = graph.stream.states
    reads, writes = ([port.name for port in side] for side in (graph.inputs, graph.outputs))
    if not states or not set(reads) - {s.read for s in states}:
        yield "a stream without a state, or without an input that is none"
    for names, ports in (([s.read for s in states], reads), ([s.written for s in states], writes)):
        if len(set(names)) < len(names) or not set(names) <= set(ports):
            yield "its states are not ports, one each"
            return
    for state, read, written in state_ports(graph):
        a, b = graph.tensors.get(read.tensor), graph.tensors.get(written.tensor)
        if a is None or b is None or a.shape != b.shape or state.start.shape != a.shape:
            yield f"state '{state.read}' is written with another shape"
        elif _format(a) != _format(b):
            yield f"state '{state.read}' is written with other numbers"


def _format(tensor: Tensor | QTensor) -> tuple[object, ...]:
    return (tensor.kind, tensor.frac, tensor.zero) if isinstance(tensor, QTensor) else ()


def _port(port: Port, tensor: Tensor | QTensor | None) -> Iterator[str]:
    """A port is an activation with as many elements, in an order that is one."""
    if tensor is None or tensor.data is not None:
        yield f"port '{port.name}' is no activation"
        return
    size = math.prod(tensor.shape)
    if not port.shape or port.shape[0] != 1 or math.prod(port.shape) != size:
        yield f"port '{port.name}' of shape {port.shape} has other elements than its tensor"
    if tensor.shape[0] != 1:
        yield f"tensor '{tensor.name}' of a port has a batch of {tensor.shape[0]}"
    if port.order is not None and not _is_order(port.order, size):
        yield f"port '{port.name}' has an order that is none"


def _is_order(order: Array, size: int) -> bool:
    if order.shape != (size,) or order.dtype.kind not in "iu":
        return False
    return bool(np.array_equal(np.sort(order), np.arange(size)))


def _float_data(tensor: Tensor) -> Iterator[str]:
    if tensor.data is None:
        return
    if tensor.data.dtype != np.float32 or not bool(np.isfinite(tensor.data).all()):
        yield f"constant '{tensor.name}' is not finite float32"


def _numbers(tensor: QTensor) -> Iterator[str]:
    """Kind, frac and zero of an integer tensor, and the type of its data."""
    where = f"tensor '{tensor.name}'"
    if tensor.kind not in RANGES:
        yield f"{where} is of the unknown kind '{tensor.kind}'"
        return
    fracs = tensor.frac if isinstance(tensor.frac, tuple) else (tensor.frac,)
    if isinstance(tensor.frac, tuple) and tensor.data is None:
        yield f"{where} is an activation with a frac per channel"
    if any(abs(frac) > FRAC_LIMIT for frac in fracs):
        yield f"{where} has a frac beyond {FRAC_LIMIT}"
    low, high = RANGES["s8"] if tensor.kind == "s8" else (0, 0)
    if not low <= tensor.zero <= high:
        yield f"{where} has the zero {tensor.zero}, not one in {low}..{high}"
    if tensor.data is not None and tensor.data.dtype != DTYPES[tensor.kind]:
        yield f"{where} has data of type {tensor.data.dtype}, not {tensor.kind}"


def _conversion(port: Port, tensor: QTensor) -> Iterator[str]:
    """The integers of a port: of its tensor's kind, with a scale and an offset."""
    where = f"port '{port.name}'"
    if port.kind != tensor.kind:
        yield f"{where} is {port.kind}, its tensor {tensor.kind}"
    channels = tensor.shape[1] if len(tensor.shape) == 4 and port.kind == "u8" else 1  # planes
    for numbers, what in ((port.scale, "scales"), (port.offset, "offsets")):
        if len(numbers) not in (1, tensor.shape[-1], channels):
            yield f"{where} has {len(numbers)} {what}"
    if len(port.scale) != len(port.offset):
        yield f"{where} has {len(port.scale)} scales and {len(port.offset)} offsets"
    if any(not 0 < value < FLOAT32 for value in port.scale):
        yield f"{where} has a scale that is not above 0"


def _integer_node(node: Node, graph: QGraph) -> Iterator[str]:
    holds = _schema(node.op)
    faults = list(_node(node, graph, holds.int_form))
    if not faults:
        faults = [f"node '{node.name}': {fault}" for fault in holds.faults(node, graph)]
    yield from faults


def _schema(name: str) -> Schema:
    """The schema of an operator; that of an unknown one allows no nodes."""
    return next((op.schema for op in OPS if op.name == name), Schema())


def _node(node: Node, graph: Network, form: Form | None) -> Iterator[str]:
    """Operator, attributes, inputs, limits and shape of one node; the first fault of it."""
    where = f"node '{node.name}'"
    if form is None:
        yield f"{where}: there is no operator '{node.op}' here"
        return
    try:
        fields(node.attrs, f"{where}: attribute", form.attrs)
    except Misfit as error:
        yield str(error)
        return
    wrong = _wrong_inputs(node, graph, form) or _wrong_shape(node, graph)
    if wrong:
        yield f"{where}: {wrong}"


def _wrong_inputs(node: Node, graph: Network, form: Form) -> str:
    constant = [graph.is_constant(name) for name in node.inputs]
    count = min(len(constant) - form.constants, max(form.reads[1], len(constant) - form.most))
    if not form.reads[0] <= count <= form.reads[1]:
        return f"it has {len(constant)} inputs"
    first, last = constant[:count], constant[count:]
    if not all(last) or (any(first) and (not form.either or all(first))):
        return "its constants and activations are not where they belong"
    ranks = [len(graph.tensors[name].shape) for name in node.inputs]
    if form.alike:
        wanted = len(graph.tensors[node.output].shape)
        if any(r != wanted for r, fixed in zip(ranks, constant, strict=True) if not fixed):
            return "an operand has another number of axes than the output"
    if tuple(ranks[: len(form.ranks)]) != form.ranks:
        return f"its inputs have {ranks} axes, not {list(form.ranks)}"
    return ""


def _wrong_shape(node: Node, graph: Network) -> str:
    """What the operator's own rules say; they raise where ranks are none of theirs."""
    operator = spec(node.op)
    shapes = [graph.tensors[name].shape for name in node.inputs]
    try:
        for limit in operator.limits:
            if not limit(node, shapes):
                return (limit.__doc__ or "a limit is broken").strip().rstrip(".")
        found = operator.infer(node, shapes)
    except (IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        return f"its inputs do not fit the operator ({error})"
    stated = graph.tensors[node.output].shape
    return "" if found == stated else f"its output is {stated}, not {found}"
