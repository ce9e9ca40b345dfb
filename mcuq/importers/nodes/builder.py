"""Builds a Graph from values whose layout in memory is tracked by index maps.

Views (reshape, transpose) cost nothing: they only change a value's map. Data is moved only where
an operator needs another order than the one at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mcuq.capacity import excess, remedy
from mcuq.importers.nodes import layout
from mcuq.importers.nodes.layout import Map
from mcuq.ir import Array, Hint, Node, Shape, Tensor, unique_name
from mcuq.ops import spec
from mcuq.ops.movement import copy
from mcuq.ops.parts import windows


class Refused(Exception):
    """Why a node cannot be imported, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(reason)


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the model: its own shape (batch 1), our tensor, and the places of its elements.

    ``view`` maps to the tensor's own order; for an input whose layout is still open that is the
    order of the user, otherwise memory.
    """

    shape: Shape
    tensor: str
    view: Map


@dataclass(frozen=True)
class Pair:
    """The numbers of a QuantizeLinear; ``zero`` is its own zero point, signed or not."""

    hint: Hint
    zero: int


def check_size(shape: Sequence[int]) -> None:
    """Refuse shapes that no microcontroller could hold, before anything is allocated."""
    reason = excess(shape)
    if reason:
        raise Refused(reason, remedy())


class Builder:
    """The nodes and tensors made so far, and the operator that made each tensor.

    ``open``: inputs whose layout no consumer has fixed; ``order`` maps the user's order of an
    input to memory; ``whole``: inputs that are indices. Of quantized models: ``hints`` by our
    tensor, ``pairs`` (of data) and ``grids`` (of constants) by the model's own names.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.makers: dict[str, str] = {}
        self.order: dict[str, Map] = {}
        self.open: set[str] = set()
        self.whole: set[str] = set()
        self.hints: dict[str, Hint] = {}
        self.pairs: dict[str, Pair] = {}
        self.grids: dict[str, Hint] = {}
        self.successors: dict[str, str] = {}  # as in Graph
        self._names: set[str] = set()
        self._elements = 0
        self._made: dict[tuple[Any, ...], str] = {}

    def claim(self, shape: Sequence[int]) -> None:
        """Count a tensor that is about to be made; refused if all together become too large."""
        reason = excess(shape, self._elements)
        if reason:
            raise Refused(reason, remedy())
        self._elements += prod(int(size) for size in shape)

    def input(self, name: str, shape: Shape) -> Value:
        """A new input; the first consumer fixes how it lies in memory."""
        tensor = self._new_tensor(name, shape)
        self.open.add(tensor)
        view = layout.identity(prod(shape))
        self.order[tensor] = view
        return Value(shape, tensor, view)

    def constant(self, name: str, data: Array) -> str:
        """A new float32 constant; NaN and infinity are refused."""
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(data, np.float32)
        if not bool(np.isfinite(values).all()):
            raise Refused(f"constant '{name}' holds NaN or infinity", "Repair the weights")
        self.claim(values.shape)
        tensor = unique_name(self.tensors, name)
        self.tensors[tensor] = Tensor(tensor, values.shape, values)
        return tensor

    def emit(self, op: str, name: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:
        """Append a node, its shape checked by the operator's own rules; returns its output."""
        unique = name
        count = 1
        while unique in self._names:
            count += 1
            unique = f"{name}_{count}"
        self._names.add(unique)
        shapes = [self.tensors[n].shape for n in inputs]
        node = Node(op, unique, tuple(inputs), (unique_name(self.tensors, output),), attrs)
        for limit in spec(op).limits:
            if not limit(node, shapes):
                raise Refused(f"{limit.__doc__}".strip().rstrip("."), "Run 'mcuq ops' for limits")
        shape = spec(op).infer(node, shapes)
        for taken in windows.taken(node, shapes, shape):
            check_size(taken)
        self.nodes.append(node)
        self.makers[node.output] = op
        return self._new_tensor(node.output, shape)

    def is_index(self, tensor: str) -> bool:
        """Whether an operator made ``tensor`` that gives indices."""
        return tensor in self.makers and spec(self.makers[tensor]).gives_indices

    def places(self, value: Value) -> Map:
        """The value's map to memory."""
        base = self.order.get(value.tensor)
        return value.view if base is None else base[value.view]

    def memory(self, value: Value) -> Shape:
        """The shape of the value's tensor in memory."""
        return self.tensors[value.tensor].shape

    def place(self, value: Value, wanted: Map, shape: Shape) -> str:
        """A tensor of ``shape`` that holds the value at the places ``wanted``."""
        if value.tensor in self.open:
            self.settle(value, wanted, shape)
        have = self.places(value)
        name = value.tensor
        if not np.array_equal(have, wanted):
            source = np.empty_like(have)
            source[wanted] = have
            name = self._permuted(name, source)
        return self.shaped(name, shape)

    def settle(self, value: Value, wanted: Map, shape: Shape) -> None:
        """Fix the layout of an open input so that ``value``, a view of it, lies as ``wanted``."""
        order = np.empty_like(wanted)
        order[value.view] = wanted
        self.order[value.tensor] = order
        self.tensors[value.tensor] = Tensor(value.tensor, shape)
        self.open.discard(value.tensor)

    def shaped(self, name: str, shape: Shape) -> str:
        """The tensor ``name`` seen as ``shape``: the same memory."""
        if self.tensors[name].shape == shape:
            return name
        key = (name, shape)
        if key not in self._made:
            view = f"{name}.view"
            self._made[key] = self.emit("reshape", view, (name,), view, shape=shape)
        return self._made[key]

    def copy(self, label: str, name: str, source: Map, shape: Shape, output: str) -> str:
        """A tensor of ``shape`` with the elements ``source`` of the tensor ``name``."""
        places, sizes, strides = copy.loops(source)
        if len(places) > copy.MAX_PLACES:
            raise Refused("it takes elements in no order", "Reorder the data before")
        loops = {"places": places, "sizes": sizes, "strides": strides}
        return self.emit("copy", label, (name,), output, shape=shape, **loops)

    def _permuted(self, name: str, source: Map) -> str:
        key = (name, source.tobytes())
        if key not in self._made:
            found = layout.permutation(source)
            label = f"{name}.transposed"
            if found is not None and len(found[0]) <= 3:
                shape, perm = found
                axes = (0, *(axis + 1 for axis in perm))
                wide = self.shaped(name, (1, *shape))
                self._made[key] = self.emit("transpose", label, (wide,), label, perm=axes)
            else:
                self._made[key] = self.copy(label, name, source, (1, len(source)), label)
        return self._made[key]

    def _new_tensor(self, name: str, shape: Shape) -> str:
        self.claim(shape)
        unique = unique_name(self.tensors, name)
        self.tensors[unique] = Tensor(unique, shape)
        return unique
