"""Variables: what is set once, at the start, is a constant; what is set again is state.

Streaming models keep their past in variables: they are refused. A graph that CALL_ONCE runs gives
variables the values that READ_VARIABLE finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mcuq.errors import ModelError
from mcuq.importers.tflite.file import Model, Operator, Tensor

OPERATORS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def resolved(model: Model) -> Model:
    """``model`` in which variables that never change are constants; ModelError if others are."""
    found = [operator for operator in model.operators if operator.op in OPERATORS]
    if any(operator.op == "ASSIGN_VARIABLE" for operator in found):
        reason = "keeps state between calls (ASSIGN_VARIABLE), which is not supported"
        raise ModelError(model.name, reason, "Convert the network with its window as the input")
    known, handles = _initial(model), _handles(model)
    tensors = list(model.tensors)
    for operator in found:
        if operator.op != "READ_VARIABLE":
            continue
        value = known.get(handles.get(operator.inputs[0] or 0, ""))
        place = operator.outputs[0]
        if value is None or value.shape != tensors[place].shape:
            reason = "reads variables that the file gives no value (READ_VARIABLE)"
            remedy = "Convert it from a saved model with its weights frozen"
            raise ModelError(model.name, reason, remedy)
        tensors[place] = replace(value, name=tensors[place].name)
    kept = tuple(operator for operator in model.operators if operator.op not in OPERATORS)
    return replace(model, tensors=tuple(tensors), operators=kept)


def _initial(model: Model) -> dict[str, Tensor]:
    """The constants that graphs run by CALL_ONCE assign, by the variable's name."""
    found: dict[str, Tensor] = {}
    for graph in _run_once(model):
        handles = _handles(graph)
        for operator in graph.operators:
            if operator.op == "ASSIGN_VARIABLE" and None not in operator.inputs:
                handle, value = (place or 0 for place in operator.inputs)
                if handle in handles and graph.tensors[value].data is not None:
                    found[handles[handle]] = graph.tensors[value]
    return found


def _run_once(model: Model) -> Iterator[Model]:
    for operator in model.operators:
        number = int(operator.options.get("InitSubgraphIndex", 0))
        if operator.op == "CALL_ONCE" and number in model.others:
            yield model.others[number]


def _handles(graph: Model) -> dict[int, str]:
    """The name of the variable behind each handle."""
    return {
        operator.outputs[0]: _name(operator)
        for operator in graph.operators
        if operator.op == "VAR_HANDLE"
    }


def _name(operator: Operator) -> str:
    parts = (operator.options.get(word) or b"" for word in ("Container", "SharedName"))
    return "/".join(part.decode("utf-8", "replace") for part in parts)
