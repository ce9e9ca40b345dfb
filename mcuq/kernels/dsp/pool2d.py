"""Pools with the DSP extension (Cortex-M4, M7, M33): four channels and two taps at a time."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import avg_pool2d, int16, max_pool2d, pool2d
from mcuq.kernels.variant import Cpu, Variant, lower_as
from mcuq.qir import QGraph

NEEDS = frozenset({"dsp"})
TAPS_MAX = 256  # -128 times as many fit 16 bits
_MAX, _AVERAGE = "mcuq_max_pool2d_s8_dsp", "mcuq_avg_pool2d_s8_dsp"


def _cost(
    node: Node, qgraph: QGraph, a_group: float, a_row: float, an_output: float, a_tap: float = 4.6
) -> float:
    """Per pixel, per group of four channels, per row and tap of a group, and per output."""
    win = pool2d.pool_window(node)
    _, in_h, in_w, channels = qgraph.tensor(node.inputs[0]).shape
    inside_h, inside_w = win.counts(0, in_h), win.counts(1, in_w)
    pixels, taps = len(inside_h) * len(inside_w), int(inside_h.sum() * inside_w.sum())
    rows = int(inside_h.sum()) * len(inside_w)
    if (len(inside_w), win.area()) == (1, in_h * in_w):
        rows = 1  # of the whole image
    groups, rest = divmod(channels, 4)
    group = groups * (a_group * pixels + a_row * rows + a_tap * taps)
    return 40 + 72 * pixels + group + channels * pixels * an_output + rest * taps * 6


def _accepts_average(node: Node, qgraph: QGraph) -> bool:
    return pool2d.pool_window(node).area() <= TAPS_MAX


def _max_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _cost(node, qgraph, 8, 8, 0)


def _average_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _cost(node, qgraph, 20, 12, 17.5)


def _wide_max_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _cost(node, qgraph, 14, 8, 0, 10)


def _wide_average_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return _cost(node, qgraph, 26, 8, 17.5, 12)


VARIANTS = (
    Variant(
        "max_pool2d",
        _MAX,
        lower_as(max_pool2d.VARIANTS[0], _MAX),
        _max_cost,
        needs=NEEDS,
        gap=pool2d.gap,
    ),
    Variant(
        "avg_pool2d",
        _AVERAGE,
        lower_as(avg_pool2d.VARIANTS[0], _AVERAGE),
        _average_cost,
        _accepts_average,
        NEEDS,
        pool2d.gap,
    ),
    int16.ported(int16.MAX_POOL, "dsp", _wide_max_cost, NEEDS),
    int16.ported(int16.AVG_POOL, "dsp", _wide_average_cost, NEEDS),
)
