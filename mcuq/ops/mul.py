"""mul: y = clip(a * b). In integers

    y = clamp(((a - zero_a) * (b - zero_b) + bias) >> shift, out_min, out_max)

with shift = frac_a + frac_b - frac_y, so the product is exact before its one rounding; ``bias``
holds the output's zero and the rounding constant. Operands and output are all s8 or all s16.

C: mcuq_mul_s8.c, mcuq_mul_s16.c
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
from mcuq.ops.spec import Flow, Form, IntForm, OpSpec, Schema, TorchTensor, always
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import whole

# |product| <= 255 * 255 < 2**16, |bias| <= 2**30 + 2**22: the sum stays below 2**31.
# In s16, whose zeros are 0, 2**30 + 2**29.
MAX_SHIFT = 23
MAX_SHIFT_S16 = 30


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a * b)``."""
    return clip.clamp(inputs[0] * inputs[1], node.attrs["clip"])


def frac_range(frac_a: int, frac_b: int) -> tuple[int, int]:
    """The lowest and highest frac of the output: no finer than the exact product.

    >>> frac_range(5, 7)
    (-11, 12)
    """
    return frac_a + frac_b - MAX_SHIFT, frac_a + frac_b


def max_shift(kind: str) -> int:
    """The largest right shift of a product of this kind."""
    return MAX_SHIFT_S16 if kind == "s16" else MAX_SHIFT


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer mul; a table if an operand is a scalar constant."""
    operand.check_ranks(node, graph)
    table = operand.scalar_form(node, graph, acts, run_float)
    if table is not None:
        return table
    constants = operand.constant_factor(node, graph, acts, max_shift(acts[node.output].kind))
    known = {**acts, **constants}
    a, b = (known[name] for name in node.inputs)
    y = acts[node.output]
    shift = _shift(graph.name, node.name, (a, b, y))
    low, high = clip.out_range(node.attrs["clip"], y)
    attrs = {**_numbers((a, b, y), shift), "out_min": low, "out_max": high}
    form = Node("mul", node.name, (a.name, b.name), node.outputs, attrs)
    return IntForm(form, tuple(constants.values()))


def _numbers(tensors: tuple[QTensor, QTensor, QTensor], shift: int) -> dict[str, int]:
    """The zeros, the bias and the shift for operands a, b and output y."""
    a, b, y = tensors
    bias = half(shift) + (y.zero << shift)
    return {"zero_a": a.zero, "zero_b": b.zero, "bias": bias, "shift": shift}


def _shift(model: str, name: str, tensors: tuple[QTensor, QTensor, QTensor]) -> int:
    frac_a, frac_b, frac_y = (frac_of(t) for t in tensors)
    shift, most = frac_a + frac_b - frac_y, max_shift(tensors[2].kind)
    if not 0 <= shift <= most:
        raise ModelError(
            model,
            f"node '{name}': the values of its operands and output do not match in size "
            f"(fracs {frac_a}, {frac_b} and {frac_y})",
            f"Scale the operands so that frac_a + frac_b - frac_y lies in 0..{most}",
        )
    return shift


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(a, b) -> their kind."""
    a = inputs[0].astype(np.int32) - node.int("zero_a")
    b = inputs[1].astype(np.int32) - node.int("zero_b")
    acc = (a * b + node.int("bias")) >> node.int("shift")
    return limited(acc, node, inputs[0].dtype)


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """The output no finer than the product, which is at most a shift finer than the output."""
    if len(fracs) == len({*node.inputs, node.output}):  # a square has one operand
        a, b = fracs[node.inputs[0]], fracs[node.inputs[1]]
        yield node.output, a + b
        yield from ((n, fracs[node.output] + max_shift(kind) - min(a, b)) for n in node.inputs)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors."""
    yield from forms.kinds(node, qgraph, *[forms.data_kind(node, qgraph)] * 3)
    yield from forms.in_range(node, qgraph)
    a, b, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    try:
        shift = _shift(qgraph.name, node.name, (a, b, y))
    except ModelError as error:
        yield error.reason
    else:
        yield from forms.follows(node, _numbers((a, b, y), shift))


_ATTRS = {key: whole() for key in ("zero_a", "zero_b", "bias", "shift")}
OP = OpSpec(
    "mul",
    ("Mul", "Div", "Mean", "And", "Where"),
    broadcast.infer,
    run_float,
    to_int,
    run_int,
    limits=(broadcast.spreads,),
    flow=Flow.POINTWISE,
    keeps_sign=always,
    fuse_clip=clip.fuse,
    is_identity=operand.neutral(1.0),
    affine=lambda index, constant: (constant, np.zeros(len(constant))),
    runs_s16=True,
    frac_limits=frac_limits,
    note="a scalar constant operand makes it a table",
    along=along.same,
    schema=Schema(
        Form(forms.CLIP, (2, 2), either=True, alike=True),
        Form({**_ATTRS, **forms.RANGE}, (2, 2), either=True, alike=True),
        faults,
    ),
)
