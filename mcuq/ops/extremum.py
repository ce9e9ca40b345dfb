"""maximum and minimum: the larger or smaller one of two operands. In integers the same:

    y = clamp(max(a, b), out_min, out_max)    or    y = clamp(min(a, b), out_min, out_max)

Both operands and the output have one frac and zero, so integers compare as reals do; a constant
operand gets these numbers too, and what they cannot hold saturates, which changes no result.

C: mcuq_extremum_s8.c, mcuq_extremum_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuq.fixed import quantize
from mcuq.ir import Array, Graph, Node
from mcuq.ops import clip
from mcuq.ops.parts import along, broadcast, forms, operand
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.spec import (
    Flow,
    Form,
    IntForm,
    OpSpec,
    RunFloat,
    RunInt,
    Scaling,
    Schema,
    TorchTensor,
    Values,
)
from mcuq.qir import QGraph, QTensor, QTensors, frac_of


def maximum(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(max(a, b))``."""
    return clip.clamp(inputs[0].maximum(inputs[1]), node.attrs["clip"])


def minimum(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clip(min(a, b))``."""
    return clip.clamp(inputs[0].minimum(inputs[1]), node.attrs["clip"])


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The same node; a constant operand in the numbers of the output."""
    operand.check_ranks(node, graph)
    output = acts[node.output]
    low, high = clip.out_range(node.attrs["clip"], output)
    index = operand.constant_index(node, graph)
    names = list(node.inputs)
    constants: tuple[QTensor, ...] = ()
    if index is not None:
        real, frac = graph.data(names[index]), frac_of(output)
        data = quantize(real, frac, output.zero, output.kind)
        names[index] = f"{node.output}.constant"
        constants = (QTensor(names[index], real.shape, output.kind, frac, output.zero, data),)
    attrs = {"out_min": low, "out_max": high}
    return IntForm(Node(node.op, node.name, tuple(names), node.outputs, attrs), constants)


def _run_int(larger: bool) -> RunInt:
    choose = np.maximum if larger else np.minimum

    def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
        """(a, b) -> their kind."""
        return limited(choose(inputs[0], inputs[1]), node, inputs[0].dtype)

    return run_int


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """All numbers are those of the output."""
    yield from forms.keeps_numbers(node, qgraph)
    yield from forms.in_range(node, qgraph)


_SCHEMA = Schema(
    Form(forms.CLIP, (2, 2), either=True, alike=True),
    Form(forms.RANGE, (2, 2), either=True, alike=True),
    faults,
)


def _spec(name: str, onnx: tuple[str, ...], run_float: RunFloat, larger: bool) -> OpSpec:
    return OpSpec(
        name,
        onnx,
        broadcast.infer,
        run_float,
        to_int,
        _run_int(larger),
        limits=(broadcast.spreads,),
        note="of any number; one number is a clip",
        values=Values.BETWEEN,
        flow=Flow.POINTWISE,
        fuse_clip=clip.fuse,
        keeps_scale=True,
        joins=True,
        runs_s16=True,
        scaling=Scaling.CHANNELS,
        along=along.same,
        schema=_SCHEMA,
    )


MAXIMUM = _spec("maximum", ("Max", "Or"), maximum, larger=True)
MINIMUM = _spec("minimum", ("Min",), minimum, larger=False)
