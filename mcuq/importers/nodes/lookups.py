"""Gather: a movement of computed data, or rows of a constant by computed indices."""

from __future__ import annotations

from math import prod

import numpy as np

from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand, axis_of
from mcuq.importers.nodes.elementwise import settled
from mcuq.importers.nodes.movement import moved
from mcuq.ir import Array

MOST_ROWS = 1 << 15
"""What an input of 16 bits can count."""


def gather(call: NodeCall) -> list[Operand]:
    """Gather; of its data and its indices one is a constant."""
    data, index = call.operand(0), call.operand(1)
    if not isinstance(index, Value):
        return moved(call)
    if isinstance(data, Value):
        raise Refused("it picks from computed data by computed indices", "Let one be a constant")
    return [_looked_up(call, call.constant(0), index)]


def _looked_up(call: NodeCall, data: Array, index: Value) -> Value:
    """The rows of a table, each index's one after the other in memory."""
    if data.ndim == 0:
        raise Refused("its data has no axis")
    axis = axis_of(call.integer("axis", 0), data.ndim)
    front, back = data.shape[:axis], data.shape[axis + 1 :]
    width = prod(front) * prod(back)
    table = np.moveaxis(data, axis, 0).reshape(-1, width)
    value = _whole(call, index, len(table))
    tensor = call.emit("lookup", (value.tensor, call.weights(0, table)))
    rows = call.builder.places(value)[:, None] * width + np.arange(width)
    lying = rows.reshape(prod(index.shape), prod(front), prod(back))
    places = np.moveaxis(lying, 0, 1).reshape(-1)
    return Value((*front, *index.shape, *back), tensor, places)


def _whole(call: NodeCall, index: Value, rows: int) -> Value:
    """The indices as integers in memory."""
    builder = call.builder
    if builder.is_index(index.tensor):
        return index
    if index.tensor not in builder.order:
        remedy = "Let them be an input of the network, or what ArgMax gives"
        raise Refused("its indices are computed from reals", remedy)
    if rows > MOST_ROWS:
        raise Refused(
            f"its table has {rows} rows", f"Use {MOST_ROWS} at most: indices have 16 bits"
        )
    builder.whole.add(index.tensor)
    return settled(call, index)
