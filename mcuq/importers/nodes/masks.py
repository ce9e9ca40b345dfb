"""Recognises masks before a softmax: constants so low that nothing of the value is left.

A sum with minus infinity, or a choice between data and it, becomes part of the softmax: in 8 bits
a mask among the scores would leave them no precision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

LOWEST = -1e4
"""What is added to leave nothing; exp of it is 0 in any float."""

FINITE = -1e9
"""What takes the place of minus infinity elsewhere before a softmax."""
_BETWEEN = frozenset("Add Cast Expand Identity Reshape Squeeze Transpose Unsqueeze Where".split())


def fuse(steps: Sequence[OnnxStep], constants: Mapping[str, Array]) -> list[OnnxStep]:
    """``steps`` with the masks before softmaxes in these.

    The attribute ``mask`` says what is kept, ``added`` what else is added to the data.
    """
    makers = {name: step for step in steps for name in step.outputs}
    return [_masked(s, makers, constants) if s.op == "Softmax" else s for s in steps]


def finite(
    steps: Sequence[OnnxStep], constants: Mapping[str, Array], roots: Collection[str]
) -> dict[str, Array]:
    """``constants`` without minus infinity in those that nothing reads but sums, choices and views
    before a softmax; ``roots`` are the names of outputs.
    """
    others = set(roots)
    for step in reversed(steps):
        passes = step.op in _BETWEEN and not others.intersection(step.outputs)
        if not passes and step.op != "Softmax":
            others.update(step.inputs)
    endless = {
        name
        for name, data in constants.items()
        if name not in others and data.dtype.kind == "f" and bool(np.isneginf(data).any())
    }
    lowest = {n: np.where(np.isneginf(constants[n]), FINITE, constants[n]) for n in endless}
    return {**constants, **lowest}


def _masked(
    step: OnnxStep, makers: Mapping[str, OnnxStep], constants: Mapping[str, Array]
) -> OnnxStep:
    maker = makers.get(step.inputs[0]) if step.inputs else None
    while maker is not None and maker.op in ("Cast", "Identity") and maker.inputs:
        maker = makers.get(maker.inputs[0])
    found = None
    if maker is not None and maker.op in ("Add", "Sub") and len(maker.inputs) == 2:
        found = _added(maker, constants)
    elif maker is not None and maker.op == "Where" and len(maker.inputs) == 3:
        found = _chosen(maker, constants)
    if found is None:
        return step
    name, mask, added = found
    attrs = {**step.attrs, "mask": mask, **({} if added is None else {"added": added})}
    return replace(step, inputs=(name,), attrs=attrs)


def _added(
    step: OnnxStep, constants: Mapping[str, Array]
) -> tuple[str, Array, Array | None] | None:
    first, second = step.inputs
    if step.op == "Add" and first in constants:
        first, second = second, first
    if first in constants or second not in constants:
        return None
    data = constants[second].astype(np.float64)
    data = -data if step.op == "Sub" else data
    mask = data > LOWEST
    if bool(mask.all()) or bool(np.isnan(data).any()):
        return None
    rest = np.where(mask, data, 0.0)
    return first, mask, rest if bool(rest.any()) else None


def _chosen(step: OnnxStep, constants: Mapping[str, Array]) -> tuple[str, Array, None] | None:
    condition, first, second = step.inputs
    if condition not in constants:
        return None
    kept = constants[condition].astype(bool)
    if first in constants:
        first, second, kept = second, first, ~kept
    if first in constants or second not in constants:
        return None
    return (first, kept, None) if bool((constants[second] <= LOWEST).all()) else None
