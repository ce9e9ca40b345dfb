"""Variables that live between calls: streaming models keep their past in them."""

from __future__ import annotations

from mcuq.errors import McuqError, ModelError
from mcuq.importers.tflite.file import Model

OPERATORS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def check(model: Model, faults: list[McuqError]) -> None:
    """One fault for a model that has any: what its variables hold is not in its graph."""
    found = [operator for operator in model.operators if operator.op in OPERATORS]
    if not found:
        return
    if any(operator.op == "ASSIGN_VARIABLE" for operator in found):
        reason = "keeps state between calls (ASSIGN_VARIABLE), which is not supported"
        remedy = "Convert the network with its window as the input"
    else:
        reason = "reads variables that the file gives no value (READ_VARIABLE)"
        remedy = "Convert it from a saved model with its weights frozen"
    faults.append(ModelError(model.name, reason, remedy))
