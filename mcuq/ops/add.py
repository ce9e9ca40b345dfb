"""add: y = clip(a + b). In integers, also for sub (then ``mul_b`` is negative):

    y = clamp((a * mul_a + b * mul_b + bias) >> shift, out_min, out_max)

Operands and output are all s8 or all s16. ``mul_a`` and ``mul_b`` are +-2**k and only align the
fracs, so the sum is exact before its one rounding; ``bias`` holds the zeros and the rounding
constant.

C: mcuq_add_s8.c, mcuq_add_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import half
from mcuq.ir import Array, Graph, Node
from mcuq.ops import clip
from mcuq.ops.parts import along, broadcast, forms, operand
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.spec import (
    Bounds,
    Flow,
    Form,
    IntForm,
    OpSpec,
    RunFloat,
    Scaling,
    Schema,
    TorchTensor,
    always,
)
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import whole

# The largest left shift of an operand, and the largest right shift of the sum: with them
# |a * mul_a| + |b * mul_b| + |bias| <= 4 * 2**27 + 2**21 + 2**29 < 2**31,
# and in s16, whose zeros are 0, 2 * 2**29 + 2**21 < 2**31.
MAX_LEFT = 20
MAX_LEFT_S16 = 14
MAX_SHIFT = 22


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a + b)``."""
    return clip.clamp(inputs[0] + inputs[1], node.attrs["clip"])


def frac_range(frac_a: int, frac_b: int) -> tuple[int, int]:
    """The lowest and highest frac of the output for which 32 bits suffice.

    Empty (low > high) where the operands' fracs differ by more than 42; the operands
    themselves may differ by 20 at most.

    >>> frac_range(5, 7)
    (-15, 25)
    """
    return max(frac_a, frac_b) - MAX_SHIFT, min(frac_a, frac_b) + MAX_LEFT


def floors(floor: float, spans: Sequence[Bounds]) -> tuple[float, float]:
    """What keeps a sum below ``floor``, whatever the other operand.

    >>> floors(-10.0, [(-1.0, 4.0), (-1e9, 0.0)])
    (-10.0, -14.0)
    """
    return floor - spans[1][1], floor - spans[0][1]


def max_left(kind: str) -> int:
    """The largest left shift of an operand of this kind."""
    return MAX_LEFT_S16 if kind == "s16" else MAX_LEFT


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer add; a table if an operand is a scalar constant."""
    return integer_sum(node, graph, acts, run_float, 1)


def integer_sum(
    node: Node,
    graph: Graph,
    acts: QTensors,
    float_twin: RunFloat,
    sign: int,
) -> IntForm:
    """The integer form of ``a + sign * b``."""
    operand.check_ranks(node, graph)
    table = operand.scalar_form(node, graph, acts, float_twin)
    if table is not None:
        return table
    output = acts[node.output]
    constants = _constant(node, graph, acts)
    known = {**acts, **constants}
    a, b = (known[name] for name in node.inputs)
    attrs = _aligned(graph.name, node.name, (a, b, output), sign)
    low, high = clip.out_range(node.attrs["clip"], output)
    form = Node(
        "add", node.name, (a.name, b.name), node.outputs, {**attrs, "out_min": low, "out_max": high}
    )
    return IntForm(form, tuple(constants.values()))


def _constant(node: Node, graph: Graph, acts: QTensors) -> dict[str, QTensor]:
    """The constant operand in integers, keyed by its float name; empty if there is none."""
    index = operand.constant_index(node, graph)
    if index is None:
        return {}
    source = acts[node.inputs[1 - index]]
    most = max_left(source.kind)
    frac_x = frac_of(source)
    frac_y = frac_of(acts[node.output])
    # Where the other operand lies on the output's steps already, the sum is rounded but once if the
    # constant does, too. Else at frac_y + 16 a unit is far below the output's: finer would not
    # change a single result.
    low, high = max(frac_x, frac_y) - most, min(frac_x + most, frac_y + 16)
    if frac_x <= frac_y:
        high = max(low, min(high, frac_y))
    name = node.inputs[index]
    data, kind = graph.data(name), source.kind
    return {name: operand.quantize_constant(f"{node.output}.constant", data, low, high, kind)}


def _aligned(
    model: str, name: str, tensors: tuple[QTensor, QTensor, QTensor], sign: int
) -> dict[str, int]:
    """mul_a, mul_b, bias and shift for operands a, b and output y."""
    a, b, y = tensors
    frac_a, frac_b, frac_y = (frac_of(t) for t in tensors)
    shift = max(0, frac_a - frac_y, frac_b - frac_y)
    left_a, left_b = shift + frac_y - frac_a, shift + frac_y - frac_b
    if shift > MAX_SHIFT or max(left_a, left_b) > max_left(y.kind):
        raise ModelError(
            model,
            f"node '{name}': the values of its operands and output differ too much in size "
            f"(fracs {frac_a}, {frac_b} and {frac_y})",
            "Scale the smaller one up in the network: fracs may differ by "
            f"{max_left(y.kind)} at most",
        )
    mul_a, mul_b = 1 << left_a, sign * (1 << left_b)
    bias = half(shift) + (y.zero << shift) - a.zero * mul_a - b.zero * mul_b
    return {"mul_a": mul_a, "mul_b": mul_b, "bias": bias, "shift": shift}


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(a, b) -> their kind; 32 bits suffice for every value (``frac_range``)."""
    a, b = (values.astype(np.int32) for values in inputs)
    acc = a * node.int("mul_a") + b * node.int("mul_b") + node.int("bias")
    acc >>= node.int("shift")
    return limited(acc, node, inputs[0].dtype)


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """Those of operands and output lie so near each other."""
    for name in fracs:
        yield name, min(fracs.values()) + max_left(kind)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors."""
    yield from forms.same_kind(node, qgraph, node.inputs)
    yield from forms.in_range(node, qgraph)
    a, b, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    sign = -1 if node.int("mul_b") < 0 else 1
    try:
        yield from forms.follows(node, _aligned(qgraph.name, node.name, (a, b, y), sign))
    except ModelError as error:
        yield error.reason


_NUMBERS = {key: whole() for key in ("mul_a", "mul_b", "bias", "shift")}
_INT_FORM = Form({**_NUMBERS, **forms.RANGE}, (2, 2), either=True, alike=True)
FLOAT_FORM = Form(forms.CLIP, (2, 2), either=True, alike=True)
OP = OpSpec(
    "add",
    ("Add", "Sum"),
    broadcast.infer,
    run_float,
    to_int,
    run_int,
    limits=(broadcast.spreads,),
    flow=Flow.POINTWISE,
    keeps_sign=always,
    fuse_clip=clip.fuse,
    is_identity=operand.neutral(0.0),
    affine=lambda index, constant: (np.ones(len(constant)), constant),
    runs_s16=True,
    frac_limits=frac_limits,
    floors=floors,
    scaling=Scaling.CHANNELS,
    offsets=(1, 1),
    note="a scalar constant operand makes it a table",
    along=along.same,
    schema=Schema(FLOAT_FORM, _INT_FORM, faults),
)
