"""lut: y = table[q + 128], any function of one s8 value, also plain requantization.

C: mcuq_lut_s8.c
"""

from __future__ import annotations

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
)
from mcuq.qir import QGraph, QTensor, QTensors, frac_of


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

    def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
        def function(real: FloatArray) -> FloatArray:
            import torch

            of_input, of_output, offset = _units(node)
            inside = np.clip((real - offset) * of_input, *domain(node))
            result: FloatArray = run_float(node, [torch.from_numpy(inside)]).numpy()
            return result / of_output

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

    return replace(op, run_float=run_float, bounds=scaled, carried=_carried)


def _carried(node: Node, of_input: float, of_output: float, offset: float) -> Node:
    return node.with_attrs(units=(of_input, of_output, offset))


def _units(node: Node) -> tuple[float, float, float]:
    of_input, of_output, offset = node.attrs.get("units", (1.0, 1.0, 0.0))
    return float(of_input), float(of_output), float(offset)


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
