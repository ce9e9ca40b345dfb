"""Operators that only move elements, read by what they do to the elements' numbers.

Whatever holds every element once is a view and costs nothing; what takes a part, repeats, mirrors
or crops is a copy of the places it picks.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import onnx

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.layout import Map, plain_shape
from mcuq.importers.standard.folding import fold
from mcuq.ir import Array, Shape


def moved(call: NodeCall) -> list[Operand]:
    """Any operator that only moves elements; its other inputs are constants."""
    return _moved(call, np.int64)


def nearest(call: NodeCall) -> list[Operand]:
    """Resize and Upsample to the nearest element, whose evaluator wants floats."""
    return _moved(call, np.float64)


def _moved(call: NodeCall, kind: type[np.int64] | type[np.float64]) -> list[Operand]:
    value = call.value()
    numbers = np.arange(prod(value.shape), dtype=kind).reshape(value.shape)
    constants = [call.optional(i) for i in range(1, len(call.inputs))]
    node = onnx.helper.make_node(call.op, call.names, call.outputs, **call.attrs)
    found = [result.astype(np.int64) for result in fold(node, [numbers, *constants], call.opset)]
    named = zip(found, (name for name in call.outputs if name), strict=False)
    return [taken(call, value, places, name) for places, name in named]


def taken(call: NodeCall, value: Value, numbers: Array, name: str) -> Value:
    """The elements ``numbers`` of ``value``: a view if it is all of them, once, else a copy."""
    flat, count = numbers.reshape(-1), prod(value.shape)
    seen = np.zeros(count, bool)
    seen[flat] = True
    if flat.size == count and bool(seen.all()):
        return Value(numbers.shape, value.tensor, value.view[flat])
    if not flat.size:
        raise Refused(f"{call.op} takes nothing", "Take at least one element")
    return copied(call, value, numbers, name)


def copied(call: NodeCall, value: Value, numbers: Array, name: str) -> Value:
    """The elements ``numbers`` of ``value`` as a copy, in the layout that breaks it least."""
    builder, flat, shape = call.builder, numbers.reshape(-1), numbers.shape
    if builder.is_index(value.tensor):
        raise Refused("it moves the indices of ArgMax", "Let ArgMax be the last operator")
    if value.tensor in builder.open:
        builder.settle(value, value.view, plain_shape(value.shape))
    picked = builder.places(value)[flat]
    source, wanted, memory = min(_layouts(picked, shape), key=lambda found: _breaks(found[0]))
    tensor = builder.copy(call.name, value.tensor, source, memory, name)
    if value.tensor in builder.hints:
        builder.hints.setdefault(tensor, builder.hints[value.tensor])
    return Value(shape, tensor, wanted)


def _layouts(picked: Map, shape: Shape) -> Iterator[tuple[Map, Map, Shape]]:
    """(source of each place, place of each element, memory shape): channels last, or as it is."""
    if len(shape) in (3, 4) and shape[0] == 1:
        wanted = layout.channels_last(shape)
        yield _sources(picked, wanted), wanted, layout.image_shape(shape)
    own = layout.identity(len(picked))
    yield picked, own, plain_shape(shape)


def _sources(picked: Map, wanted: Map) -> Map:
    source = np.empty_like(picked)
    source[wanted] = picked
    return source


def _breaks(source: Map) -> int:
    """How often the next element does not lie behind the one before."""
    return int((np.diff(source) != 1).sum())
