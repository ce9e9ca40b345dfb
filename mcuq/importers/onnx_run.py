"""Runs an ONNX model node by node with onnx's own reference evaluator: a second opinion.

Numbers are float64 (or float32, to see what rounding does), whatever type the model states. Where
it quantizes data, the rounding is left out and the limits are kept: that is what a float graph of
a quantized model computes (``quantized.py``).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx

from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.standard.resolve import Flat
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

_SPANS = {
    "int4": (-8, 7), "uint4": (0, 15), "int8": (-128, 127), "uint8": (0, 255),
    "int16": (-32768, 32767), "uint16": (0, 65535),
}  # fmt: skip
_TYPES = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4"}
_RECURRENT = ("LSTM", "GRU", "RNN")
_FLOATS = (
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)  # fmt: skip
_OF_INFERENCE = {"BatchNormalization": 15}
"""Versions before these are taken by the evaluator for training, whatever they say."""
Float = type[np.float32] | type[np.float64]


class NotRunError(Exception):
    """The evaluator cannot compute a node; says which, and why."""


def run(
    flat: Flat, rows: Mapping[str, Array], kind: Float = np.float64
) -> Iterator[tuple[OnnxStep, dict[str, Array]]]:
    """Each step that depends on ``rows`` with the values it reads and writes, in order.

    A value is dropped after its last reader.
    """
    constants = flat.constants
    last = {name: index for index, step in enumerate(flat.steps) for name in step.inputs}
    values: dict[str, Array] = {name: given.astype(kind) for name, given in rows.items()}
    for index, step in enumerate(flat.steps):
        names = [name for name in step.inputs if name]
        read = {n: values[n] if n in values else _real(constants[n], kind) for n in names}
        raw = {name: constants[name] for name in names if name in constants}
        made = _computed(step, read, raw, kind)
        yield step, {**read, **made}
        values.update((name, array) for name, array in made.items() if last.get(name, -1) > index)
        for name in names:
            if last[name] <= index:
                values.pop(name, None)


def _real(array: Array, kind: Float) -> Array:
    """``array`` in the type that everything is computed in, if it holds reals."""
    known = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    return array.astype(kind) if known else array


def _computed(
    step: OnnxStep, read: Mapping[str, Array], raw: Mapping[str, Array], kind: Float
) -> dict[str, Array]:
    if step.op == "QuantizeLinear":
        return {step.outputs[0]: _steps(step, read, raw)}
    if step.op == "DequantizeLinear":
        scale, zero = _numbers(step, read)
        return {step.outputs[0]: (read[step.inputs[0]] - zero) * scale}
    if step.op == "Clip":  # limits of integers are reals here, as those integers are
        read = {name: array.astype(kind) for name, array in read.items()}
    if step.op == "Gather":  # indices are computed with as all other numbers
        name = step.inputs[1]
        read = {**read, name: np.rint(read[name]).astype(np.int64)}
    if step.op in _RECURRENT and step.attrs.get("clip"):  # which the evaluator leaves out
        raise NotRunError(f"node '{step.name}': {step.op} with clip")
    if step.op == "Cast" and int(step.attrs["to"]) in _FLOATS and _holds_reals(step, read):
        return {step.outputs[0]: read[step.inputs[0]]}
    joined = step.op in ("Softmax", "LogSoftmax") and step.opset < 13
    found = [_joined_softmax(step, read)] if joined else _evaluated(step, read)
    return {n: _real(a, kind) for n, a in zip(step.outputs, found, strict=False) if n}


def _holds_reals(step: OnnxStep, read: Mapping[str, Array]) -> bool:
    return read[step.inputs[0]].dtype.kind == "f"


def _joined_softmax(step: OnnxStep, read: Mapping[str, Array]) -> Array:
    """Softmax and LogSoftmax before opset 13, which onnx's evaluator takes for the new ones."""
    x = read[step.inputs[0]]
    axis = int(step.attrs.get("axis", 1)) % max(1, x.ndim)
    rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
    below = rows - rows.max(axis=1, keepdims=True)
    logs = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    found: Array = (logs if step.op == "LogSoftmax" else np.exp(logs)).reshape(x.shape)
    return found


def _evaluated(step: OnnxStep, read: Mapping[str, Array]) -> list[Array]:
    """What a step writes, in float32 where its definition is a function with such constants."""
    try:
        results = _by_evaluator(step, read)
    except Exception:
        small = {n: a.astype(np.float32) if a.dtype == np.float64 else a for n, a in read.items()}
        try:
            results = _by_evaluator(step, small)
        except Exception as error:  # whatever the evaluator raises: it cannot compute this
            text = " ".join(str(error).split())[:120]
            raise NotRunError(f"node '{step.name}': {text}") from error
    wanted = iter(np.asarray(result) for result in results)
    return [next(wanted) if name else np.zeros(0) for name in step.outputs]


def _by_evaluator(step: OnnxStep, read: Mapping[str, Array]) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    value = onnx.helper.make_value_info
    inputs = [value(name, _type(array)) for name, array in read.items()]
    outputs = [value(name, onnx.TypeProto()) for name in step.outputs if name]
    graph = onnx.helper.make_graph([step.proto], "step", inputs, outputs)
    opset = max(step.opset, _OF_INFERENCE.get(step.op, 0))
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    with np.errstate(all="ignore"):
        return list(ReferenceEvaluator(made).run(None, dict(read)))


def _type(array: Array) -> onnx.TypeProto:
    """The model's type of a value: some operators are defined by functions of it."""
    kind = np.dtype(np.float32) if array.dtype == np.float64 else array.dtype
    element = onnx.helper.np_dtype_to_tensor_dtype(kind)
    return onnx.helper.make_tensor_type_proto(element, array.shape)


def _numbers(step: OnnxStep, read: Mapping[str, Array]) -> tuple[Array, Array]:
    """The scale and zero point of data, each one number."""
    zero = read[step.inputs[2]] if len(step.inputs) > 2 and step.inputs[2] else np.zeros(())
    return read[step.inputs[1]].reshape(()), zero.reshape(()).astype(np.float64)


def _steps(step: OnnxStep, read: Mapping[str, Array], raw: Mapping[str, Array]) -> Array:
    """What QuantizeLinear writes, limited to its integers but not rounded."""
    scale, zero = _numbers(step, read)
    given = raw.get(step.inputs[2]) if len(step.inputs) > 2 else None
    name = _TYPES.get(int(step.attrs.get("output_dtype", 0)), "uint8")
    low, high = _SPANS[name if given is None else given.dtype.name]
    return np.clip(read[step.inputs[0]] / scale + zero, low, high)


def has_runtime() -> bool:
    """Whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def by_runtime(model: OnnxModel, rows: Mapping[str, Array]) -> dict[str, Array] | None:
    """The outputs as ONNX Runtime computes them; None if it is missing or cannot run them."""
    value, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        list(model.nodes),
        "model",
        [value(i.name, i.element, rows[i.name].shape) for i in model.inputs],
        [value(name, float32, None) for name in model.outputs],
        [onnx.numpy_helper.from_array(data, name) for name, data in model.constants.items()],
    )
    opset = onnx.helper.make_opsetid("", model.opset)
    made = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    try:
        runtime: Any = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(
            made.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = session.run(list(model.outputs), dict(rows))
    except Exception:  # whatever it raises: it is only asked for its opinion
        return None
    return {n: np.asarray(v) for n, v in zip(model.outputs, found, strict=True)}
