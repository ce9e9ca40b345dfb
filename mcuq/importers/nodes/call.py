"""One node of the model as its handler sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Builder, Refused, Value
from mcuq.importers.nodes.layout import Map
from mcuq.importers.standard.modern import Kind
from mcuq.ir import Array, Shape

Operand = Value | Array | None


@dataclass(frozen=True, eq=False)
class NodeCall:
    """``inputs``: values, constants as arrays, None for what is left out; ``names`` as in the file.

    ``outputs`` are the names of the results; an empty one is not wanted. ``kinds``: the types and
    shapes of values by name, as far as they are known.
    """

    builder: Builder
    op: str
    name: str
    attrs: Mapping[str, Any]
    inputs: tuple[Operand, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    kinds: Mapping[str, Kind]

    def operand(self, index: int) -> Operand:
        return self.inputs[index] if index < len(self.inputs) else None

    def value(self, index: int = 0) -> Value:
        """Input ``index``, which must be computed from the network's inputs."""
        found = self.operand(index)
        if isinstance(found, Value):
            return found
        raise Refused(f"input {index + 1} is a constant or missing", "Give it data")

    def constant(self, index: int) -> Array:
        """Input ``index``, which must be a constant."""
        found = self.operand(index)
        if isinstance(found, np.ndarray):
            return found
        what = "missing" if found is None else "computed at run time"
        raise Refused(f"input {index + 1} is {what}", "It must be a constant of the model")

    def optional(self, index: int) -> Array | None:
        """Input ``index`` as a constant, or None if it is left out."""
        return None if self.operand(index) is None else self.constant(index)

    def integer(self, key: str, default: int) -> int:
        return int(self.attrs.get(key, default))

    def real(self, key: str, default: float) -> float:
        return float(self.attrs.get(key, default))

    def text(self, key: str, default: str) -> str:
        return str(self.attrs.get(key, default))

    def integers(self, key: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        return tuple(int(v) for v in self.attrs.get(key, default))

    def axes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """The axes from the attribute or input ``index``, counted from the front, as listed."""
        given = self.attrs.get("axes")
        if given is None:
            given = self.optional(index)
        if given is None:
            return None
        found = tuple(axis_of(int(a), rank) for a in np.asarray(given).reshape(-1))
        if len(set(found)) < len(found):
            raise Refused(f"axes {found} name an axis twice", "Name each axis once")
        return found

    def weights(self, index: int, data: Array) -> str:
        """A constant tensor named as input ``index`` is, holding ``data``."""
        name = self.names[index] if index < len(self.names) and self.names[index] else ""
        part = {1: "weight", 2: "bias"}.get(index, "constant")
        tensor = self.builder.constant(name or f"{self.outputs[0]}.{part}", data)
        if index < 2 and name in self.builder.grids:
            self.builder.hints[tensor] = self.builder.grids[name]
        return tensor

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Append ``op`` under this node's name, writing this node's output."""
        return self.builder.emit(op, self.name, inputs, self.outputs[0], **attrs)

    def part(self, what: str, *inputs: Operand, **attrs: Any) -> NodeCall:
        """A part of this node, which has results of its own: named after ``what``."""
        return replace(
            self,
            name=f"{self.name}.{what}",
            attrs=attrs,
            inputs=inputs,
            names=("",) * len(inputs),
            outputs=(f"{self.outputs[0]}.{what}",),
        )

    def image(self, value: Value) -> str:
        """The (1, C, H, W) or (1, C, L) value as a (1, H, W, C) or (1, 1, L, C) tensor."""
        if len(value.shape) not in (3, 4):
            raise Refused(f"{len(value.shape)}-dimensional data", "Use 1-D or 2-D data (N, C, ...)")
        if value.shape[0] != 1:
            raise Refused(f"the first axis has {value.shape[0]} elements", "Keep the batch first")
        wanted = layout.channels_last(value.shape)
        return self.builder.place(value, wanted, layout.image_shape(value.shape))

    def image_value(self, tensor: str, rank: int) -> Value:
        """The value of ``rank`` 3 or 4 that a (1, H, W, C) tensor holds."""
        _, height, width, channels = self.builder.tensors[tensor].shape
        shape = (1, channels, height, width) if rank == 4 else (1, channels, width)
        return Value(shape, tensor, layout.channels_last(shape))


def axis_of(axis: int, rank: int) -> int:
    """``axis`` counted from the front; refused if there is no such axis."""
    if not -rank <= axis < rank:
        raise Refused(f"axis {axis} of a {rank}-dimensional value")
    return axis + rank if axis < 0 else axis


def in_order(call: NodeCall, value: Value, shape: Shape) -> str:
    """The value in its own order, as a tensor of ``shape``."""
    return call.builder.place(value, layout.identity(prod(value.shape)), shape)


def rows(call: NodeCall, value: Value, axis: int) -> tuple[str, Map, int]:
    """(tensor, memory row of each combination of the other axes, their number): axis innermost.

    The tensor's last axis is ``axis``; the data is moved only if it lies otherwise.
    """
    builder, width = call.builder, value.shape[axis]
    count = prod(value.shape) // width
    if value.tensor in builder.open:
        axes = [*(a for a in range(len(value.shape)) if a != axis), axis]
        shape = (1, width) if count == 1 else (1, 1, count, width)
        builder.settle(value, layout.with_axes(value.shape, axes), shape)
    found = layout.innermost(builder.places(value), value.shape, axis)
    if found is None:
        axes = [*(a for a in range(len(value.shape)) if a != axis), axis]
        wanted = layout.with_axes(value.shape, axes)
        shape = (1, width) if count == 1 else (1, 1, count, width)
        tensor = builder.place(value, wanted, shape)
        return tensor, layout.identity(count), count
    memory = builder.memory(value)
    if memory[-1] == width and memory[0] == 1:
        return value.tensor, found, count
    shape = (1, width) if count == 1 else (1, 1, count, width)
    return builder.shaped(value.tensor, shape), found, count


def from_rows(shape: Shape, axis: int, tensor: str, row: Map) -> Value:
    """The value of ``shape`` whose ``axis`` is innermost in ``tensor``, in the given rows."""
    width = shape[axis]
    places = row[:, None] * width + np.arange(width)
    rest = [shape[a] for a in range(len(shape)) if a != axis]
    lying = places.reshape(*rest, width)
    return Value(shape, tensor, np.moveaxis(lying, -1, axis).reshape(-1))
