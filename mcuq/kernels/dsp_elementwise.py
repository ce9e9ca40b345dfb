"""add and avg_pool2d with the DSP extension: ``mcuq_add_s8_dsp``, ``mcuq_avg_pool2d_s8_dsp``."""

from __future__ import annotations

from dataclasses import replace

from mcuq.ir import Node
from mcuq.kernels import avg_pool2d, elementwise, pool2d
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_ADD = "mcuq_add_s8_dsp"
_AVG_POOL = "mcuq_avg_pool2d_s8_dsp"
_PLAIN_ADD = next(
    v
    for v in elementwise.binary(
        "add",
        ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max"),
        plain=(0.0, 0.0),
        broadcast=(0.0, 0.0),
    )
    if v.symbol == "mcuq_add_s8"
)
_PLAIN_POOL = avg_pool2d.VARIANTS[0]


def _accepts_add(node: Node, qgraph: QGraph) -> bool:
    """Operands of one shape, factors of 16 bits, and results of 16 bits before the clamp."""
    factors = [node.int("mul_a"), node.int("mul_b")]
    fits = all(-(2**15) <= factor < 2**15 for factor in factors)
    bound = 128 * sum(map(abs, factors)) + abs(node.int("bias"))
    small = bound >> node.int("shift") < 2**15 - 1 and bound < 2**31
    return fits and small and _PLAIN_ADD.accepts(node, qgraph)


def _lower_add(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    return tuple(replace(c, symbol=_ADD) for c in _PLAIN_ADD.lower(node, qgraph))


def _cost_add(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    limited = (node.int("out_min"), node.int("out_max")) != (-128, 127)
    return 50 + (8.25 + 1.75 * limited) * elementwise.output_size(node, qgraph)


def _accepts_pool(node: Node, qgraph: QGraph) -> bool:
    kernel_h, kernel_w = node.ints("kernel")
    return kernel_h * kernel_w <= 255


def _lower_pool(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    return tuple(replace(c, symbol=_AVG_POOL) for c in _PLAIN_POOL.lower(node, qgraph))


def _cost_pool(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return pool2d.cost(node, qgraph, (110.0, 26.0, 1.85))


VARIANTS = (
    Variant("add", _ADD, _lower_add, _cost_add, _accepts_add, frozenset({"dsp"}), elementwise.gap),
    Variant(
        "avg_pool2d",
        _AVG_POOL,
        _lower_pool,
        _cost_pool,
        _accepts_pool,
        frozenset({"dsp"}),
        pool2d.gap,
    ),
)
