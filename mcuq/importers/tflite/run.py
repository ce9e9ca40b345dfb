"""Runs a float model with LiteRT's own interpreter, where it is installed: a second opinion."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuq.importers.imported import Source, Values
from mcuq.importers.tflite.file import Model
from mcuq.ir import Array

_RUNTIME = "ai_edge_litert"


def source(content: bytes, model: Model) -> Source | None:
    """What computes the outputs of the file ``content`` by ``model``'s names for them.

    None where LiteRT is missing, or would round: with quantized data, or quantized weights, beside
    which it quantizes data as well.
    """
    if importlib.util.find_spec(_RUNTIME) is None:
        return None
    if any(tensor.is_quantized for tensor in model.tensors):
        return None

    def run(rows: Mapping[str, Array]) -> Values:
        try:
            return _run(content, model, rows)
        except Exception:  # whatever it raises: it is only asked for its opinion
            return {}

    return run


def _run(content: bytes, model: Model, rows: Mapping[str, Array]) -> Values:
    runtime: Any = importlib.import_module(f"{_RUNTIME}.interpreter")
    kernels = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime.Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    for place, detail in zip(model.inputs, interpreter.get_input_details(), strict=True):
        values = np.asarray(rows[model.tensors[place].name], detail["dtype"])
        interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
    interpreter.invoke()
    found = zip(model.outputs, interpreter.get_output_details(), strict=True)
    return {
        model.tensors[place].name: np.asarray(interpreter.get_tensor(detail["index"]))
        for place, detail in found
    }
