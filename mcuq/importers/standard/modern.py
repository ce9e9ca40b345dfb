"""What a rewrite of an old or foreign operator sees of its node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array, Shape

LAST_OLD = 13
"""Operators of older versions are rewritten as those of this one; newer ones stay."""
MODERN = 21
"""The version of the nodes that replace foreign operators."""


@dataclass(frozen=True)
class Kind:
    """The element type of a value, by ONNX's number, and its shape."""

    element: int
    shape: Shape

    @staticmethod
    def of(array: Array) -> Kind:
        return Kind(int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype)), array.shape)

    @property
    def real(self) -> bool:
        """Whether the elements are floats."""
        types = onnx.TensorProto
        return self.element in (types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16)


@dataclass(frozen=True, eq=False)
class Old:
    """A node of version ``opset``, and what is known of the values it reads.

    ``unrounded``: values that mean integers but hold the reals. ``symbolic``: axis 0 of a value
    may be a batch of 1. ``new_name`` makes a name for a part.
    """

    node: Any
    opset: int
    constants: dict[str, Array]
    kinds: dict[str, Kind]
    makers: Mapping[str, OnnxStep]
    unrounded: Collection[str]
    symbolic: bool
    new_name: Callable[[Any, str], str]

    @property
    def inputs(self) -> list[str]:
        return list(self.node.input)

    def input(self, index: int) -> str:
        """The name of input ``index``, empty if it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def wants(self, index: int) -> bool:
        """Whether anything may read output ``index``."""
        return index < len(self.node.output) and bool(self.node.output[index])

    def attribute(self, name: str, default: Any = None) -> Any:
        found = next((a for a in self.node.attribute if a.name == name), None)
        if found is None:
            return default
        value = onnx.helper.get_attribute_value(found)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def kind(self, name: str) -> Kind:
        """What is known of a value; refused if nothing is."""
        if not name:
            raise Refused(f"operator {self.node.op_type} lacks an input", "Export it again")
        if name not in self.kinds:
            raise Refused(f"the shape of '{name}' is not known")
        return self.kinds[name]

    def rank(self, name: str) -> int:
        return len(self.kind(name).shape)

    def maker(self, name: str, behind: Collection[str]) -> OnnxStep | None:
        """What makes ``name``, or makes it before operators of the kinds ``behind``."""
        step = self.makers.get(name)
        while step is not None and step.op in behind:
            step = self.makers.get(step.inputs[0])
        return step

    def constant(self, data: Any, part: str) -> str:
        """A new constant of the network."""
        name, array = self.new_name(self.node, part), np.asarray(data)
        self.constants[name], self.kinds[name] = array, Kind.of(array)
        return name

    def integers(self, values: npt.ArrayLike, part: str) -> str:
        """A new constant of int64, as ONNX wants shapes, axes and places."""
        return self.constant(np.array(values, np.int64), part)

    def given(self, index: int) -> Array:
        """Input ``index``, which must be a constant."""
        found = self.constants.get(self.input(index))
        if found is None:
            raise Refused(f"input {index + 1} is computed at run time", "It must be a constant")
        return found

    def part(self, op: str, inputs: Sequence[str], what: str = "", **attrs: Any) -> Any:
        """A node that is part of the replacement: it writes the result, or the part ``what``."""
        outputs = [self.new_name(self.node, what)] if what else list(self.node.output)
        while outputs and not outputs[-1]:
            outputs.pop()
        name = self.node.name or next((o for o in self.node.output if o), "")
        return onnx.helper.make_node(op, list(inputs), outputs, name, **attrs)

    def changed(self, inputs: Sequence[str], drop: Sequence[str] = (), **attrs: Any) -> Any:
        """The node with other inputs, without some attributes, with others."""
        made = onnx.NodeProto()
        made.CopyFrom(self.node)
        del made.input[:], made.attribute[:]
        made.input.extend(inputs)
        kept = (a for a in self.node.attribute if a.name not in drop and a.name not in attrs)
        made.attribute.extend(kept)
        made.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attrs.items())
        return made


class Parts:
    """The nodes that replace one, in order."""

    def __init__(self, old: Old) -> None:
        self.old, self.nodes = old, list[Any]()

    def add(self, op: str, inputs: Sequence[str], what: str, **attrs: Any) -> str:
        """A node that writes a part; returns its name."""
        node = self.old.part(op, inputs, what, **attrs)
        self.nodes.append(node)
        return str(node.output[0])

    def name(self, node: str, index: int) -> None:
        """Let output ``index`` of the operator be the part ``node``."""
        made = self.old.part("Identity", [node], "copy")
        made.output[0] = self.old.node.output[index]
        self.nodes.append(made)

    def row(self, name: str, place: int, axis: int) -> str:
        """The row ``place`` of an axis, which stays."""
        index = self.constant(np.array([place]), "place")
        return self.add("Gather", [name, index], "row", axis=axis)

    def shaped(self, name: str, shape: Sequence[int]) -> str:
        """The same values in another shape."""
        return self.add("Reshape", [name, self.constant(np.array(shape), "shape")], "shaped")

    def constant(self, data: Any, what: str) -> str:
        return self.old.constant(np.asarray(data), what)
