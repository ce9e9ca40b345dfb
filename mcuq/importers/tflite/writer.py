"""Writes a TensorFlow Lite graph as ONNX nodes: real numbers, each quantized tensor with a pair.

Values keep TensorFlow's layout; where an ONNX operator wants channels first, transpositions stand
around it, which the importer's index maps make free. A quantized activation gets a QuantizeLinear
and a DequantizeLinear, quantized weights a DequantizeLinear: the form in which the importer reads
the numbers of a model that was quantized elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.file import Model, Operator, Tensor
from mcuq.ir import Array, Shape, unique_name

OPSET = 21
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")


class Writer:
    """The ONNX nodes made so far, and under which name each TensorFlow Lite tensor is known.

    ``notes``: what the user should know, one sentence each. ``states``: by the name of an input
    that of the output which it is at the next step; ``starts``: reals at the first one.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.states: dict[str, str] = {}
        self.starts: dict[str, Array] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.names: dict[int, str] = {}
        self.notes: list[str] = []
        self._taken = {tensor.name for tensor in model.tensors}

    def fresh(self, wanted: str) -> str:
        """A name that no value has."""
        name = unique_name(self._taken, wanted)
        self._taken.add(name)
        return name

    def constant(self, data: Array, name: str = "constant") -> str:
        """An initializer that holds ``data``."""
        unique = self.fresh(name)
        self.initializers[unique] = numpy_helper.from_array(np.ascontiguousarray(data), unique)
        return unique

    def integers(self, values: Sequence[int]) -> str:
        """A vector of int64, as ONNX wants shapes, axes and places."""
        return self.constant(np.array(values, np.int64), "integers")

    def node(self, op: str, inputs: Sequence[str], about: str, **attrs: Any) -> str:
        """One node; returns the name of its result. ``about`` is whose work it does."""
        output = self.fresh(f"{about}.{op}")
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attrs))
        return output

    def state(self, wanted: str, shape: Shape) -> str:
        """An input that holds zeros at first, and then what ``keep`` is given."""
        name = self.fresh(wanted)
        self.starts[name] = np.zeros(shape, np.float32)
        return name

    def keep(self, state: str, value: str) -> None:
        """``value`` is ``state`` at the next step."""
        self.states[state] = self.fresh(f"{state}.next")
        self.alias(value, self.states[state])

    def further(self, first: str) -> str:
        """One more result of the node whose first is ``first``."""
        maker = next(node for node in self.nodes if node.output[0] == first)
        maker.output.append(self.fresh(f"{first}.{len(maker.output) + 1}"))
        return str(maker.output[-1])

    def alias(self, source: str, name: str) -> None:
        """``name`` for the value ``source``."""
        self.nodes.append(helper.make_node("Identity", [source], [name], name=name))

    def transposed(self, value: str, order: Sequence[int], about: str) -> str:
        """The value with its axes in another order."""
        return self.node("Transpose", [value], about, perm=list(order))

    def paired(self, value: str, tensor: Tensor) -> str:
        """The value limited to what the integers of ``tensor`` hold, with their scale."""
        numbers = self._pair(tensor.scales, tensor.zeros, tensor.type)
        whole = self.node("QuantizeLinear", [value, *numbers], tensor.name)
        return self.node("DequantizeLinear", [whole, *numbers], tensor.name)

    def weights(self, data: Array, tensor: Tensor, axis: int) -> str:
        """A constant of integers as reals: ``data``, whose ``axis`` is the scales' own."""
        integers = self.constant(data, f"{tensor.name}.integers")
        scales, zeros = tensor.scales, tensor.zeros
        if len(scales) == 1:
            numbers, attrs = self._pair(scales, zeros, tensor.type), {}
        else:
            kind = np.dtype("int8" if tensor.type == "int4" else tensor.type)
            numbers = [
                self.constant(np.array(scales, np.float32), "scales"),
                self.constant(np.array(zeros, kind), "zeros"),
            ]
            attrs = {"axis": axis}
        return self.node("DequantizeLinear", [integers, *numbers], tensor.name, **attrs)

    def _pair(self, scales: Sequence[float], zeros: Sequence[int], kind: str) -> list[str]:
        if len(scales) != 1:
            raise Refused("its data has several scales", "Give activations one scale per tensor")
        scale = self.constant(np.array(scales[0], np.float32), "scale")
        dtype = "int8" if kind == "int4" else kind
        return [scale, self.constant(np.array(zeros[0], dtype), "zero")]


