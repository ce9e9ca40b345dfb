"""Dilated convolutions as TensorFlow writes them: blocks to batches, a convolution, and back.

SPACE_TO_BATCH_ND, a convolution without padding or stride, BATCH_TO_SPACE_ND is a convolution
whose taps lie a block apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mcuq.importers.tflite.file import Model, Operator

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def without_batches(model: Model) -> Iterator[Operator]:
    """The operators, each such triple as one convolution with dilation and explicit ``Pads``."""
    writers = {place: operator for operator in model.operators for place in operator.outputs}
    readers: dict[int, list[Operator]] = {}
    for operator in model.operators:
        for place in operator.inputs:
            if place is not None:
                readers.setdefault(place, []).append(operator)
    gone: set[int] = set()
    made: dict[int, Operator] = {}
    for last in model.operators:
        triple = _triple(model, last, writers, readers)
        if triple is not None:
            first, convolution = triple
            gone.update(map(id, (first, convolution)))
            made[id(last)] = _joined(model, first, convolution, last)
    for operator in model.operators:
        if id(operator) not in gone:
            yield made.get(id(operator), operator)


def _triple(
    model: Model,
    last: Operator,
    writers: dict[int, Operator],
    readers: dict[int, list[Operator]],
) -> tuple[Operator, Operator] | None:
    """(SPACE_TO_BATCH_ND, the convolution) that ``last`` completes."""
    if last.op != "BATCH_TO_SPACE_ND" or last.inputs[0] is None:
        return None
    convolution = writers.get(last.inputs[0])
    if convolution is None or convolution.op not in _CONVOLUTIONS:
        return None
    first = writers.get(convolution.inputs[0]) if convolution.inputs[0] is not None else None
    if first is None or first.op != "SPACE_TO_BATCH_ND":
        return None
    alone = all(len(readers.get(op.outputs[0], [])) == 1 for op in (first, convolution))
    options = convolution.options
    plain = options.get("Padding") == 1 and options.get("StrideH") == options.get("StrideW") == 1
    undilated = options.get("DilationHFactor", 1) == options.get("DilationWFactor", 1) == 1
    known = all(_values(model, op, i) is not None for op in (first, last) for i in (1, 2))
    same = _values(model, first, 1) == _values(model, last, 1)
    kept = alone and plain and undilated and known and same
    return (first, convolution) if kept and not _begins_cropped(model, last) else None


def _begins_cropped(model: Model, last: Operator) -> bool:
    crops = _values(model, last, 2) or []
    return any(crops[0::2])


def _joined(model: Model, first: Operator, convolution: Operator, last: Operator) -> Operator:
    block = _values(model, first, 1) or []
    pads = _values(model, first, 2) or []
    crops = _values(model, last, 2) or []
    ends = [pad - crop for pad, crop in zip(pads[1::2], crops[1::2], strict=True)]
    begins = pads[0::2]
    if len(block) == 1:  # one spatial axis: (N, 1, W, C) with the blocks along W
        block, begins, ends = [1, *block], [0, *begins], [0, *ends]
    options = {
        **convolution.options,
        "DilationHFactor": block[0],
        "DilationWFactor": block[1],
        "Pads": (*begins, *ends),
    }
    inputs = (first.inputs[0], *convolution.inputs[1:])
    return replace(convolution, inputs=inputs, outputs=last.outputs, options=options)


def _values(model: Model, operator: Operator, index: int) -> list[int] | None:
    place = operator.inputs[index] if index < len(operator.inputs) else None
    data = None if place is None else model.tensors[place].data
    return None if data is None else [int(value) for value in data.reshape(-1)]
