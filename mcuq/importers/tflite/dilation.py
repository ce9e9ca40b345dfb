"""Dilated convolutions as TensorFlow writes them: blocks to batches, a convolution, and back.

SPACE_TO_BATCH_ND, a convolution without padding or stride, BATCH_TO_SPACE_ND is a convolution
whose taps lie a block apart. In one dimension views stand around the convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcuq.importers.tflite.file import Model, Operator, Tensor
from mcuq.ir import Shape

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_VIEWS = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
_VALID = 1


@dataclass(frozen=True)
class _Triple:
    """The operators from blocks to batches and back; ``between``: all, views and convolution."""

    first: Operator
    convolution: Operator
    last: Operator
    between: tuple[Operator, ...]


def without_batches(model: Model) -> Model:
    """``model`` with each such triple as one convolution with dilation and explicit ``Pads``."""
    readers: dict[int, int] = {}
    for operator in model.operators:
        for place in operator.inputs:
            if place is not None:
                readers[place] = readers.get(place, 0) + 1
    writers = {place: operator for operator in model.operators for place in operator.outputs}
    gone: set[int] = set()
    made: dict[int, list[Operator]] = {}
    tensors = list(model.tensors)
    for last in model.operators:
        triple = _triple(model, last, writers, readers)
        joined = None if triple is None else _joined(model, triple, tensors)
        if triple is not None and joined is not None:
            gone.update(id(operator) for operator in (triple.first, *triple.between))
            made[id(last)] = joined
    operators = [
        new for old in model.operators if id(old) not in gone for new in made.get(id(old), [old])
    ]
    return replace(model, operators=tuple(operators), tensors=tuple(tensors))


def _triple(
    model: Model, last: Operator, writers: Mapping[int, Operator], readers: Mapping[int, int]
) -> _Triple | None:
    """What ``last`` completes, if nothing else reads what lies between."""
    if last.op != "BATCH_TO_SPACE_ND":
        return None
    between: list[Operator] = []
    operator = last
    while operator.op != "SPACE_TO_BATCH_ND":
        place = operator.inputs[0]
        source = None if place is None else writers.get(place)
        if source is None or readers.get(source.outputs[0]) != 1:
            return None
        if source.op not in (*_VIEWS, *_CONVOLUTIONS, "SPACE_TO_BATCH_ND"):
            return None
        between.insert(0, source)
        operator = source
    convolutions = [each for each in between if each.op in _CONVOLUTIONS]
    if len(convolutions) != 1 or not _is_plain(convolutions[0]):
        return None
    return _Triple(operator, convolutions[0], last, tuple(between[1:]))


def _is_plain(convolution: Operator) -> bool:
    options = convolution.options
    undilated = options.get("DilationHFactor", 1) == options.get("DilationWFactor", 1) == 1
    unmoved = options.get("StrideH") == options.get("StrideW") == 1
    return undilated and unmoved and options.get("Padding") == _VALID


def _joined(model: Model, triple: _Triple, tensors: list[Tensor]) -> list[Operator] | None:
    """The operators that replace ``triple``; None if it is no dilated convolution."""
    known = [_values(model, op, i) for op in (triple.first, triple.last) for i in (1, 2)]
    if None in known or known[0] != known[2]:
        return None
    block, pads, _, crops = ([] if values is None else values for values in known)
    begins = [pad - crop for pad, crop in zip(pads[0::2], crops[0::2], strict=True)]
    ends = [pad - crop for pad, crop in zip(pads[1::2], crops[1::2], strict=True)]
    if min(*begins, *ends) < 0 or len(block) not in (1, 2):
        return None
    flat = len(block) == 1
    if flat:  # (N, W, C); the convolution sees (N, 1, W, C) or (N, W, 1, C)
        _, height, width, _ = model.tensors[triple.convolution.inputs[0] or 0].shape
        if 1 not in (height, width):
            return None
        high = width == 1
        block, begins, ends = (
            [values[0], rest] if high else [rest, values[0]]
            for values, rest in ((block, 1), (begins, 0), (ends, 0))
        )
    options = {
        **triple.convolution.options,
        "DilationHFactor": block[0],
        "DilationWFactor": block[1],
        "Pads": (*begins, *ends),
    }
    source, result = triple.first.inputs[0], triple.last.outputs[0]
    if source is None:
        return None
    if not flat:
        inputs = (source, *triple.convolution.inputs[1:])
        return [replace(triple.convolution, inputs=inputs, outputs=(result,), options=options)]
    return _between_views(triple.convolution, source, result, high, options, tensors)


def _between_views(
    convolution: Operator,
    source: int,
    result: int,
    high: bool,
    options: Mapping[str, object],
    tensors: list[Tensor],
) -> list[Operator]:
    """The convolution on images of one row or column."""
    wide = [_as_image(tensors, place, high) for place in (source, result)]
    inputs = (wide[0], *convolution.inputs[1:])
    return [
        Operator("RESHAPE", (source,), (wide[0],)),
        replace(convolution, inputs=inputs, outputs=(wide[1],), options=options),
        Operator("RESHAPE", (wide[1],), (result,)),
    ]


def _as_image(tensors: list[Tensor], place: int, high: bool) -> int:
    """A new tensor like the (N, W, C) one at ``place``, with an axis more."""
    old = tensors[place]
    count, length, channels = old.shape
    shape: Shape = (count, length, 1, channels) if high else (count, 1, length, channels)
    taken = {tensor.name for tensor in tensors}
    name = f"{old.name}.image"
    while name in taken:
        name = f"{name}.image"
    tensors.append(replace(old, name=name, shape=shape, data=None))
    return len(tensors) - 1


def _values(model: Model, operator: Operator, index: int) -> list[int] | None:
    place = operator.inputs[index] if index < len(operator.inputs) else None
    data = None if place is None else model.tensors[place].data
    return None if data is None else [int(value) for value in data.reshape(-1)]
