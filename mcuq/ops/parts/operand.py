"""The operands of add, sub and mul: activations, or constants that are quantised here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import RANGES, FloatArray, quantize, round_half_up
from mcuq.ir import Graph, Node
from mcuq.ops import lut
from mcuq.ops.spec import NO_CLIP, IntForm, RunFloat, fused_clip
from mcuq.qir import QTensor, QTensors, frac_of


def constant_index(node: Node, graph: Graph) -> int | None:
    """Which of the two operands is a constant, if one is."""
    return next((i for i, name in enumerate(node.inputs) if graph.is_constant(name)), None)


def quantize_constant(
    name: str, real: FloatArray, low: int, high: int, kind: str = "s8"
) -> QTensor:
    """``real`` in integers with the finest frac in [low, high] that saturates none (else ``low``).

    In s8, values that are never negative use zero -128, and so 8 bits instead of 7.

    >>> c = quantize_constant("c", np.array([0.5, 3.0]), -8, 24)
    >>> c.frac, c.zero, c.data.tolist()
    (6, -128, [-96, 64])
    """
    zero = -128 if kind == "s8" and float(real.min(initial=0.0)) >= 0.0 else 0
    frac = next((f for f in range(high, low, -1) if _fits(real, f, zero, kind)), low)
    return QTensor(name, real.shape, kind, frac, zero, quantize(real, frac, zero, kind))


def constant_factor(node: Node, graph: Graph, acts: QTensors, most: int) -> dict[str, QTensor]:
    """The constant operand of a product, keyed by its float name; empty if there is none.

    Its frac keeps the product's shift in 0..``most``. A constant too large for that saturates: one
    step of the other operand would then already move the output across half its range.
    """
    index = constant_index(node, graph)
    if index is None:
        return {}
    source, name = acts[node.inputs[1 - index]], node.inputs[index]
    low = frac_of(acts[node.output]) - frac_of(source)
    made = f"{node.output}.constant"
    return {name: quantize_constant(made, graph.data(name), low, low + most, source.kind)}


def _fits(real: FloatArray, frac: int, zero: int, kind: str) -> bool:
    values = round_half_up(real.astype(np.float64) * 2.0**frac) + zero
    low, high = RANGES[kind]
    return bool(values.min(initial=0) >= low and values.max(initial=0) <= high)


def scalar_form(node: Node, graph: Graph, acts: QTensors, run_float: RunFloat) -> IntForm | None:
    """A table, if one operand is a scalar constant: then it is a function of one s8 value."""
    index = constant_index(node, graph)
    if acts[node.output].kind != "s8" or index is None or graph.data(node.inputs[index]).size != 1:
        return None
    scalar = float(graph.data(node.inputs[index]).reshape(()))

    def function(real: FloatArray) -> FloatArray:
        import torch

        x, number = torch.from_numpy(real), torch.tensor(scalar, dtype=torch.float64)
        result: FloatArray = run_float(node, [x, number] if index else [number, x]).numpy()
        return result

    return lut.tabulate(node.name, acts[node.inputs[1 - index]], acts[node.output], function)


def neutral(value: float) -> Callable[[Node, Graph], bool]:
    """Whether the second operand is a constant of only ``value``, and nothing is clipped."""

    def check(node: Node, graph: Graph) -> bool:
        other = node.inputs[1]
        if not graph.is_constant(other) or graph.is_constant(node.inputs[0]):
            return False
        return fused_clip(node) == NO_CLIP and bool((graph.data(other) == np.float32(value)).all())

    return check


def check_ranks(node: Node, graph: Graph) -> None:
    """Refuse an activation of lower rank: its batch would not line up with the output's."""
    rank = len(graph.shape(node.output))
    for name in node.inputs:
        if len(graph.shape(name)) != rank and not graph.is_constant(name):
            raise ModelError(
                graph.name,
                f"node '{node.name}': operand '{name}' has fewer dimensions than the output",
                "Reshape it to the output's number of dimensions first",
            )
