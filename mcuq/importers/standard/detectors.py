"""NonMaxSuppression at the end of a model: how many boxes there are, data decide.

It is no part of the network: what it reads are outputs, and behind these boxes are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np

from mcuq.errors import McuqError
from mcuq.importers.nodes.builder import Refused
from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.standard.resolve import Flat
from mcuq.importers.standard.steps import OnnxStep, needed, node_error
from mcuq.ir import Suppression

_OP = "NonMaxSuppression"
_SAME = ("Cast", "Identity")
_END = "Let the network end with it, and take the boxes that its rows name in your code"


def apart(model: OnnxModel, flat: Flat) -> tuple[OnnxModel, Flat, tuple[Suppression, ...]]:
    """The model without what chooses boxes at its end, and what that was."""
    found: list[Suppression] = []
    faults: list[McuqError] = []
    outputs = list(model.outputs)
    for step in (s for s in flat.steps if s.op == _OP):
        try:
            name = _output(step, flat, model.outputs)
            found.append(_suppression(step, name, flat))
        except Refused as error:
            faults.append(node_error(model.name, step.name, error.reason, error.remedy))
            continue
        outputs.remove(name)
        outputs += [n for n in (found[-1].boxes, found[-1].scores) if n not in outputs]
    if not found and not faults:
        return model, flat, ()
    roots = frozenset(outputs) | (flat.roots - set(model.outputs))
    steps = tuple(s for s in needed(flat.steps, roots) if s.op != _OP)
    flat = replace(flat, steps=steps, roots=roots, faults=[*flat.faults, *faults])
    return replace(model, outputs=tuple(outputs)), flat, tuple(found)


def note(made: Suppression) -> str:
    """What the user should know of one."""
    return (
        f"output '{made.name}' chooses among the boxes '{made.boxes}' by their scores "
        f"'{made.scores}': these are outputs, too"
    )


def _output(step: OnnxStep, flat: Flat, outputs: Sequence[str]) -> str:
    """The output of the model that is the result of ``step``."""
    name = step.outputs[0]
    while True:
        readers = [s for s in flat.steps if name in s.inputs]
        if name in outputs and not readers:
            return name
        if name in outputs or len(readers) != 1 or readers[0].op not in _SAME:
            reader = f" (read by '{readers[0].name}')" if readers else ""
            raise Refused(f"{_OP} within the network{reader}", _END)
        name = readers[0].outputs[0]


def _suppression(step: OnnxStep, name: str, flat: Flat) -> Suppression:
    boxes, scores = step.inputs[:2]
    shapes = [flat.kinds[n].shape if n in flat.kinds else () for n in (boxes, scores)]
    if [len(s) for s in shapes] != [3, 3] or shapes[0][2] != 4 or shapes[0][1] != shapes[1][2]:
        raise Refused(f"boxes of shape {shapes[0]} and scores of {shapes[1]}", "Export it again")
    if shapes[0][0] != 1 or shapes[1][0] != 1:
        raise Refused(f"{_OP} over a batch of {shapes[0][0]}", "Export the model with a batch of 1")
    made = {n for s in flat.steps for n in s.outputs}
    if boxes not in made or scores not in made:
        raise Refused(f"{_OP} of boxes or scores that are not computed", "Compute both")
    most, iou, score = (
        _number(step, index, flat, default) for index, default in ((2, 0.0), (3, 0.0), (4, -inf))
    )
    if most < 1 or not 0.0 <= iou <= 1.0:
        raise Refused(f"{_OP} of {most:g} boxes, with an overlap of {iou:g}", "Give other numbers")
    center = bool(step.attrs.get("center_point_box", 0))
    count = int(min(most, shapes[0][1]))
    return Suppression(name, boxes, scores, iou, count, score, center, by_class=True)


def _number(step: OnnxStep, index: int, flat: Flat, default: float) -> float:
    """A constant input; a float32 as the number that it was written as."""
    name = step.inputs[index] if index < len(step.inputs) else ""
    if not name:
        return default
    data = flat.constants.get(name)
    if data is None:
        raise Refused(f"a limit of {_OP} is computed", "Let its limits be constants")
    if data.size != 1 or bool(np.isnan(data).any()):
        raise Refused(f"a limit of {_OP} is no number", "Repair its limits")
    return float(str(data.reshape(-1)[0]))
