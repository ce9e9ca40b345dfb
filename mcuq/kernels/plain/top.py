"""The variants of top_values, top_indices and hardmax."""

from __future__ import annotations

from collections.abc import Callable

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Lower, Variant
from mcuq.qir import QGraph


def _lower(params: str, names: tuple[str, ...]) -> Lower:
    """The calls of the kernel named as the operator; ``names``: attributes behind the sizes."""

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        source = qgraph.tensor(node.inputs[0])
        length = source.shape[-1]
        fields = (
            Field("rows", source.size // length),
            Field("length", length),
            *(Field(name, node.int(name)) for name in names),
        )
        return (Call(f"mcuq_{node.op}_s8", params, fields, node.inputs, node.output),)

    return lower


def _cost(passes: Callable[[Node], int]) -> Callable[[Node, QGraph, Cpu], float]:
    """Every pass looks at all values."""

    def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
        size = qgraph.tensor(node.inputs[0]).size
        return passes(node) * elementwise.instructions(cpu, size, 8.0, 9.0)

    return cost


_COUNTED = _lower("mcuq_top_params", ("count",)), _cost(lambda node: node.int("count"))
VARIANTS = (
    Variant("top_values", "mcuq_top_values_s8", *_COUNTED),
    Variant("top_indices", "mcuq_top_indices_s8", *_COUNTED),
    Variant(
        "hardmax",
        "mcuq_hardmax_s8",
        _lower("mcuq_hardmax_params", ("low", "high")),
        _cost(lambda node: 1),
    ),
)
