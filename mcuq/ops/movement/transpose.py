"""transpose: axes in the order ``perm``; the batch stays first.

C: mcuq_transpose_s8.c, mcuq_transpose_s16.c
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor, Values
from mcuq.qir import QGraph, QTensors
from mcuq.schema import several, whole


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The sizes in the order ``perm``."""
    return tuple(shapes[0][axis] for axis in node.ints("perm"))


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x`` with its axes in the order ``perm``."""
    return inputs[0].permute(node.ints("perm"))


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node."""
    return IntForm(replace(node, attrs={"perm": node.ints("perm")}))


def moved(node: Node, inputs: Sequence[Array], outside: int) -> Array:
    """``x`` with its axes in the order ``perm``."""
    return np.ascontiguousarray(inputs[0].transpose(node.ints("perm")))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """``x`` with its axes in the order ``perm``."""
    return moved(node, inputs, 0)


def keeps_batch(node: Node, shapes: Sequence[Shape]) -> bool:
    """Transpose leaves the batch in front and takes at most 4 dimensions."""
    perm, rank = node.ints("perm"), len(shapes[0])
    return perm[0] == 0 and rank <= 4 and sorted(perm) == list(range(rank))


_FORM = Form({"perm": several(whole(0, 3), 1, 4)})
OP = OpSpec(
    "transpose",
    ("Transpose",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(keeps_batch,),
    values=Values.SAME,
    is_identity=lambda node, graph: node.ints("perm") == tuple(sorted(node.ints("perm"))),
    keeps_scale=True,
    runs_s16=True,
    scaling=Scaling.TENSOR,
    moved=moved,
    along=along.turned,
    schema=Schema(_FORM, _FORM, forms.keeps_numbers),
)
