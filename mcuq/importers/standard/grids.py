"""The integers that an already quantized model has chosen for its constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Hint

KEEPS_GRID = ("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze")


def grid_of(step: OnnxStep, known: Mapping[str, object], grids: Mapping[str, Hint]) -> Hint | None:
    """The hint of the constant that ``step`` computes, if it is a dequantized one."""
    if step.op in KEEPS_GRID:
        return grids.get(step.inputs[0]) if step.inputs else None
    scale = known.get(step.inputs[1]) if len(step.inputs) > 1 else None
    if step.op != "DequantizeLinear" or not isinstance(scale, np.ndarray) or scale.ndim > 1:
        return None
    return Hint(tuple(float(s) for s in scale.reshape(-1)))