class OperatorCall:
    """One operator while it is written: its operands, options and results."""

    def __init__(self, writer: Writer, operator: Operator) -> None:
        self.writer, self.operator = writer, operator
        self.name = writer.model.tensors[operator.outputs[0]].name if operator.outputs else ""

    @property
    def op(self) -> str:
        return self.operator.op

    def option(self, name: str) -> Any:
        """A field of the operator's options; Refused if the file has none."""
        if name not in self.operator.options:
            raise Refused("its options are missing", "Convert the model again")
        return self.operator.options[name]

    def integer(self, name: str, default: int | None = None) -> int:
        if default is not None and name not in self.operator.options:
            return default
        return int(self.option(name))

    def tensor(self, index: int) -> Tensor:
        """The operand ``index``; Refused if it is left out."""
        place = self.place(index)
        if place is None:
            raise Refused(f"its input {index} is missing", "Convert the model again")
        return self.writer.model.tensors[place]

    def place(self, index: int) -> int | None:
        inputs = self.operator.inputs
        return inputs[index] if index < len(inputs) else None

    def has(self, index: int) -> bool:
        return self.place(index) is not None

    def shape(self, index: int = 0) -> Shape:
        return self.tensor(index).shape

    def result(self, index: int = 0) -> Tensor:
        return self.writer.model.tensors[self.operator.outputs[index]]

    def is_constant(self, index: int) -> bool:
        return self.tensor(index).data is not None

    def array(self, index: int) -> Array:
        """The numbers of a constant operand as they are stored."""
        data = self.tensor(index).data
        if data is None:
            reason = f"its input {index} ('{self.tensor(index).name}') is computed"
            raise Refused(reason, "It must be a constant")
        return data

    def reshaped(self, value: str, shape: Sequence[int]) -> str:
        """``value`` in another shape."""
        return self.node("Reshape", [value, self.writer.integers(shape)])

    def places(self, index: int) -> str:
        """A constant operand of places, as ONNX wants them."""
        return self.writer.constant(self.array(index).astype(np.int64), "places")

    def ints(self, index: int) -> list[int]:
        """A constant operand as a list of integers."""
        return [int(value) for value in self.array(index).reshape(-1)]

    def reals(self, index: int) -> Array:
        """A constant operand as float32 numbers, whatever its type and scales."""
        return reals(self.tensor(index))

    def value(self, index: int = 0) -> str:
        """The name of an operand as a real number."""
        place = self.place(index)
        if place is None:
            raise Refused(f"its input {index} is missing", "Convert the model again")
        known = self.writer.names.get(place)
        if known is not None:
            return known
        tensor = self.writer.model.tensors[place]
        if tensor.data is None:
            reason = f"it reads '{tensor.name}', which nothing writes"
            raise Refused(reason, "Convert the model again")
        made = constant_of(self.writer, tensor)
        self.writer.names[place] = made
        return made

    def weights(self, index: int, order: Sequence[int]) -> str:
        """A constant operand with its axes in another order; its scales go along."""
        tensor = self.tensor(index)
        if tensor.data is None:
            return self.writer.transposed(self.value(index), order, self.name)
        moved = np.transpose(tensor.data, order)
        if tensor.is_quantized:
            axis = list(order).index(tensor.axis) if len(tensor.scales) > 1 else 0
            return self.writer.weights(moved, tensor, axis)
        return self.writer.constant(moved.astype(np.float32), tensor.name)

    def node(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        return self.writer.node(op, inputs, self.name, **attrs)

    def activated(self, value: str) -> str:
        """The value after the operator's fused activation."""
        kind = self.integer("FusedActivationFunction", 0)
        word = ACTIVATIONS[kind] if 0 <= kind < len(ACTIVATIONS) else f"number {kind}"
        limits = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
        if word == "NONE":
            return value
        if word == "RELU":
            return self.node("Relu", [value])
        if word == "TANH":
            return self.node("Tanh", [value])
        if word in limits:
            return self.clip(value, *limits[word])
        raise Refused(f"its activation {word} is not supported", "Use RELU or RELU6")

    def clip(self, value: str, low: float, high: float) -> str:
        bounds = [self.writer.constant(np.array(b, np.float32), "limit") for b in (low, high)]
        return self.node("Clip", [value, *bounds])

    def first(self, value: str) -> str:
        """(N, H, W, C) -> (N, C, H, W)."""
        return self.writer.transposed(value, (0, 3, 1, 2), self.name)

    def last(self, value: str) -> str:
        """(N, C, H, W) -> (N, H, W, C)."""
        return self.writer.transposed(value, (0, 2, 3, 1), self.name)


def reals(tensor: Tensor) -> Array:
    """The float32 numbers of a constant."""
    if tensor.data is None:
        raise Refused(f"'{tensor.name}' is computed", "It must be a constant")
    if not tensor.scales:
        return tensor.data.astype(np.float32)
    shape = [1] * tensor.data.ndim
    if len(tensor.scales) > 1:
        shape[tensor.axis] = -1
    scales = np.array(tensor.scales, np.float64).reshape(shape)
    zeros = np.array(tensor.zeros, np.float64).reshape(shape)
    return np.asarray((tensor.data.astype(np.float64) - zeros) * scales, np.float32)


def constant_of(writer: Writer, tensor: Tensor) -> str:
    """The ONNX constant for one of the file: reals keep their grid, whole numbers are int64."""
    data = tensor.data
    if data is None:
        raise Refused(f"'{tensor.name}' is computed", "It must be a constant")
    if tensor.is_quantized:
        return writer.weights(data, tensor, tensor.axis)
    if tensor.scales:
        return writer.constant(reals(tensor), tensor.name)
    if data.dtype.kind in "iu":
        return writer.constant(data.astype(np.int64), tensor.name)
    if data.dtype.kind == "b":
        return writer.constant(data, tensor.name)
    return writer.constant(data.astype(np.float32), tensor.name)


def kept(name: str, start: Array) -> onnx.ValueInfoProto:
    """A graph input or output that holds a state."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(start.shape))


def information(tensor: Tensor) -> onnx.ValueInfoProto:
    """A graph input or output: reals, or whole numbers that stand for nothing else."""
    whole = {"int32": TensorProto.INT64, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
    kind = TensorProto.FLOAT if tensor.is_quantized else whole.get(tensor.type, TensorProto.FLOAT)
    return helper.make_tensor_value_info(tensor.name, kind, list(tensor.shape))
