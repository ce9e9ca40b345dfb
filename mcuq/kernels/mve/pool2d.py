"""Pools on cores with Helium (MVE): 16 or 8 channels at a time."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.mve.blocks import NEEDS
from mcuq.kernels.plain import avg_pool2d, int16, max_pool2d, pool2d
from mcuq.kernels.variant import Cpu, Variant, lower_as
from mcuq.qir import QGraph

TAPS_MAX = 255  # 128 times as many fit 16 bits


def _taps(node: Node, qgraph: QGraph) -> tuple[int, int]:
    """Pixels of the output; taps inside the input, of all windows together."""
    win = pool2d.pool_window(node)
    sizes = qgraph.tensors[node.inputs[0]].shape[1:3]
    rows, columns = (int(win.counts(axis, size).sum()) for axis, size in enumerate(sizes))
    out = qgraph.tensors[node.output].shape
    return out[1] * out[2], rows * columns


def _cost(node: Node, qgraph: QGraph, a_pixel: float, a_tap: float) -> float:
    """Instructions, given those per pixel of the output and per tap of all its channels."""
    pixels, taps = _taps(node, qgraph)
    return 60 + pixels * (45 + a_pixel) + taps * a_tap


def _cost_max(node: Node, qgraph: QGraph) -> float:
    groups = -(-qgraph.tensors[node.output].shape[3] // 16)
    return _cost(node, qgraph, 23 * groups, 5.2 * groups)


def _cost_average(node: Node, qgraph: QGraph) -> float:
    """A division per output, or a shift where all taps are a power of two."""
    channels, area = qgraph.tensors[node.output].shape[3], pool2d.pool_window(node).area()
    wide, rest = channels // 16, -(-(channels % 16) // 8)
    mean = 15 * channels if area & (area - 1) else 18 * -(-channels // 4)
    return _cost(node, qgraph, mean + 35 * (wide + rest), 6.4 * wide + 5.5 * rest)


def _wide_max_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    groups = -(-qgraph.tensors[node.output].shape[3] // 8)
    return _cost(node, qgraph, 23 * groups, 5.2 * groups)


def _wide_average_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    channels, area = qgraph.tensors[node.output].shape[3], pool2d.pool_window(node).area()
    wide, rest = channels // 8, -(-(channels % 8) // 4)
    mean = 15 * channels if area & (area - 1) else 18 * -(-channels // 4)
    return _cost(node, qgraph, mean + 35 * (wide + rest), 6.4 * wide + 5.5 * rest)


def _accepts_average(node: Node, qgraph: QGraph) -> bool:
    return pool2d.pool_window(node).area() <= TAPS_MAX


_MAX, _AVERAGE = "mcuq_max_pool2d_s8_mve", "mcuq_avg_pool2d_s8_mve"
VARIANTS = (
    Variant(
        "max_pool2d",
        _MAX,
        lower_as(max_pool2d.VARIANTS[0], _MAX),
        lambda node, qgraph, cpu: _cost_max(node, qgraph),
        needs=NEEDS,
        gap=pool2d.gap,
    ),
    Variant(
        "avg_pool2d",
        _AVERAGE,
        lower_as(avg_pool2d.VARIANTS[0], _AVERAGE),
        lambda node, qgraph, cpu: _cost_average(node, qgraph),
        _accepts_average,
        NEEDS,
        pool2d.gap,
    ),
    int16.ported(int16.MAX_POOL, "mve", _wide_max_cost, NEEDS),
    int16.ported(int16.AVG_POOL, "mve", _wide_average_cost, NEEDS),
)
