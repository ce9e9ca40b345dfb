"""resize_linear: each output lies between two rows and two columns of the image.

Output (i, j) is of the rows ``rows[i]`` and the next one, of which it takes ``row_shares[i]``
(0 <= share < 1), and of columns likewise; behind the last row it comes again. In integers, with
weights of the next one in 1 / 2048 (those of the first are the rest):

    y = (sum of w_row * w_column * q over the four + 2**21) >> 22

exact, with one rounding; the sum is below 2**29, and y at the scale of the input.

C: mcuq_resize_linear_s8.c
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.parts.windows import SIZE_MAX
from mcuq.ops.spec import Flow, Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
from mcuq.schema import Fields, real, several, whole

BITS = 11
"""Of the weights."""

_AXES = (("rows", "row"), ("columns", "column"))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, rows, columns, C)."""
    return (1, len(node.ints("rows")), len(node.ints("columns")), shapes[0][3])


def following(first: Array, size: int) -> Array:
    """The place behind each of ``first``; the last again behind the last."""
    found: Array = np.minimum(first + 1, size - 1)
    return found


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """First along the rows, then along the columns."""
    import torch

    y = inputs[0]
    for axis, (places, share) in enumerate(_AXES, 1):
        first = np.array(node.ints(places))
        low = y.index_select(axis, torch.from_numpy(first))
        high = y.index_select(axis, torch.from_numpy(following(first, y.shape[axis])))
        part = y.new_tensor(node.attrs[f"{share}_shares"]).reshape(-1, *(1,) * (3 - axis))
        y = low + (high - low) * part
    return y


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The shares in 1 / 2048; one that rounds to 1 belongs to the next place."""
    attrs: dict[str, tuple[int, ...]] = {}
    sizes = graph.shape(node.inputs[0])[1:3]
    for (places, share), size in zip(_AXES, sizes, strict=True):
        first = np.array(node.ints(places))
        part = np.floor(np.array(node.attrs[f"{share}_shares"]) * 2**BITS + 0.5).astype(np.int64)
        whole = part == 2**BITS
        attrs[places] = tuple(np.where(whole, following(first, size), first).tolist())
        attrs[f"{share}_weights"] = tuple(np.where(whole, 0, part).tolist())
    return IntForm(Node(node.op, node.name, node.inputs, node.outputs, attrs))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The weighted sum of four, rounded half up once."""
    y = inputs[0].astype(np.int64)
    for axis, (places, share) in enumerate(_AXES, 1):
        first = np.array(node.ints(places))
        part = np.array(node.ints(f"{share}_weights")).reshape(-1, *(1,) * (3 - axis))
        low, high = y.take(first, axis), y.take(following(first, y.shape[axis]), axis)
        y = low * (2**BITS - part) + high * part
    found: Array = ((y + 2 ** (2 * BITS - 1)) >> (2 * BITS)).astype(inputs[0].dtype)
    return found


def within(node: Node, shapes: Sequence[Shape]) -> bool:
    """Resize reads places of an image of at most 65535 in each direction, and writes as many."""
    shape = shapes[0]
    if len(shape) != 4 or max(shape) > SIZE_MAX:
        return False
    found = [node.ints(places) for places, _ in _AXES]
    return all(
        places and min(places) >= 0 and max(places) < size and len(places) <= SIZE_MAX
        for places, size in zip(found, shape[1:3], strict=True)
    )


def is_identity(node: Node, graph: Graph) -> bool:
    """Every place itself."""
    return all(
        node.ints(places) == tuple(range(size)) and not any(node.attrs[f"{share}_shares"])
        for (places, share), size in zip(_AXES, graph.shape(node.inputs[0])[1:3], strict=True)
    )


_PLACES = several(whole(0, SIZE_MAX), 1, SIZE_MAX)
_SHARES = several(real(0.0, 1.0), 1, SIZE_MAX)
_WEIGHTS = several(whole(0, (1 << BITS) - 1), 1, SIZE_MAX)
_ROWS: Fields = {"rows": _PLACES, "columns": _PLACES}
_SCHEMA = Schema(
    Form({**_ROWS, "row_shares": _SHARES, "column_shares": _SHARES}, ranks=(4,)),
    Form({**_ROWS, "row_weights": _WEIGHTS, "column_weights": _WEIGHTS}, ranks=(4,)),
    forms.keeps_numbers,
)
OP = OpSpec(
    "resize_linear",
    ("Resize", "Upsample"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(within,),
    note="mode linear; to the nearest it is a copy",
    values=Values.BETWEEN,
    flow=Flow.EACH,
    is_identity=is_identity,
    keeps_scale=True,
    scaling=Scaling.CHANNELS,
    offsets=(1,),
    schema=_SCHEMA,
)
