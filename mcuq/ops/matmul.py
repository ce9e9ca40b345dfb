"""matmul: y = clip(a b), the product of two computed matrices, for each of a batch. In integers

    y = clamp((sum_k (a - zero_a)(b - zero_b) + bias) >> shift, out_min, out_max)

with shift = frac_a + frac_b - frac_y; ``bias`` holds the output's zero and the rounding constant.
Five loops of ``sizes`` (two of the batch, rows, columns, products) move through each operand by
steps of its own, so transposed, sliced and repeated operands need no copy:
``steps_a`` (batch, batch, row, k), ``steps_b`` (batch, batch, column, k) and ``steps_out`` (batch,
batch, row, column), counted from ``start_a`` and ``start_b``. Every step of the output differs.

Operands and output are all s8 or all s16, whose sums have 64 bits.

C: mcuq_matmul_s8.c, mcuq_matmul_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from mcuq.errors import ModelError
from mcuq.fixed import half
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import along, forms, operand
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.spec import Form, IntForm, OpSpec, Schema, TorchTensor, always
from mcuq.qir import QGraph, QTensors, frac_of
from mcuq.schema import Fields, several, whole

Map = npt.NDArray[np.int64]
# With them |sum| <= 2**14 * 255 * 255 < 2**30 and |bias| <= 2**29 + 2**21: 32 bits suffice.
MAX_PRODUCTS = 1 << 14
MAX_SHIFT = 22


def places(sizes: Sequence[int], steps: Sequence[int], start: int = 0) -> Map:
    """The place of each element of nested loops.

    >>> places((2, 3), (1, 10), 5).tolist()
    [[5, 15, 25], [6, 16, 26]]
    """
    found = np.full((1,) * len(sizes), start, np.int64)
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True)):
        ones = [size if a == axis else 1 for a in range(len(sizes))]
        found = found + step * np.arange(size).reshape(ones)
    return found


def operand_places(node: Node) -> tuple[Map, Map, Map]:
    """Where a (batch, batch, row, k), b (batch, batch, column, k) and the output lie."""
    *batch, rows, columns, depth = node.ints("sizes")
    return (
        places((*batch, rows, depth), node.ints("steps_a"), node.int("start_a")),
        places((*batch, columns, depth), node.ints("steps_b"), node.int("start_b")),
        places((*batch, rows, columns), node.ints("steps_out")),
    )


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The attribute ``shape``."""
    return node.ints("shape")


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(a b)`` for each of the batch."""
    import torch

    a, b = (x.reshape(len(x), -1) for x in inputs)
    place_a, place_b, place_out = (torch.from_numpy(p) for p in operand_places(node))
    product = a[:, place_a] @ b[:, place_b].transpose(-1, -2)
    flat = product.reshape(len(product), -1)[:, place_out.reshape(-1).argsort()]
    return clip.clamp(flat.reshape(len(flat), *node.ints("shape")[1:]), node.attrs["clip"])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer product; a constant operand is rounded to the width of the other."""
    constants = operand.constant_factor(node, graph, acts, MAX_SHIFT)
    known = {**acts, **constants}
    a, b = (known[name] for name in node.inputs)
    y = acts[node.output]
    shift = frac_of(a) + frac_of(b) - frac_of(y)
    if not 0 <= shift <= MAX_SHIFT:
        raise ModelError(
            graph.name,
            f"node '{node.name}': the values of its operands and output do not match in size "
            f"(fracs {frac_of(a)}, {frac_of(b)} and {frac_of(y)})",
            f"Scale the operands so that frac_a + frac_b - frac_y lies in 0..{MAX_SHIFT}",
        )
    low, high = clip.out_range(node.attrs["clip"], y)
    keys = ("shape", "sizes", "steps_a", "steps_b", "steps_out")
    attrs = {
        **{key: node.ints(key) for key in keys},
        "start_a": node.int("start_a"),
        "start_b": node.int("start_b"),
        "zero_a": a.zero,
        "zero_b": b.zero,
        "bias": half(shift) + (y.zero << shift),
        "shift": shift,
        "out_min": low,
        "out_max": high,
    }
    form = Node("matmul", node.name, (a.name, b.name), node.outputs, attrs)
    return IntForm(form, tuple(constants.values()))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(a, b) -> their kind; sums of integers below 2^45 are exact in float64."""
    place_a, place_b, place_out = operand_places(node)
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in inputs)
    left = a[:, place_a] - node.int("zero_a")
    right = b[:, place_b] - node.int("zero_b")
    acc = (left @ right.swapaxes(-1, -2)).astype(np.int64) + node.int("bias")
    values = limited(acc >> node.int("shift"), node, inputs[0].dtype)
    flat = values.reshape(len(values), -1)[:, place_out.reshape(-1).argsort()]
    return flat.reshape(len(flat), *node.ints("shape")[1:])


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """One for each turn of the five loops."""
    return prod(node.ints("sizes"))


def few_products(node: Node, shapes: Sequence[Shape]) -> bool:
    """A product of two computed matrices sums at most 16384 products."""
    return node.ints("sizes")[-1] <= MAX_PRODUCTS


def within(node: Node, shapes: Sequence[Shape]) -> bool:
    """A product of two computed matrices reads what is there and writes each element once."""
    *reads, writes = operand_places(node)
    inside = all(p.min() >= 0 and p.max() < prod(s) for p, s in zip(reads, shapes, strict=True))
    once = np.array_equal(np.sort(writes.reshape(-1)), np.arange(prod(node.ints("shape"))))
    return inside and once and node.ints("shape")[0] == 1


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """The output no finer than the product, which is at most MAX_SHIFT finer than the output."""
    if len(fracs) == len({*node.inputs, node.output}):
        a, b = fracs[node.inputs[0]], fracs[node.inputs[1]]
        yield node.output, a + b
        yield from ((n, fracs[node.output] + MAX_SHIFT - min(a, b)) for n in node.inputs)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors."""
    yield from forms.same_kind(node, qgraph, node.inputs)
    yield from forms.in_range(node, qgraph)
    a, b, y = (qgraph.tensors[name] for name in (*node.inputs, node.output))
    shift = frac_of(a) + frac_of(b) - frac_of(y)
    if not 0 <= shift <= MAX_SHIFT:
        yield f"its shift is {shift}, not in 0..{MAX_SHIFT}"
        return
    bias = half(shift) + (y.zero << shift)
    expected = {"zero_a": a.zero, "zero_b": b.zero, "bias": bias, "shift": shift}
    yield from forms.follows(node, expected)


_STEPS = several(whole(), 4, 4)
_LOOPS: Fields = {
    "shape": several(whole(1), 1, 8),
    "sizes": several(whole(1), 5, 5),
    "start_a": whole(0),
    "start_b": whole(0),
    "steps_a": _STEPS,
    "steps_b": _STEPS,
    "steps_out": _STEPS,
}
_NUMBERS: Fields = {key: whole() for key in ("zero_a", "zero_b", "bias", "shift")}
OP = OpSpec(
    "matmul",
    ("MatMul", "Einsum", "Gemm"),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(few_products, within),
    macs=macs,
    keeps_sign=always,
    fuse_clip=clip.fuse,
    runs_s16=True,
    frac_limits=frac_limits,
    note="two computed operands, any batch",
    along=along.multiplied,
    schema=Schema(
        Form({**_LOOPS, **forms.CLIP}, (2, 2), either=True),
        Form({**_LOOPS, **_NUMBERS, **forms.RANGE}, (2, 2), either=True),
        faults,
    ),
)
