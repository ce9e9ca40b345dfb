"""What the element by element variants share: how operands spread, who may overlap, cost."""

from __future__ import annotations

from collections.abc import Callable

from mcuq.ir import Node
from mcuq.kernels.rates import Rate
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.ops.parts.broadcast import Spread, spread
from mcuq.qir import QGraph

Rates = tuple[float, float]
Pieces = tuple[Rate, Rate, Rate]
Cost = Callable[[Node, QGraph, Cpu], float]
Pair = tuple[Variant, Variant]


def output_size(node: Node, qgraph: QGraph) -> int:
    """The number of elements that ``node`` writes."""
    return qgraph.tensor(node.output).size


def instructions(cpu: Cpu, count: int, thumb2: float, small: float) -> float:
    """``count`` times the instructions per element, on a Cortex-M3 and up or on a smaller core.

    The figures of the variants are measured, on a Cortex-M4 and a Cortex-M0 (gcc -O2); RV32 takes
    0.61 of the latter's in add.
    """
    if "riscv" in cpu.features:
        return 40.0 + count * 0.61 * small
    return 40.0 + count * (thumb2 if "thumb2" in cpu.features else small)


def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    """In place over an operand of the output's size: element i is read before it is written."""
    return 0 if qgraph.tensor(node.inputs[index]).size == output_size(node, qgraph) else None


def binary(op: str, members: tuple[str, ...], plain: Rates, broadcast: Pieces) -> Pair:
    """The variants of a two-operand operator: operands of equal size, and ones that broadcast.

    ``members``: the node's attributes, in the order of the C parameters. ``plain``: instructions
    per element, on a Cortex-M3 and up and on a smaller core; ``broadcast``: as ``spread_cost``.
    """

    def numbers(node: Node) -> tuple[Field, ...]:
        return tuple(Field(name, node.int(name)) for name in members)

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        fields = (Field("count", output_size(node, qgraph)), *numbers(node))
        return (Call(f"mcuq_{op}_s8", f"mcuq_{op}_params", fields, node.inputs, node.output),)

    def lower_broadcast(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        fields = (spread_field(node, qgraph), *numbers(node))
        symbol, params = f"mcuq_{op}_s8_broadcast", f"mcuq_{op}_broadcast_params"
        return (Call(symbol, params, fields, node.inputs, node.output),)

    return (
        Variant(op, f"mcuq_{op}_s8", lower, cost(plain), _same_shape, gap=gap),
        Variant(
            op,
            f"mcuq_{op}_s8_broadcast",
            lower_broadcast,
            spread_cost(*broadcast),
            spreads,
            gap=gap,
        ),
    )


def cost(rates: Rates) -> Cost:
    """The cost of a kernel that takes so many instructions per element."""
    return lambda node, qgraph, cpu: instructions(cpu, output_size(node, qgraph), *rates)


def spread_cost(call: Rate, row: Rate, value: Rate) -> Cost:
    """The cost of a kernel with a loop over rows and one over the values of each."""

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        found = _accepted(node, qgraph)
        each = row.on(cpu) + found.inner * value.on(cpu)
        return call.on(cpu) + found.rows * each

    return cost


def _same_shape(node: Node, qgraph: QGraph) -> bool:
    size = output_size(node, qgraph)
    return all(qgraph.tensor(name).size == size for name in node.inputs)


def spreads(node: Node, qgraph: QGraph) -> bool:
    """Whether two loops read the operands."""
    return _spread(node, qgraph) is not None


def spread_rows(node: Node, qgraph: QGraph) -> int:
    """The turns of the outer loop of two."""
    found = _spread(node, qgraph)
    return found.rows if found else 1


def _spread(node: Node, qgraph: QGraph) -> Spread | None:
    shapes = [qgraph.tensor(name).shape for name in node.inputs]
    return spread(shapes, qgraph.tensor(node.output).shape)


def _accepted(node: Node, qgraph: QGraph) -> Spread:
    found = _spread(node, qgraph)
    if found is None:
        raise ValueError(f"{node.name} was not accepted")
    return found


def spread_field(node: Node, qgraph: QGraph) -> Field:
    """The member ``spread``: how the operands spread over the output."""
    found = _accepted(node, qgraph)
    values = (found.rows, found.inner, *found.row_step, *found.inner_step)
    return Field("spread", values, "rows, inner; row steps of a, b; inner steps of a, b")
