"""TensorFlow Lite in, ONNX out: a .tflite file becomes an ONNX model in memory.

ONNX stays the one front door: the operators' meaning, layouts and limits are the importer's.
``file`` reads the format, ``writer`` writes nodes, the other modules hold one family of operators
each, ``handlers`` lists them.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.importers.builder import Refused
from mcuq.importers.tflite import file, variables
from mcuq.importers.tflite.dilation import without_batches
from mcuq.importers.tflite.handlers import HANDLERS
from mcuq.importers.tflite.writer import OPSET, Call, Writer, constant_of, information


def to_onnx(path: Path) -> onnx.ModelProto:
    """The model in the .tflite file ``path``; raises every fault at once."""
    return convert(file.read(path))


def convert(model: file.Model) -> onnx.ModelProto:
    """``model`` as ONNX: the same inputs and outputs by name, in real numbers."""
    writer = Writer(model)
    for place in model.inputs:
        tensor = model.tensors[place]
        paired = tensor.is_quantized
        writer.names[place] = writer.paired(tensor.name, tensor) if paired else tensor.name
    faults: list[McuqError] = []
    variables.check(model, faults)
    lost: set[int] = set()
    for operator in without_batches(model):
        _write(writer, operator, lost, faults)
    raise_all(faults)
    return _whole(writer)


def _write(
    writer: Writer, operator: file.Operator, lost: set[int], faults: list[McuqError]
) -> None:
    """Add one operator; what it would have written is lost with it if that fails."""
    call = Call(writer, operator)
    if operator.op in variables.OPERATORS:
        lost.update(operator.outputs)
        return
    try:
        if operator.op not in HANDLERS:
            raise Refused(f"operator {operator.op} is not supported", _remedy(operator.op))
        if lost.intersection(p for p in operator.inputs if p is not None):
            lost.update(operator.outputs)
            return
        results = HANDLERS[operator.op](call)
        for place, result in zip(operator.outputs, results, strict=True):
            tensor = writer.model.tensors[place]
            writer.names[place] = writer.paired(result, tensor) if tensor.is_quantized else result
    except Refused as refused:
        lost.update(operator.outputs)
        thing = f"{writer.model.name}: node '{call.name}'"
        faults.append(ModelError(thing, refused.reason, refused.remedy))


def _remedy(op: str) -> str:
    if op.startswith("CUSTOM:"):
        return "Convert it with the operators of TensorFlow Lite itself"
    if op in ("WHILE", "IF", "CALL"):
        return "Convert it with its loops unrolled, or to one LSTM operator"
    return "Run 'mcuq ops' for the list"


def _whole(writer: Writer) -> onnx.ModelProto:
    model = writer.model
    outputs = []
    for place in model.outputs:
        tensor = model.tensors[place]
        known = writer.names.get(place)
        source = constant_of(writer, tensor) if known is None else known
        if source != tensor.name:
            writer.alias(source, tensor.name)
        outputs.append(information(tensor.name, tensor.shape))
    inputs = [information(model.tensors[p].name, model.tensors[p].shape) for p in model.inputs]
    graph = helper.make_graph(
        writer.nodes, Path(model.name).stem, inputs, outputs, list(writer.initializers.values())
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
