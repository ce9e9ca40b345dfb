"""What the element by element variants share: how operands spread, who may overlap, cost."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.variant import Cpu, Field
from mcuq.ops.broadcast import Spread, spread
from mcuq.qir import QGraph


def output_size(node: Node, qgraph: QGraph) -> int:
    """The number of elements that ``node`` writes."""
    return qgraph.tensor(node.output).size


def same_shape(node: Node, qgraph: QGraph) -> bool:
    """Whether every operand has as many elements as the output."""
    size = output_size(node, qgraph)
    return all(qgraph.tensor(name).size == size for name in node.inputs)


def spread_of(node: Node, qgraph: QGraph) -> Spread | None:
    """How the operands of ``node`` spread over its output, None if no kernel can."""
    shapes = [qgraph.tensor(name).shape for name in node.inputs]
    return spread(shapes, qgraph.tensor(node.output).shape)


def spreads(node: Node, qgraph: QGraph) -> bool:
    return spread_of(node, qgraph) is not None


def spread_field(node: Node, qgraph: QGraph) -> Field:
    """The member ``spread`` of the broadcast kernels' parameters."""
    found = spread_of(node, qgraph)
    if found is None:
        raise ValueError(f"{node.name} was not accepted")
    values = (found.rows, found.inner, *found.row_step, *found.inner_step)
    return Field("spread", values, "rows, inner, row steps of a and b, inner steps of a and b")


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place over an operand of the output's size: element i is read before it is written."""
    return 0 if qgraph.tensor(node.inputs[index]).size == output_size(node, qgraph) else None


def instructions(cpu: Cpu, count: int, thumb2: float, small: float) -> float:
    """``count`` times the instructions per element, on a Cortex-M3 and up or on a smaller core."""
    return 40.0 + count * (thumb2 if "thumb2" in cpu.features else small)
