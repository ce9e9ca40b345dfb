"""The ONNX nodes made so far, and how each of our tensors lies in the file.

Inside, images are (1, H, W, C) and views are free; in the file they are (N, C, H, W). As in the
importer a map tells where each element of a value of the file lies in our memory, and data is only
transposed where an operator needs another order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.layout import Map
from mcuq.ir import Array, Graph, Shape, unique_name


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the file: its shape (batch 1), and where its elements lie in our memory."""

    name: str
    shape: Shape
    places: Map


def file_shape(shape: Shape) -> Shape:
    """(1, H, W, C) as (1, C, H, W); others as they are."""
    return (1, shape[3], *shape[1:3]) if len(shape) == 4 else shape


def file_places(shape: Shape) -> Map:
    """The map of a value of ``file_shape`` whose tensor has ``shape``."""
    if len(shape) == 4:
        return layout.channels_last(file_shape(shape))
    return layout.identity(prod(shape))


class Values:
    """``known``: our tensors by name. Names of the file's inputs and outputs are not given away."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.known: dict[str, Value] = {}
        self.opset = 17
        self._taken = {port.name: True for port in (*graph.inputs, *graph.outputs)}
        self._labels: dict[str, bool] = {}
        self._moved: dict[tuple[str, bytes, Shape], Value] = {}

    def usual(self, tensor: str) -> Value:
        """``tensor`` as operators of the file want it."""
        shape = self.graph.shape(tensor)
        return self.moved(self.known[tensor], file_places(shape), file_shape(shape))

    def moved(self, value: Value, places: Map, shape: Shape) -> Value:
        """``value`` in another order and shape."""
        key = (value.name, places.tobytes(), shape)
        if key in self._moved:
            return self._moved[key]
        source = layout.inverse(value.places)[places]
        name, now = value.name, value.shape
        if not np.array_equal(source, layout.identity(len(source))):
            name, now = self._reordered(name, now, source)
        self._moved[key] = Value(self._reshaped(name, now, shape), shape, places)
        return self._moved[key]

    def _reordered(self, name: str, now: Shape, source: Map) -> tuple[str, Shape]:
        """(name, shape) of the value with the elements ``source``: a Transpose, or a Gather."""
        found = layout.permutation(source)
        if found is None:
            flat = self._reshaped(name, now, (1, len(source)))
            indices = self.constant(f"{name}.indices", source)
            label = f"{name}.reordered"
            return self.emit("Gather", label, [flat, indices], axis=1), (1, len(source))
        axes, perm = found
        wide = self._reshaped(name, now, (1, *axes))
        turned = (0, *(axis + 1 for axis in perm))
        made = self.emit("Transpose", f"{name}.transposed", [wide], perm=turned)
        return made, (1, *(axes[axis] for axis in perm))

    def _reshaped(self, name: str, now: Shape, shape: Shape) -> str:
        if now == shape:
            return name
        if len(shape) == 2:
            return self.emit("Flatten", f"{name}.flat", [name])
        wanted = self.constant(f"{name}.shape", np.array([-1, *shape[1:]], np.int64))
        return self.emit("Reshape", f"{name}.view", [name, wanted])

    def emit(self, op: str, label: str, inputs: Sequence[str], **attrs: Any) -> str:
        """A node named about ``label``; returns its output's name."""
        return self.emit_as(op, label, label, inputs, **attrs)

    def emit_as(self, op: str, label: str, output: str, inputs: Sequence[str], **attrs: Any) -> str:
        """As ``emit``, the output named about ``output``."""
        name = self._unique(output)
        label = unique_name(self._labels, label)
        self._labels[label] = True
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=label, **attrs))
        return name

    def emit_several(
        self, op: str, label: str, index: int, inputs: Sequence[str], **attrs: Any
    ) -> str:
        """As ``emit``, of which only output ``index`` is written."""
        made = self.emit(op, label, inputs, **attrs)
        self.nodes[-1].output[:] = [""] * index + [made]
        return made

    def constant(self, name: str, data: Array) -> str:
        """A constant of the file; float32 unless it holds integers."""
        unique = self._unique(name)
        kind = np.int64 if np.issubdtype(data.dtype, np.integer) else np.float32
        self.constants[unique] = numpy_helper.from_array(np.ascontiguousarray(data, kind), unique)
        return unique

    def input(self, name: str, value: Value) -> None:
        self._taken[name] = True
        self._moved[value.name, value.places.tobytes(), value.shape] = value

    def renamed(self, names: Mapping[str, str]) -> list[Any]:
        """The nodes, some values renamed."""
        for node in self.nodes:
            for field in (node.input, node.output):
                for index, name in enumerate(field):
                    field[index] = names.get(name, name)
        return self.nodes

    def _unique(self, name: str) -> str:
        unique = unique_name(self._taken, name)
        self._taken[unique] = True
        return unique


def info(name: str, shape: Shape, integers: bool = False) -> Any:
    """The description of an input or output, with a free batch."""
    kind = onnx.TensorProto.INT64 if integers else onnx.TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, ["N", *shape[1:]])
