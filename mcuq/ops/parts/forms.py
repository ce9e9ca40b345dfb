"""What the schemas of several operators share: readers of attributes, and checks of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcuq.fixed import RANGES
from mcuq.ir import Node
from mcuq.ops.parts.windows import SIZE_MAX
from mcuq.ops.spec import Form, Schema
from mcuq.qir import QGraph, QTensor
from mcuq.schema import LIMIT, Fields, optional, real, several, shown, whole

_STEP, _EDGE = whole(1, SIZE_MAX), whole(0, SIZE_MAX)
PAIR = several(_STEP, 2, 2)
CLIP: Fields = {"clip": several(LIMIT, 2, 2)}
RANGE: Fields = {"out_min": whole(-32768, 32767), "out_max": whole(-32768, 32767)}
POOL: Fields = {"kernel": PAIR, "strides": PAIR, "pads": several(_EDGE, 4, 4)}
WINDOW: Fields = {
    "strides": PAIR,
    "pads": several(_EDGE, 4, 4),
    "dilations": PAIR,
}
VALUES = several(real(), 1, SIZE_MAX)
_UNITS = optional(several(real(), 3, 3))


def in_float(attrs: Fields | None = None) -> Schema:
    """Of a function of one value: it has no integer form of its own.

    ``units``: what 1 of its input and of its output stand for, and which input is 0
    (``lut.in_units``).
    """
    return Schema(Form({**(attrs or {}), "units": _UNITS}))


def same_kind(node: Node, qgraph: QGraph, names: tuple[str, ...]) -> Iterator[str]:
    """All of ``names`` and the output are s8, or all are s16."""
    kinds = {qgraph.tensors[name].kind for name in (*names, node.output)}
    if kinds not in ({"s8"}, {"s16"}):
        yield f"its data is {' and '.join(sorted(kinds))}, neither all s8 nor all s16"


def kinds(node: Node, qgraph: QGraph, *wanted: str) -> Iterator[str]:
    """The inputs and at last the output have these kinds."""
    found = [qgraph.tensors[name].kind for name in (*node.inputs, node.output)]
    if found != list(wanted):
        yield f"its data is {', '.join(found)}, not {', '.join(wanted)}"


def data_kind(node: Node, qgraph: QGraph) -> str:
    """The kind of an operator's data, which its first input chooses: s16, else s8."""
    return "s16" if qgraph.tensors[node.inputs[0]].kind == "s16" else "s8"


def keeps_numbers(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kind, frac and zero of the output are those of every input."""
    numbers = {_numbers(qgraph.tensors[name]) for name in (*node.inputs, node.output)}
    if len(numbers) > 1:
        yield "its output has another kind, frac or zero than its input"


def _numbers(tensor: QTensor) -> tuple[object, ...]:
    return tensor.kind, tensor.frac, tensor.zero


def in_range(node: Node, qgraph: QGraph) -> Iterator[str]:
    """out_min <= out_max, both values of the output; pad_value one of the input."""
    low, high = RANGES[qgraph.tensors[node.output].kind]
    if not low <= node.int("out_min") <= node.int("out_max") <= high:
        yield f"out_min and out_max are no range in {low}..{high}"
    low, high = RANGES[qgraph.tensors[node.inputs[0]].kind]
    if "pad_value" in node.attrs and not low <= node.int("pad_value") <= high:
        yield f"pad_value is not in {low}..{high}"


def follows(node: Node, expected: Mapping[str, object]) -> Iterator[str]:
    """The attributes are those that the numbers of its tensors give."""
    for key, value in expected.items():
        if node.attrs[key] != value:
            yield f"{key} is {shown(node.attrs[key])}, its tensors give {value}"
