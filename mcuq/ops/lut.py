"""lut: y = table[q + 128], any function of one s8 value, also plain requantization.

C: mcuq_lut_s8.c
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcuq.fixed import FloatArray, OfReals, dequantize, quantize
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms, lut16
from mcuq.ops.spec import (
    NO_CLIP,
    Bounds,
    Form,
    IntForm,
    OpSpec,
    RunFloat,
    Schema,
    ToInt,
    TorchTensor,
    Unseen,
)
from mcuq.qir import QGraph, QTensor, QTensors, frac_of

_SAME = 2.0**-17
"""Of the largest value over the rows: 16 bits tell no smaller part apart."""


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, table s8[256]) -> table[x + 128]."""
    values, table = inputs
    found: Array = table[values.astype(np.int16) + 128]
    return found


def from_function(
    run_float: RunFloat, domain: Callable[[Node], Bounds] = lambda node: NO_CLIP
) -> ToInt:
    """The ``to_int`` of a one-input operator: its float twin, in float64, at all 256 inputs.

    In s16 a table of some of them (``lut16``). Inputs outside the function's ``domain`` give what
    its nearest end gives. It may have been ``carried`` into other units.
    """

    def values(node: Node, reals: FloatArray) -> FloatArray:
        import torch

        inside = np.clip(reals, *domain(node))
        result: FloatArray = run_float(node, [torch.from_numpy(inside)]).numpy()
        return result

    return by_values(values)


def by_values(values: Callable[[Node, FloatArray], FloatArray]) -> ToInt:
    """The ``to_int`` of a function of one value, given what it makes of rising reals."""

    def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
        def function(reals: FloatArray) -> FloatArray:
            of_input, of_output, offset = _units(node)
            return values(node, (reals - offset) * of_input) / of_output

        source, output = acts[node.inputs[0]], acts[node.output]
        made = lut16.tabulate if source.kind == "s16" else tabulate
        return made(node.name, source, output, function)

    return to_int


def in_units(op: OpSpec) -> OpSpec:
    """``op``, a function of one value by ``from_function``, that units do not change."""
    plain, bounds = op.run_float, op.bounds
    if plain is None:
        raise TypeError(f"{op.name} has no float form")

    def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        of_input, of_output, offset = _units(node)
        return plain(node, [(inputs[0] - offset) * of_input]) / of_output

    def scaled(node: Node) -> Bounds:
        low, high = bounds(node)
        return low / _units(node)[1], high / _units(node)[1]

    unseen = flat_below(run_float)
    return replace(op, run_float=run_float, bounds=scaled, carried=_carried, unseen=unseen)


def _carried(node: Node, of_input: float, of_output: float, offset: float) -> Node:
    return node.with_attrs(units=(of_input, of_output, offset))


def _units(node: Node) -> tuple[float, float, float]:
    of_input, of_output, offset = node.attrs.get("units", (1.0, 1.0, 0.0))
    return float(of_input), float(of_output), float(offset)


def flat_below(run_float: RunFloat) -> Unseen:
    """The ``unseen`` of a function of one value: where its left end begins, which is one value."""

    def unseen(node: Node, inputs: Sequence[TorchTensor]) -> float:
        import torch

        far = -(2.0 ** torch.arange(0, 40, 0.125, dtype=torch.float64))
        low = max(float(inputs[0].min()), -8.0)
        near = torch.linspace(low, max(low, float(inputs[0].max())), 33, dtype=torch.float64)
        values, usual = run_float(node, [far]), run_float(node, [near])
        apart = torch.abs(values - values[-1]) > _SAME * float(usual.abs().max())
        if not bool(torch.isfinite(values).all()) or bool(apart[-2]):
            return -math.inf
        steep = torch.nonzero(apart)
        return float(far[int(steep[-1]) + 1 if len(steep) else 0])

    return unseen


def tabulate(name: str, source: QTensor, output: QTensor, function: OfReals) -> IntForm:
    """The lut node that maps ``source`` to ``output`` = function(real value), rounded half up."""
    real = dequantize(np.arange(-128, 128), frac_of(source), source.zero)
    data = quantize(function(real), frac_of(output), output.zero)
    table = QTensor(f"{output.name}.table", (256,), "s8", output.frac, output.zero, data)
    return IntForm(Node("lut", name, (source.name, table.name), (output.name,)), (table,))


def requant_node(name: str, source: QTensor, output: QTensor) -> IntForm:
    """The lut node that only rescales ``source`` to the frac and zero of ``output``.

    >>> x, y = QTensor("x", (1, 2), "s8", 4), QTensor("y", (1, 2), "s8", 3)
    >>> requant_node("rescale", x, y).constants[0].data[128 + 5]  # 5/16 = 2.5/8 -> 3/8
    np.int8(3)
    """
    return tabulate(name, source, output, lambda real: real)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """It reads s8 and a table of 256 outputs."""
    yield from forms.kinds(node, qgraph, "s8", "s8", "s8")
    if qgraph.tensors[node.inputs[1]].shape != (256,):
        yield "its table has not 256 entries"


OP = OpSpec(
    "lut",
    (),
    infer,
    run_int=run_int,
    along=along.same,
    schema=Schema(None, Form(constants=1), faults),
)
