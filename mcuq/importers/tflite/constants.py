"""Constants under another name: what DENSIFY and DEQUANTIZE make of stored weights."""

from __future__ import annotations

from dataclasses import replace

from mcuq.importers.tflite.file import Model

_SAME_REALS = ("DENSIFY", "DEQUANTIZE")


def propagated(model: Model) -> Model:
    """``model`` in which such results are the constants themselves, with their scales."""
    tensors, kept = list(model.tensors), []
    for operator in model.operators:
        source = operator.inputs[0] if operator.inputs else None
        given = None if source is None else tensors[source]
        alike = operator.op in _SAME_REALS and len(operator.outputs) == 1
        if given is None or given.data is None or not alike:
            kept.append(operator)
            continue
        place = operator.outputs[0]
        if tensors[place].shape != given.shape:
            raise ValueError("a constant changes its shape")
        tensors[place] = replace(given, name=tensors[place].name)
    return replace(model, tensors=tuple(tensors), operators=tuple(kept))
