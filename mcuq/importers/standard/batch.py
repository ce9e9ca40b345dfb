"""Whether the first axis of a network's inputs is a batch: followed through every node.

A batch of N rows stays one as long as no node mixes rows or treats them differently. What cannot
be proven is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.importers.standard.batch_rules import Across, Mixed, Rows, Walk, follow, parted
from mcuq.importers.standard.modern import Kind
from mcuq.importers.standard.resolve import Flat
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array, Shape


def one_row(flat: Flat, inputs: Sequence[str], outputs: Sequence[str], count: int) -> Flat:
    """``flat`` for one row, if the first axes of ``inputs`` are ``count`` rows of a batch.

    Mixed, naming the node, if they are not.
    """
    walk = Walk(flat, count, {name: Rows(0, 1, 1) for name in inputs}, {})
    for step in flat.steps:
        follow(walk, step)
    for name in outputs:
        rows = walk.rows.get(name)
        if rows is not None and (rows.before > 1 or prod(walk.shape(name)[: rows.axis]) > 1):
            raise Mixed(f"output '{name}' does not have them first")
    return _cut(walk)


def check_open(flat: Flat, inputs: Sequence[str]) -> list[tuple[OnnxStep, str]]:
    """The steps that work across the rows of an open batch, taken as 1, and how."""
    walk = Walk(flat, 1, {name: Rows(0, 1, 1) for name in inputs}, {})
    found = []
    for step in flat.steps:
        try:
            follow(walk, step)
        except Across as error:
            found.append((step, str(error)))
        except Mixed:
            continue  # a view or an operator behind which they are not followed
    return found


def _cut(walk: Walk) -> Flat:
    """The network for one row: smaller constants, and views to smaller shapes."""
    flat, count = walk.flat, walk.count
    kinds, constants = dict(flat.kinds), dict(flat.constants)
    for name, rows in walk.rows.items():
        kinds[name] = replace(kinds[name], shape=_shape(walk.shape(name), rows))
    for name, (axis, rows) in walk.repeated.items():
        first = parted(constants[name], axis, rows, count)[:, :, :1]
        shape = _shape(kinds[name].shape, replace(rows, axis=axis))
        data = np.ascontiguousarray(first).reshape(shape)
        constants[name], kinds[name] = data, Kind.of(data)
    steps = [_resized_step(step, kinds, constants, walk) for step in flat.steps]
    return replace(flat, steps=tuple(steps), constants=constants, kinds=kinds)


def _shape(shape: Shape, rows: Rows) -> Shape:
    """``shape`` with one row."""
    return (*shape[: rows.axis], rows.before * rows.after, *shape[rows.axis + 1 :])


def _resized_step(
    step: OnnxStep, kinds: dict[str, Kind], constants: dict[str, Array], walk: Walk
) -> OnnxStep:
    """``step`` with its target shape, if it has one, for one row."""
    place = {"Reshape": 1, "Expand": 1, "Resize": 3}.get(step.op)
    if place is None or step.outputs[0] not in walk.rows or len(step.inputs) <= place:
        return step
    if not step.inputs[place] or step.attrs.get("axes"):
        return step
    name = f"{step.outputs[0]}.shape"
    while name in kinds:
        name += "_"
    data = np.array(kinds[step.outputs[0]].shape, np.int64)
    constants[name], kinds[name] = data, Kind.of(data)
    inputs = (*step.inputs[:place], name, *step.inputs[place + 1 :])
    return replace(step, inputs=inputs)
