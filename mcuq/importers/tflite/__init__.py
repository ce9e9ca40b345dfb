"""TensorFlow Lite in, ONNX out: a .tflite file becomes an ONNX model in memory.

ONNX stays the one front door: the operators' meaning, layouts and limits are the importer's.
``file`` reads the format, ``writer`` writes nodes, the other modules hold one family of operators
each, ``handlers`` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import helper

from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.importers import causes
from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite import constants, file, variables
from mcuq.importers.tflite.dilation import without_batches
from mcuq.importers.tflite.handlers import HANDLERS, REFUSED
from mcuq.importers.tflite.writer import OPSET, OperatorCall, Writer, constant_of, information, kept
from mcuq.ir import Array


@dataclass(frozen=True)
class Converted:
    """``proto``: the model as ONNX; ``notes``: what the user should know, one sentence each.

    ``states``, ``starts``: the variables that are its inputs and outputs (``variables.Resolved``).
    """

    proto: onnx.ModelProto
    notes: tuple[str, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, Array] = field(default_factory=dict)


def to_onnx(path: Path) -> Converted:
    """The model in the .tflite file ``path``; raises every fault at once."""
    return convert(file.read(path))


def convert(model: file.Model) -> Converted:
    """``model`` as ONNX: the same inputs and outputs by name, in real numbers."""
    try:
        known = variables.resolved(model)
        model = without_batches(constants.propagated(known.model))
    except file.BROKEN as error:
        raise file.damaged(model.name, error) from error
    writer = Writer(model)
    for place in model.inputs:
        tensor = model.tensors[place]
        try:
            name = writer.paired(tensor.name, tensor) if tensor.is_quantized else tensor.name
        except Refused as refused:
            thing = f"{model.name}: input '{tensor.name}'"
            raise ModelError(thing, refused.reason, refused.remedy) from refused
        writer.names[place] = name
    faults: list[tuple[str, McuqError]] = []
    lost: set[int] = set()
    for operator in model.operators:
        _write(writer, operator, lost, faults)
    raise_all(causes.joined(faults, model.name))
    states, starts = {**known.states, **writer.states}, {**known.starts, **writer.starts}
    return Converted(_whole(writer), tuple(writer.notes), states, starts)


def _write(
    writer: Writer, operator: file.Operator, lost: set[int], faults: list[tuple[str, McuqError]]
) -> None:
    """Add one operator; what it would have written is lost with it if that fails."""
    call = OperatorCall(writer, operator)
    try:
        if operator.op in REFUSED:
            raise Refused(*REFUSED[operator.op])
        if operator.op not in HANDLERS:
            raise Refused(*_unsupported(operator.op))
        if lost.intersection(p for p in operator.inputs if p is not None):
            lost.update(operator.outputs)
            return
        results = HANDLERS[operator.op].write(call)
        for place, result in zip(operator.outputs, results, strict=True):
            tensor = writer.model.tensors[place]
            writer.names[place] = writer.paired(result, tensor) if tensor.is_quantized else result
    except Refused as refused:
        lost.update(operator.outputs)
        faults.append((call.name, _fault(call, refused.reason, refused.remedy)))
    except file.BROKEN as error:
        lost.update(operator.outputs)
        reason = f"its operands or options do not fit {operator.op} ({type(error).__name__})"
        faults.append((call.name, _fault(call, reason, "Convert the model again")))


def _fault(call: OperatorCall, reason: str, remedy: str) -> ModelError:
    return ModelError(f"{call.writer.model.name}: node '{call.name}'", reason, remedy)


_CUSTOM = {
    "Signal": (
        "CUSTOM:Signal computes features of sound",
        "Give the network behind it, and let [input.NAME.features] make what it reads",
    ),
    "Flex": (
        "CUSTOM:Flex is TensorFlow itself",
        "Convert it without SELECT_TF_OPS; an LSTM or GRU with unroll=True",
    ),
    "TFLite_Detection": (
        "CUSTOM:TFLite_Detection chooses among boxes",
        "Let the network end before it: give its boxes and scores as outputs",
    ),
}
"""Custom operators by how their names start: what they are, and what to do about them."""


def _unsupported(op: str) -> tuple[str, str]:
    name, reason = op.removeprefix("CUSTOM:"), f"operator {op} is not supported"
    if name == op:
        return reason, "Run 'mcuq ops' for the list"
    known = (said for start, said in _CUSTOM.items() if name.startswith(start))
    return next(known, (reason, "Convert it with the operators of TensorFlow Lite"))


def _whole(writer: Writer) -> onnx.ModelProto:
    model = writer.model
    outputs = []
    for place in dict.fromkeys(model.outputs):
        tensor = model.tensors[place]
        known = writer.names.get(place)
        source = _constant(writer, tensor) if known is None else known
        if source != tensor.name:
            writer.alias(source, tensor.name)
        outputs.append(information(tensor))
    inputs = [information(model.tensors[place]) for place in model.inputs]
    inputs += [kept(name, start) for name, start in writer.starts.items()]
    outputs += [kept(after, writer.starts[name]) for name, after in writer.states.items()]
    graph = helper.make_graph(
        writer.nodes, Path(model.name).stem, inputs, outputs, list(writer.initializers.values())
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def _constant(writer: Writer, tensor: file.Tensor) -> str:
    """The value of an output that no operator writes."""
    try:
        return constant_of(writer, tensor)
    except Refused as refused:
        thing = f"{writer.model.name}: output '{tensor.name}'"
        raise ModelError(thing, "nothing writes it", "Convert the model again") from refused
