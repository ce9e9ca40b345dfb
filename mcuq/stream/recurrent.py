"""A recurrent layer of a window network in a stream: its steps, from a state and to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcuq.importers.nodes import cells
from mcuq.importers.nodes.builder import Builder, Refused
from mcuq.ir import Array, Node, Shape, Tensor, unique_name
from mcuq.stream.window import NotStreamedError

_PARTS = ("weight", "recurrence", "bias", "start", "cell")


@dataclass(frozen=True, eq=False)
class Steps:
    """The nodes that make the layer's output, all tensors, and (read, written, start) of states."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    states: tuple[tuple[str, str, Array], ...]


def steps_of(node: Node, tensors: Mapping[str, Tensor]) -> Steps:
    """``node``, whose sequence holds the frames of one step, among ``tensors``."""
    builder = Builder()
    builder.tensors.update(tensors)
    parts = {
        part: _data(tensors, name) for part, name in zip(_PARTS, node.inputs[1:], strict=False)
    }
    shape = tensors[node.inputs[0]].shape
    reads = [_state(builder, node, part, parts[part]) for part in _PARTS[3:] if part in parts]
    source = builder.shaped(node.inputs[0], (1, 1, *shape[-2:]))
    layer = cells.Direction(
        node.op.upper(), node.name, node.output, source, shape[-2], False, parts,
        tuple(reads), node.attrs,
    )  # fmt: skip
    try:
        ran = cells.run(builder, layer)
    except Refused as error:
        raise NotStreamedError(node.name, error.reason, "Give fewer frames a step") from None
    _give(builder, node, ran, shape)
    starts = [parts[part].reshape(1, -1) for part in _PARTS[3:] if part in parts]
    states = tuple(zip(reads, ran.last, starts, strict=True))
    return Steps(tuple(builder.nodes), builder.tensors, states)


def _data(tensors: Mapping[str, Tensor], name: str) -> Array:
    data = tensors[name].data
    assert data is not None
    return data


def _state(builder: Builder, node: Node, part: str, start: Array) -> str:
    """The tensor (1, H) of a state before the step."""
    name = unique_name(builder.tensors, f"{node.output}.{part}_kept")
    builder.tensors[name] = Tensor(name, (1, start.size))
    return name


def _give(builder: Builder, node: Node, ran: cells.Ran, shape: Shape) -> None:
    """The layer's output under its own name, of an input of ``shape``."""
    hidden = builder.tensors[ran.states[0]].shape[1]
    if node.attrs["gives"] != "all":
        last = ran.last[1] if node.attrs["gives"] == "cell" else ran.last[0]
        builder.emit("reshape", node.name, (last,), node.output, shape=(1, hidden))
        return
    ones = (1,) * (len(shape) - 1)
    rows = [builder.shaped(state, (*ones, hidden)) for state in ran.states]
    if len(rows) == 1:
        builder.emit("reshape", node.name, rows, node.output, shape=(*ones, hidden))
    else:
        builder.emit("concat", node.name, rows, node.output, axis=len(shape) - 2)
